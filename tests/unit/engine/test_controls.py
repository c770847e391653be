"""Orders with terms where they meet each other: icebergs, self-trade prevention, fill-or-kill, amends."""

from __future__ import annotations

import pytest

from exchange.engine.venue import Venue
from exchange.model.commands import AmendOrder, AnyCommand, NewOrder, OrderTerms, Record
from exchange.model.events import Acknowledged, Amended, AnyVenueEvent, Cancelled, Decremented, Traded
from exchange.model.types import CancelReason, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import rules

BUY, SELL = Side.BUY, Side.SELL
MINE = 1


def _order(
    account: int,
    side: Side,
    quantity: int,
    price_ticks: int = 100,
    display: int | None = None,
    tif: TimeInForce = TimeInForce.GTC,
) -> NewOrder:
    terms = None if display is None else OrderTerms(display_quantity=display)
    return NewOrder(account, "X", side, OrderType.LIMIT, price_ticks, quantity, tif, None, "", terms)


def _apply(prevention: SelfTradePrevention, *commands: AnyCommand) -> list[AnyVenueEvent]:
    """The events of the last command."""
    venue, events = Venue(rules(prevention)), list[AnyVenueEvent]()
    for sequence, command in enumerate(commands, 1):
        events = venue.apply(Record(sequence, 0, command))
    return events


def _fills(events: list[AnyVenueEvent]) -> list[tuple[int, int]]:
    return [(each.maker_order_id, each.quantity) for each in events if isinstance(each, Traded)]


@pytest.mark.parametrize("prevention", [SelfTradePrevention.CANCEL_MAKER, SelfTradePrevention.DECREMENT])
def test_iceberg_refilled_after_an_own_order_takes_a_place_of_its_own(
    prevention: SelfTradePrevention,
) -> None:
    """Two icebergs with one own order between them: both refill, in the order in which they were used up."""
    events = _apply(
        prevention,
        _order(2, BUY, 9, display=1),
        _order(MINE, BUY, 1),
        _order(3, BUY, 9, display=1),
        _order(MINE, SELL, 6),
    )
    own = int(prevention is SelfTradePrevention.DECREMENT)
    assert _fills(events) == [(1, 1), (3, 1), (1, 1), (3, 1), (1, 1), (3, 1)][: 6 - own]


@pytest.mark.parametrize(
    ("prevention", "quantity", "fills"),
    [
        (SelfTradePrevention.CANCEL_TAKER, 3, []),
        (SelfTradePrevention.CANCEL_TAKER, 2, [(1, 2)]),
        (SelfTradePrevention.CANCEL_BOTH, 3, []),
        (SelfTradePrevention.DECREMENT, 3, []),
        (SelfTradePrevention.CANCEL_MAKER, 9, [(1, 2), (1, 2), (1, 2), (1, 2), (1, 1)]),
        (SelfTradePrevention.CANCEL_MAKER, 10, []),
        (SelfTradePrevention.NONE, 10, [(1, 2), (2, 1), (1, 2), (1, 2), (1, 2), (1, 1)]),
        (SelfTradePrevention.NONE, 11, []),
    ],
)
def test_fok_counts_what_an_iceberg_hides_behind_an_own_order(
    prevention: SelfTradePrevention, quantity: int, fills: list[tuple[int, int]]
) -> None:
    """Filled whole or not at all: it never gets to the hidden lots where it would stop at its own."""
    fok = _order(MINE, SELL, quantity, tif=TimeInForce.FOK)
    events = _apply(prevention, _order(2, BUY, 9, display=2), _order(MINE, BUY, 1), fok)
    assert _fills(events) == fills
    ends = [each.reason for each in events if isinstance(each, Cancelled) and each.order_id == 3]
    assert ends == ([] if fills else [CancelReason.FOK])


def test_fok_reaches_what_an_iceberg_hides_at_a_better_price() -> None:
    """An own order at a worse price is behind that."""
    fok = _order(MINE, SELL, 9, tif=TimeInForce.FOK)
    mode = SelfTradePrevention.CANCEL_TAKER
    events = _apply(mode, _order(2, BUY, 9, 101, display=3), _order(MINE, BUY, 5), fok)
    assert _fills(events) == [(1, 3), (1, 3), (1, 3)]


def test_amend_that_loses_lots_to_its_own_tells_so_before_the_trade_that_fills_it() -> None:
    """The total is lowered first, so that one trade ends the order; what it counted at is the old price."""
    events = _apply(
        SelfTradePrevention.DECREMENT,
        _order(MINE, SELL, 4, 101),
        _order(2, SELL, 9, 101),
        _order(MINE, BUY, 10, 99),
        AmendOrder(MINE, 3, "X", None, 101, ""),
    )
    assert events == [
        Cancelled(1, "X", SELL, 101, 4, CancelReason.SELF_TRADE),
        Decremented(3, "X", BUY, 99, 4, 6, 6),
        Traded(1, "X", 101, 6, 2, 3, 2, MINE, BUY),
        Amended(3, "X", BUY, 101, 6, 0, 99, 6),
    ]


def test_fok_is_acknowledged_before_it_ends() -> None:
    """A refusal that depends on the book is the end of an order that was taken."""
    events = _apply(SelfTradePrevention.NONE, _order(MINE, BUY, 5, tif=TimeInForce.FOK))
    assert events == [
        Acknowledged(1, "X", BUY, 100, 5),
        Cancelled(1, "X", BUY, 100, 5, CancelReason.FOK),
    ]
