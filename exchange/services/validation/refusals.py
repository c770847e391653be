"""What admission answers of its own accord, before any constraint of a role.

Prices in details are ticks under keys that end in ``_ticks``, beside the ``instrument_id`` they belong to:
the wire turns them into decimals.
"""

from __future__ import annotations

from typing import Final

from exchange.base.bounds import MAX_EXPIRY_US, MAX_PRICE_TICKS, MAX_QUANTITY, MAX_STOP_ORDERS
from exchange.model.commands import NewOrder
from exchange.model.reasons import Category, Code, Refusal, amend_failed, cancel_failed
from exchange.model.types import Phase, TimeInForce

_BATCHED: Final = "in an instrument that trades in batch auctions"

CANCEL_FAILED: Final = cancel_failed()
AMEND_FAILED: Final = amend_failed()
TEAM_DISABLED: Final = Refusal(
    Category.FORBIDDEN, Code.TEAM_DISABLED, "Your team is disabled: it may read and cancel, not trade"
)
ORDER_TYPE_CONTRADICTION: Final = Refusal(
    Category.INVALID,
    Code.ORDER_TYPE_CONTRADICTION,
    "Limit and stop_limit have a price, market and stop have none; the two stops have a stop price",
)
SELF_TRADE_PREVENTION_NOT_ALLOWED: Final = Refusal(
    Category.INVALID,
    Code.SELF_TRADE_PREVENTION_NOT_ALLOWED,
    "This game prevents self-trades: an order may choose how, not whether",
)
NOTHING_TO_AMEND: Final = Refusal(
    Category.INVALID, Code.INVALID_REQUEST, "An amend needs a new quantity, price or stop price"
)
QUOTES_NOT_ALLOWED: Final = Refusal(
    Category.FORBIDDEN, Code.QUOTES_NOT_ALLOWED, "Your role may send orders, not quotes"
)
QUOTE_EMPTY: Final = Refusal(
    Category.INVALID, Code.QUOTE_EMPTY, "A quote has a bid, an ask or both; cancel a quote to have neither"
)
QUOTE_NOT_AMENDED: Final = Refusal(
    Category.INVALID,
    Code.CONTROL_CONTRADICTION,
    "The order is one side of a quote: quote anew to change it",
    {"field": "quote_group"},
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


# --- order controls -------------------------------------------------------------------------------------


def time_in_force_not_allowed(order: NewOrder) -> Refusal:
    """The type of the order does not go with it."""
    order_type, time_in_force = order.order_type.value, order.time_in_force.value
    return Refusal(
        Category.INVALID,
        Code.TIME_IN_FORCE_NOT_ALLOWED,
        f"A {order_type} order cannot be {time_in_force}",
        {"order_type": order_type, "time_in_force": time_in_force},
    )


def time_in_force_not_in_phase(order: NewOrder, phase: Phase, is_call: bool) -> Refusal:
    """Fill-or-kill in a call, at-the-open at any other time than before the opening."""
    time_in_force = order.time_in_force.value
    is_batched = is_call and phase is Phase.CONTINUOUS and order.time_in_force is TimeInForce.FOK
    when = _BATCHED if is_batched else f"while the market is {phase.value}"
    return Refusal(
        Category.INVALID,
        Code.TIME_IN_FORCE_NOT_ALLOWED,
        f"An order cannot be {time_in_force} {when}",
        {"time_in_force": time_in_force, "phase": phase.value},
    )


def rests_past_close(order: NewOrder, close_us: int | None = None) -> Refusal:
    """The close cancels every order, so none can be promised to outlast it."""
    details = {"time_in_force": order.time_in_force.value}
    close = {} if close_us is None else {"close_us": close_us}
    return Refusal(
        Category.INVALID,
        Code.TIME_IN_FORCE_NOT_ALLOWED,
        "The close of the market cancels every order: send a day order, or gtd until then",
        {**details, **close},
    )


def control_contradiction(field: str, rule: str) -> Refusal:
    """Two terms of the order exclude one another."""
    return Refusal(Category.INVALID, Code.CONTROL_CONTRADICTION, f"{field} {rule}", {"field": field})


def expires_at_out_of_range(expires_at_us: int, now_us: int) -> Refusal:
    """Not in the future, or too far in it."""
    return Refusal(
        Category.INVALID,
        Code.EXPIRES_AT_OUT_OF_RANGE,
        f"expires_at must lie in the future, by at most {MAX_EXPIRY_US // 86_400_000_000} days",
        {"expires_at_us": expires_at_us, "now_us": now_us},
    )


def post_only_not_allowed(phase: Phase) -> Refusal:
    """In a call, to which ``phase`` belongs, nobody knows who will have been first."""
    when = _BATCHED if phase is Phase.CONTINUOUS else f"while the market is {phase.value}"
    return Refusal(
        Category.CONFLICT,
        Code.POST_ONLY_NOT_ALLOWED,
        f"An order cannot be post-only {when}",
        {"phase": phase.value},
    )


def display_quantity_out_of_range(display_quantity: int, quantity: int) -> Refusal:
    """More than there is, or so little that the order would come back for ever."""
    return Refusal(
        Category.INVALID,
        Code.DISPLAY_QUANTITY_OUT_OF_RANGE,
        "display_quantity must be at most the quantity, and at least a hundredth of it",
        {"display_quantity": display_quantity, "order_quantity": quantity},
    )


def reduce_only_refused(instrument_id: str, position: int, open_quantity: int, increase: int) -> Refusal:
    """With everything open on its side filled the position would not only get smaller."""
    return Refusal(
        Category.INVALID,
        Code.REDUCE_ONLY_REFUSED,
        "With the open orders of its side filled, this order would turn the position round or build one up",
        _reduction(instrument_id, position, open_quantity, increase),
    )


def reduce_only_open(instrument_id: str, position: int, open_quantity: int, increase: int) -> Refusal:
    """An order beside a reduce-only one of its side; together they pass the position."""
    return Refusal(
        Category.INVALID,
        Code.REDUCE_ONLY_OPEN,
        "A reduce-only order of this side is open: all orders of the side together are held to the position",
        _reduction(instrument_id, position, open_quantity, increase),
    )


def too_many_stop_orders(instrument_id: str) -> Refusal:
    """As many as a team may have in one instrument."""
    return Refusal(
        Category.INVALID,
        Code.TOO_MANY_STOP_ORDERS,
        f"A team may have {MAX_STOP_ORDERS} stop orders in one instrument",
        {"instrument_id": instrument_id, "limit": MAX_STOP_ORDERS},
    )


def _reduction(instrument_id: str, position: int, open_quantity: int, increase: int) -> dict[str, str | int]:
    return {
        "instrument_id": instrument_id,
        "current_position": position,
        "open_quantity": open_quantity,
        "order_quantity": increase,
    }


def quote_too_small(quantity: int, min_quantity: int) -> Refusal:
    """A side has fewer lots than the role must show."""
    return Refusal(
        Category.INVALID,
        Code.QUOTE_TOO_SMALL,
        f"Each side of a quote must have at least {min_quantity} lots",
        {"quantity": quantity, "min_quantity": min_quantity},
    )


def quote_crossed(instrument_id: str, bid_ticks: int, ask_ticks: int) -> Refusal:
    """It would trade with itself."""
    return Refusal(
        Category.INVALID,
        Code.QUOTE_CROSSED,
        "The bid of a quote must be below its ask",
        {"instrument_id": instrument_id, "bid_ticks": bid_ticks, "ask_ticks": ask_ticks},
    )


def quote_spread_too_wide(instrument_id: str, bid_ticks: int, ask_ticks: int, widest: int) -> Refusal:
    """Bid and ask are further apart than the role may quote."""
    return Refusal(
        Category.INVALID,
        Code.QUOTE_SPREAD_TOO_WIDE,
        "The spread of the quote is too wide",
        {
            "instrument_id": instrument_id,
            "bid_ticks": bid_ticks,
            "ask_ticks": ask_ticks,
            "max_spread_ticks": widest,
        },
    )


def quotes_frozen(quote_group: str) -> Refusal:
    """Its protection ended the quotes of this group."""
    return Refusal(
        Category.CONFLICT,
        Code.QUOTES_FROZEN,
        "Market-maker protection has frozen this group of quotes; set the protection anew to go on",
        {"quote_group": quote_group},
    )


def too_many_quote_groups(limit: int) -> Refusal:
    """Each protected group is remembered for the whole game."""
    return Refusal(
        Category.CONFLICT,
        Code.TOO_MANY_QUOTE_GROUPS,
        "Your team protects as many groups of quotes as it may",
        {"limit": limit},
    )
