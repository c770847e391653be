"""What settle books and tells for each event of the venue."""

from __future__ import annotations

import pytest

from exchange.model.commands import CancelOrder, CancelOrders, CancelScope, SetPhase
from exchange.model.events import (
    Acknowledged,
    AnyPrivateEvent,
    Cancelled,
    ExecutionReport,
    NewOrderAck,
    OrderCancelled,
    PhaseChanged,
    PositionUpdate,
    Traded,
)
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason, Liquidity, OrderType, Phase, Side, TimeInForce
from tests.support.settling import EDGE, Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def _status(desk: Desk, order_id: int) -> OrderStatus:
    report = desk.register.report(order_id)
    assert report is not None
    return report.status


# --- acknowledgements and trades ----------------------------------------------------------------


def test_acknowledged_tells_the_order_as_it_was_sent() -> None:
    """The acknowledgement carries every identifier and the terms."""
    desk = Desk()
    record = desk.admit(new_order(1, BUY, 10, 99, client_order_id="a"))
    settled = desk.settle(record, Acknowledged(1, "X", BUY, 99, 10))
    assert settled.private == [
        NewOrderAck(
            1,
            1,
            record.timestamp_us,
            1,
            "a",
            "entered",
            "X",
            BUY,
            OrderType.LIMIT,
            TimeInForce.GTC,
            99,
            10,
        )
    ]
    assert settled.wishes == ()
    assert _status(desk, 1) is OrderStatus.OPEN


def test_acknowledged_market_order_has_no_price() -> None:
    """The edge of the band that match gave a market order is not its price."""
    desk = Desk()
    record = desk.admit(new_order(1, BUY, 10, None))
    (ack,) = desk.settle(record, Acknowledged(1, "X", BUY, EDGE, 10)).private
    assert isinstance(ack, NewOrderAck)
    assert ack.price_ticks is None


def test_traded_tells_maker_then_taker_then_positions() -> None:
    """Both sides are told of their fill, with exec_id, liquidity and fees of their own, then of positions."""
    desk = Desk()
    maker = new_order(1, SELL, 10, 100, client_order_id="m")
    settled = desk.trade(maker, new_order(2, BUY, 4, 105, client_order_id="t"), trade_id=7)
    now = 1_000_010
    assert settled.private[1:] == [
        ExecutionReport(1, 2, now, 1, "m", "entered", "X", SELL, 13, 7, 100, 4, Liquidity.MAKER, 800, 4, 6),
        ExecutionReport(2, 2, now, 2, "t", "entered", "X", BUY, 14, 7, 100, 4, Liquidity.TAKER, -800, 4, 0),
        PositionUpdate(1, 3, now, "X", -4, -4_000_000, 0, 4_000_000, 800),
        PositionUpdate(2, 3, now, "X", 4, 4_000_000, 0, -4_000_000, -800),
    ]
    assert (_status(desk, 1), _status(desk, 2)) == (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)


def test_traded_turns_reservations_into_position() -> None:
    """Open lots become position on both sides; the filled order no longer counts as resting."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 10), new_order(2, BUY, 4))
    exposure = desk.exposure
    assert (exposure.position(1, "X"), exposure.position(2, "X")) == (-4, 4)
    assert (exposure.open_quantity(1, "X", SELL), exposure.open_quantity(2, "X", BUY)) == (6, 0)
    assert (exposure.resting_orders(1, "X", SELL), exposure.resting_orders(2, "X", BUY)) == (1, 0)


def test_self_trade_nets_to_zero_with_fees_on_both_sides() -> None:
    """A team that trades with itself is told of both fills and once of its unchanged position."""
    desk = Desk()
    settled = desk.trade(new_order(1, SELL, 10), new_order(1, BUY, 10))
    maker, taker, update = settled.private[1:]
    assert isinstance(maker, ExecutionReport)
    assert isinstance(taker, ExecutionReport)
    assert (maker.exec_id, maker.fees, taker.exec_id, taker.fees) == (1, 2_000, 2, -1_000)
    assert isinstance(update, PositionUpdate)
    assert (update.position, update.cost, update.cash, update.fees) == (0, 0, 0, 1_000)
    assert [event.seq for event in settled.private] == [2, 3, 4, 5]
    assert desk.exposure.open_instruments(1) == []


def test_traded_with_the_wrong_account_is_a_bug() -> None:
    """The venue's accounts must be those of the orders."""
    desk = Desk()
    desk.rest(new_order(1, SELL, 10))
    record = desk.admit(new_order(2, BUY, 10))
    with pytest.raises(AssertionError):
        desk.settle(record, Acknowledged(2, "X", BUY, 100, 10), Traded(1, "X", 100, 10, 1, 2, 3, 2, BUY))


def test_private_events_are_numbered_per_team() -> None:
    """Each team counts its own events from 1, without gaps."""
    desk = Desk()
    told: list[AnyPrivateEvent] = []
    for trade_id in (1, 2):
        told += desk.trade(new_order(1, SELL, 1), new_order(2, BUY, 1), trade_id).private
    assert [event.seq for event in told if event.account == 2] == [1, 2, 3, 4, 5, 6]
    assert desk.settlement.streams.last(1) == 6


# --- cancels ------------------------------------------------------------------------------------


def test_cancelled_gives_back_what_was_left() -> None:
    """The remaining lots are open no more and nothing else changes."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 10), new_order(2, BUY, 4))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    settled = desk.settle(record, Cancelled(1, "X", SELL, 100, 6, CancelReason.REQUESTED))
    assert settled.private == [
        OrderCancelled(
            1, 4, record.timestamp_us, 1, None, "cancel", "X", SELL, 100, 6, 4, CancelReason.REQUESTED
        )
    ]
    assert desk.exposure.position(1, "X") == -4
    assert desk.exposure.open_quantity(1, "X", SELL) == desk.exposure.resting_orders(1, "X", SELL) == 0


def test_cancelled_market_remainder_has_no_price() -> None:
    """An immediate order that found nothing ends within its own command, under its own request."""
    desk = Desk()
    record = desk.admit(new_order(1, BUY, 10, None))
    settled = desk.settle(
        record,
        Acknowledged(1, "X", BUY, EDGE, 10),
        Cancelled(1, "X", BUY, EDGE, 10, CancelReason.NO_LIQUIDITY),
    )
    _, cancelled = settled.private
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.price_ticks, cancelled.request_id) == (None, "entered")
    assert desk.exposure.open_instruments(1) == []


def test_cancelled_by_the_system_carries_the_request_that_entered_it() -> None:
    """Nobody asked for this cancel: the request is that of the order."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    record = desk.admit(CancelOrders(1, (CancelScope(),), CancelReason.MARKET_CLOSE))
    (cancelled,) = desk.settle(record, Cancelled(1, "X", BUY, 100, 10, CancelReason.MARKET_CLOSE)).private
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.request_id, cancelled.reason) == ("entered", CancelReason.MARKET_CLOSE)


def test_cancelled_with_other_lots_than_the_register_is_a_bug() -> None:
    """Match and register must agree on what was left."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    with pytest.raises(AssertionError):
        desk.settle(record, Cancelled(1, "X", BUY, 100, 9, CancelReason.REQUESTED))


def test_phase_change_tells_no_team() -> None:
    """A phase is told to everyone by publish, not in private streams."""
    desk = Desk()
    record = desk.admit(SetPhase(Phase.HALTED, "operator"))
    assert desk.settle(record, PhaseChanged(Phase.HALTED, "operator")).private == []
