"""What admission answers of its own accord, before any constraint of a role.

Prices in details are ticks under keys that end in ``_ticks``, beside the ``instrument_id`` they belong to:
the wire turns them into decimals.
"""

from __future__ import annotations

from typing import Final

from exchange.base.bounds import MAX_PRICE_TICKS, MAX_QUANTITY
from exchange.model.reasons import Category, Code, Refusal, amend_failed, cancel_failed
from exchange.model.types import Phase

CANCEL_FAILED: Final = cancel_failed()
AMEND_FAILED: Final = amend_failed()
TEAM_DISABLED: Final = Refusal(
    Category.FORBIDDEN, Code.TEAM_DISABLED, "Your team is disabled: it may read and cancel, not trade"
)
ORDER_TYPE_CONTRADICTION: Final = Refusal(
    Category.INVALID, Code.ORDER_TYPE_CONTRADICTION, "A limit order has a price, a market order has none"
)
NOTHING_TO_AMEND: Final = Refusal(
    Category.INVALID, Code.INVALID_REQUEST, "An amend needs a new quantity, a new price or both"
)
GAME_IS_OPEN: Final = Refusal(Category.CONFLICT, Code.INVALID_REQUEST, "The game is already open")


def unknown_team(account: int) -> Refusal:
    """No team has this account."""
    return Refusal(Category.UNKNOWN, Code.UNKNOWN_TEAM, "No such team", {"account": account})


def market_closed(phase: Phase) -> Refusal:
    """The phase forbids what was asked."""
    return Refusal(
        Category.CONFLICT, Code.MARKET_CLOSED, f"The market is {phase.value}", {"phase": phase.value}
    )


def instrument_closed(instrument_id: str, phase: Phase) -> Refusal:
    """The phase of this one instrument forbids what was asked."""
    return Refusal(
        Category.CONFLICT,
        Code.MARKET_CLOSED,
        f"The instrument is {phase.value}",
        {"instrument_id": instrument_id, "phase": phase.value},
    )


def phase_not_allowed(now: Phase, wanted: Phase) -> Refusal:
    """The market day cannot go there from here."""
    return Refusal(
        Category.CONFLICT,
        Code.PHASE_NOT_ALLOWED,
        f"The phase {wanted.value} cannot follow {now.value}",
        {"phase": now.value},
    )


def client_order_id_reused(client_order_id: str, order_id: int) -> Refusal:
    """A resend with another body."""
    return Refusal(
        Category.CONFLICT,
        Code.CLIENT_ORDER_ID_REUSED,
        "This client_order_id belongs to a different order",
        {"client_order_id": client_order_id, "order_id": order_id},
    )


def quantity_out_of_range(quantity: int) -> Refusal:
    """Beyond what any order may have."""
    return Refusal(
        Category.INVALID,
        Code.INVALID_REQUEST,
        f"Quantity must be 1 to {MAX_QUANTITY}",
        {"order_quantity": quantity, "max_quantity": MAX_QUANTITY},
    )


def price_out_of_range(instrument_id: str, price_ticks: int) -> Refusal:
    """Beyond what any price may be."""
    return Refusal(
        Category.INVALID,
        Code.PRICE_OUT_OF_RANGE,
        "Price is not one this exchange can handle",
        {
            "instrument_id": instrument_id,
            "price_ticks": price_ticks,
            "min_price_ticks": 1,
            "max_price_ticks": MAX_PRICE_TICKS,
        },
    )


def price_out_of_band(instrument_id: str, price_ticks: int, band: tuple[int, int]) -> Refusal:
    """Too far from the reference price."""
    return Refusal(
        Category.INVALID,
        Code.PRICE_OUT_OF_BAND,
        "Price is outside the price band of the instrument",
        {
            "instrument_id": instrument_id,
            "price_ticks": price_ticks,
            "low_ticks": band[0],
            "high_ticks": band[1],
        },
    )


def sequence_out_of_range(sequence: int, last_sequence: int) -> Refusal:
    """Nothing was sequenced there."""
    return Refusal(
        Category.INVALID,
        Code.INVALID_REQUEST,
        "No such place in the journal",
        {"sequence": sequence, "last_sequence": last_sequence},
    )
