"""What is accepted is honoured: every accepted combination, carried to its end, against a model by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from exchange.model.commands import ExpireOrders, OrderTerms, SetPhase
from exchange.model.events import (
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrderEvent,
    OrderTriggered,
)
from exchange.model.order import OrderStatus
from exchange.model.rules import ClosingCancels
from exchange.model.types import (
    CancelReason,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.services.orders.order import Order
from tests.scenarios.controls import (
    COLUMNS,
    DISPLAYS,
    EXPIRIES,
    INSTRUMENT,
    OTHER,
    QUANTITY,
    THIRD,
    TRADER,
    Run,
    Terms,
    every_terms,
    expected,
    game,
    limit_order,
    open_game,
)

IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class Outcome(NamedTuple):
    """What an order has come to. ``shown`` lots of it stand in the public book, at ``price``."""

    status: str
    filled: int = 0
    reason: str | None = None
    shown: int = 0
    price: int | None = None


def after_entry(terms: Terms, phase: Phase, lots: int) -> Outcome:
    """Right after it was entered, with ``lots`` of another team on the other side, at 100, its own limit."""
    waits = terms.order_type.is_stop and (phase is not Phase.CONTINUOUS or terms.side is Side.SELL)
    if waits:
        # The last price is 100: a sale at 90 is not due, a purchase at 90 is, but not before an auction.
        return Outcome("untriggered")
    if phase is not Phase.CONTINUOUS:
        return Outcome("open")
    if terms.time_in_force is TimeInForce.FOK and lots < QUANTITY:
        return Outcome("cancelled", reason="fok")
    if terms.post_only is PostOnly.REFUSE and lots:
        return Outcome("cancelled", reason="post_only")
    moved = terms.post_only is PostOnly.REPRICE and bool(lots)
    filled = 0 if moved else min(lots, QUANTITY)
    left = QUANTITY - filled
    if not left:
        return Outcome("filled", filled)
    if not terms.order_type.has_price:
        return Outcome("cancelled", filled, "no_liquidity")
    if terms.time_in_force in IMMEDIATE:
        return Outcome("cancelled", filled, "ioc_remainder")
    shown = min(left, DISPLAYS[terms.display] or left)
    price = 100 - terms.side.sign if moved else 100
    return Outcome("partially_filled" if filled else "open", filled, None, shown, price)


def accepted(phase: Phase, closing: ClosingCancels | None) -> Iterator[Terms]:
    """Every combination that the table lets pass."""
    closes = closing is ClosingCancels.ALL
    return (each for each in every_terms() if expected(each, phase, closes) is None)


def shown_lots(run: Run, side: Side) -> int:
    """All that the public book shows on one side."""
    depth = run.core.venue.depth(INSTRUMENT, 10)
    return sum(lots for _, lots in (depth.bids if side is Side.BUY else depth.asks))


def enter(run: Run, terms: Terms) -> Order:
    """Enter the order; what is known of it afterwards."""
    order = run.core.register.get(run.enter(terms.order()).sequence)
    assert order is not None
    return order


def outcome(run: Run, order: Order, terms: Terms, phase: Phase) -> Outcome:
    """How the order stands, as its owner and the public see it."""
    reason = None if order.cancel_reason is None else order.cancel_reason.value
    # Before an auction all of an order is in the book; what the model says of it is what it does there.
    is_shown = phase is Phase.CONTINUOUS and order.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
    shown = shown_lots(run, terms.side) if is_shown else 0
    return Outcome(
        order.status.value, order.filled_quantity, reason, shown, order.price_ticks if is_shown else None
    )


def story(run: Run, order: Order) -> list[str]:
    """What the owner was told of the order, in order."""
    names = {
        NewOrderAck: "ack",
        OrderTriggered: "triggered",
        ExecutionReport: "fill",
        OrderAmended: "amended",
        OrderCancelled: "cancelled",
    }
    return [
        names[type(each)]
        for each in run.told
        if isinstance(each, OrderEvent) and each.order_id == order.order_id
    ]


def check_story(run: Run, order: Order, terms: Terms) -> None:
    """Acknowledged first, with all its terms; triggered before it fills; one end, and nothing after it."""
    ack = next(each for each in run.told if isinstance(each, NewOrderAck) and each.order_id == order.order_id)
    assert ack.terms == terms.order().terms
    told = story(run, order)
    assert told[0] == "ack"
    assert told.count("ack") == 1
    ends = told.count("cancelled") + (order.filled_quantity == order.quantity)
    assert ends == order.status.is_final
    assert "cancelled" not in told[:-1]
    if terms.order_type.is_stop and "fill" in told:
        assert told.index("triggered") < told.index("fill")


@pytest.mark.parametrize("lots", [0, 3, 9])
@pytest.mark.parametrize("phase", COLUMNS)
@pytest.mark.parametrize("closing", [None, ClosingCancels.ALL])
def test_accepted_order_does_what_it_says(closing: ClosingCancels | None, phase: Phase, lots: int) -> None:
    """Against an empty book, one that fills it in part and one that fills it whole."""
    for terms in accepted(phase, closing):
        run = open_game(closing, phase)
        if lots:
            run.limit(OTHER, terms.side.opposite, lots, 100)
        order = enter(run, terms)
        assert outcome(run, order, terms, phase) == after_entry(terms, phase, lots), terms
        check_story(run, order, terms)


@pytest.mark.parametrize("phase", COLUMNS)
@pytest.mark.parametrize("closing", [None, *ClosingCancels])
def test_accepted_order_lasts_as_long_as_it_says(closing: ClosingCancels | None, phase: Phase) -> None:
    """To its expiry, to the auction it was for, to the close, or beyond."""
    for terms in accepted(phase, closing):
        run = open_game(closing, phase)
        order = enter(run, terms)
        if phase is not Phase.CONTINUOUS and phase is not Phase.PRE_CLOSE:
            run.enter(SetPhase(Phase.CONTINUOUS, "test"))
            check_after_auction(order, terms)
        live = not order.status.is_final
        run.enter(ExpireOrders(EXPIRIES["soon"] or 0))
        if live:
            assert (order.cancel_reason is CancelReason.EXPIRED) is (terms.expires == "soon"), terms
        live = not order.status.is_final
        run.enter(SetPhase(Phase.CLOSED, "test"))
        outlasts = closing is ClosingCancels.DAY and terms.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
        if live:
            assert order.status.is_final is not outlasts, terms
            assert outlasts or order.cancel_reason is CancelReason.MARKET_CLOSE
        check_story(run, order, terms)
        if order.status.is_final:
            exposure = run.core.exposure
            assert exposure.open_quantity(TRADER, INSTRUMENT, terms.side) == 0
            assert exposure.stop_orders(TRADER, INSTRUMENT) == exposure.reduce_only_orders == 0


def check_after_auction(order: Order, terms: Terms) -> None:
    """Nothing traded in it: what was for this auction alone has ended, and a due stop took its turn."""
    if terms.time_in_force in (TimeInForce.IOC, TimeInForce.AT_THE_OPEN):
        assert order.status is OrderStatus.CANCELLED, terms
    elif terms.order_type is OrderType.STOP and terms.side is Side.BUY:
        assert order.cancel_reason is CancelReason.NO_LIQUIDITY, terms
    elif terms.order_type.is_stop and terms.side is Side.SELL:
        assert order.status is OrderStatus.UNTRIGGERED, terms
    else:
        assert order.status is OrderStatus.OPEN, terms


@pytest.mark.parametrize("game_mode", [SelfTradePrevention.CANCEL_TAKER, SelfTradePrevention.CANCEL_BOTH])
@pytest.mark.parametrize(
    ("mode", "own", "other", "incoming"),
    [
        # Own orders of 3 at 100, then another team's 4, against 5: what becomes of the three.
        ("cancel_taker", "open 0", "open 0", "cancelled 0"),
        ("cancel_maker", "cancelled 0", "filled 4", "partially_filled 4"),
        ("cancel_both", "cancelled 0", "open 0", "cancelled 0"),
        ("decrement", "cancelled 0", "partially_filled 2", "filled 2"),
    ],
)
def test_self_trade_is_prevented_as_the_order_asks(
    game_mode: SelfTradePrevention, mode: str, own: str, other: str, incoming: str
) -> None:
    """Whatever the rule of the game is for orders that ask for nothing."""
    run = Run(replace(game(None), self_trade_prevention=game_mode))
    run.open()
    made = [run.limit(TRADER, Side.SELL, 3, 100), run.limit(OTHER, Side.SELL, 4, 100)]
    terms = OrderTerms(self_trade_prevention=SelfTradePrevention(mode))
    made.append(run.enter(replace(limit_order(TRADER, Side.BUY, QUANTITY), terms=terms)))
    found = [run.core.register.get(record.sequence) for record in made]
    told = [f"{each.status.value} {each.filled_quantity}" for each in found if each is not None]
    assert told == [own, other, incoming]


def test_order_that_outlasts_the_close_trades_the_next_day() -> None:
    """Its place in the queue is that of yesterday: the next day's orders stand behind it."""
    run = open_game(ClosingCancels.DAY)
    orders = [
        run.enter(replace(limit_order(TRADER, Side.BUY, 2), time_in_force=time_in_force))
        for time_in_force in (TimeInForce.DAY, TimeInForce.GTC)
    ]
    for phase in (Phase.CLOSED, Phase.PRE_OPEN):
        run.enter(SetPhase(phase, "test"))
    orders.append(run.limit(OTHER, Side.BUY, 2, 100))
    run.limit(THIRD, Side.SELL, 3, 100)
    run.enter(SetPhase(Phase.OPENING_AUCTION, "test"))
    found = [run.core.register.get(record.sequence) for record in orders]
    assert [each.filled_quantity for each in found if each is not None] == [0, 2, 1]
