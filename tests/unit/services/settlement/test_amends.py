"""What amends do to orders and reservations."""

from __future__ import annotations

import pytest

from exchange.model.commands import AmendOrder
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    Cancelled,
    Decremented,
    ExecutionReport,
    OrderAmended,
    OrderCancelled,
    Traded,
)
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason, Side
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def _amend(order_id: int, quantity: int | None, price_ticks: int | None = None) -> AmendOrder:
    return AmendOrder(1, order_id, "X", quantity, price_ticks, "amend")


def _status(desk: Desk, order_id: int) -> OrderStatus:
    report = desk.register.report(order_id)
    assert report is not None
    return report.status


def test_amended_down_frees_lots() -> None:
    """A smaller total gives the difference back."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, client_order_id="a"))
    record = desk.admit(_amend(1, 4, 98))
    settled = desk.settle(record, Amended(1, "X", BUY, 98, 4, 4, 100, 10))
    assert settled.private == [
        OrderAmended(1, 2, record.timestamp_us, 1, "a", "amend", "X", BUY, 98, 4, 0, 4)
    ]
    assert desk.exposure.open_quantity(1, "X", BUY) == 4


def test_amended_up_uses_its_reservation() -> None:
    """Open lots grow when the amend is admitted, and stay when it settles."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    record = desk.admit(_amend(1, 25))
    assert desk.exposure.open_quantity(1, "X", BUY) == 25
    desk.settle(record, Amended(1, "X", BUY, 100, 25, 25, 100, 10))
    assert desk.exposure.open_quantity(1, "X", BUY) == 25
    assert not desk.register.has_pending_amend(1)


def test_amends_in_flight_reserve_for_every_order_of_events() -> None:
    """10 to 20 to 15: open up to the largest total there may be; what settles frees the rest."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    first, second = desk.admit(_amend(1, 20)), desk.admit(_amend(1, 15))
    assert desk.exposure.open_quantity(1, "X", BUY) == 20
    desk.settle(first, Amended(1, "X", BUY, 100, 20, 20, 100, 10))
    assert desk.exposure.open_quantity(1, "X", BUY) == 20
    desk.settle(second, Amended(1, "X", BUY, 100, 15, 15, 100, 20))
    assert desk.exposure.open_quantity(1, "X", BUY) == 15


def test_amend_refused_gives_its_reservation_back() -> None:
    """The order was filled meanwhile: nothing of the amend remains."""
    desk = Desk()
    maker = desk.rest(new_order(1, SELL, 10))
    taker = desk.admit(new_order(2, BUY, 10))
    amend = desk.admit(_amend(maker, 30))
    desk.settle(taker, Acknowledged(2, "X", BUY, 100, 10), Traded(1, "X", 100, 10, 1, 2, 1, 2, BUY))
    assert desk.exposure.open_quantity(1, "X", SELL) == 20
    settled = desk.settle(amend, AmendRefused(maker))
    assert settled.private == []
    assert desk.exposure.open_quantity(1, "X", SELL) == 0


def test_amend_below_filled_cancels_and_gives_its_reservation_back() -> None:
    """10 in flight to 2, then to 15 with 5 reserved; 6 fill meanwhile, so the first amend ends the order."""
    desk = Desk()
    desk.rest(new_order(1, SELL, 10))
    taker = desk.admit(new_order(2, BUY, 6))
    first, second = desk.admit(_amend(1, 2)), desk.admit(_amend(1, 15))
    assert desk.exposure.open_quantity(1, "X", SELL) == 15
    desk.settle(taker, Acknowledged(2, "X", BUY, 100, 6), Traded(1, "X", 100, 6, 1, 2, 1, 2, BUY))
    settled = desk.settle(first, Cancelled(1, "X", SELL, 100, 4, CancelReason.AMENDED_BELOW_FILLED))
    (cancelled,) = settled.private
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.request_id, cancelled.cancelled_quantity) == ("amend", 4)
    desk.settle(second, AmendRefused(1))
    assert desk.exposure.open_quantity(1, "X", SELL) == 0


def test_amend_that_trades_beyond_the_old_total_fills_the_new_one() -> None:
    """A crossing amend from 10 to 20 fills 15: the reports count towards 20, ``order_amended`` comes last."""
    desk = Desk()
    desk.rest(new_order(2, SELL, 15, 101))
    desk.rest(new_order(1, BUY, 10, 100))
    record = desk.admit(_amend(2, 20, 101))
    settled = desk.settle(
        record,
        Traded(1, "X", 101, 15, 1, 2, 2, 1, BUY),
        Amended(2, "X", BUY, 101, 20, 5, 100, 10),
    )
    taken = settled.private[1]
    assert isinstance(taken, ExecutionReport)
    assert (taken.filled_quantity, taken.remaining_quantity, taken.request_id) == (15, 5, "entered")
    amended = settled.private[-1]
    assert isinstance(amended, OrderAmended)
    assert (amended.filled_quantity, amended.remaining_quantity) == (15, 5)
    assert _status(desk, 2) is OrderStatus.PARTIALLY_FILLED
    assert desk.exposure.open_quantity(1, "X", BUY) == 5


def test_amend_that_trades_all_of_a_smaller_total_fills_the_order() -> None:
    """From 10 to 8 at a crossing price: 8 trade, the order is filled, then told as amended."""
    desk = Desk()
    desk.rest(new_order(2, SELL, 15, 101))
    desk.rest(new_order(1, BUY, 10, 100))
    record = desk.admit(_amend(2, 8, 101))
    settled = desk.settle(
        record, Traded(1, "X", 101, 8, 1, 2, 2, 1, BUY), Amended(2, "X", BUY, 101, 8, 0, 100, 10)
    )
    assert isinstance(settled.private[-1], OrderAmended)
    assert _status(desk, 2) is OrderStatus.FILLED
    assert desk.exposure.open_quantity(1, "X", BUY) == desk.exposure.resting_orders(1, "X", BUY) == 0


def test_amend_that_loses_lots_to_its_own_and_trades_the_rest_fills_the_order() -> None:
    """A total of 10, of which 4 go to self-trade prevention and 6 trade: filled, and nothing is left."""
    desk = Desk()
    desk.rest(new_order(2, SELL, 15, 101))
    desk.rest(new_order(1, BUY, 10, 100))
    record = desk.admit(_amend(2, 10, 101))
    settled = desk.settle(
        record,
        Decremented(2, "X", BUY, 100, 4, 6, 6),
        Traded(1, "X", 101, 6, 1, 2, 2, 1, BUY),
        Amended(2, "X", BUY, 101, 6, 0, 100, 6),
    )
    lowered, *_, amended = settled.private
    assert isinstance(lowered, OrderAmended)
    assert isinstance(amended, OrderAmended)
    assert (lowered.remaining_quantity, lowered.is_self_trade) == (6, True)
    assert (amended.quantity, amended.filled_quantity, amended.is_self_trade) == (6, 6, False)
    assert _status(desk, 2) is OrderStatus.FILLED
    assert desk.register.open_orders(1) == []
    assert desk.exposure.open_quantity(1, "X", BUY) == desk.exposure.resting_orders(1, "X", BUY) == 0


@pytest.mark.parametrize("told_amended", [True, False])
def test_amend_stopped_by_self_trade_prevention(told_amended: bool) -> None:
    """What the amend traded counts towards the new total, also if the order ends at the team's own order."""
    desk = Desk()
    desk.rest(new_order(2, SELL, 15, 101))
    desk.rest(new_order(1, BUY, 10, 100))
    record = desk.admit(_amend(2, 20, 101))
    amended = [Amended(2, "X", BUY, 101, 20, 5, 100, 10)] if told_amended else []
    settled = desk.settle(
        record,
        Traded(1, "X", 101, 15, 1, 2, 2, 1, BUY),
        *amended,
        Cancelled(2, "X", BUY, 101, 5, CancelReason.SELF_TRADE),
    )
    cancelled = settled.private[-1]
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.cancelled_quantity, cancelled.filled_quantity) == (5, 15)
    assert cancelled.request_id == "amend"
    assert desk.exposure.open_quantity(1, "X", BUY) == 0


def test_amend_of_an_order_a_replay_has_forgotten_is_only_refused() -> None:
    """A replay admits in step with settle: the order may have left the register before its amend came."""
    desk = Desk(finished_per_team=1)
    for trade_id in (1, 2):
        desk.trade(new_order(1, SELL, 1), new_order(2, BUY, 1), trade_id)
    assert desk.register.get(1) is None
    settled = desk.settle(desk.admit(_amend(1, 5)), AmendRefused(1))
    assert settled.private == []


def test_amend_that_grew_beyond_its_reservation_is_a_bug() -> None:
    """Settle never opens lots that admission did not reserve."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    record = desk.admit(_amend(1, None, 99))
    with pytest.raises(AssertionError):
        desk.settle(record, Amended(1, "X", BUY, 99, 11, 11, 100, 10))


def test_decrement_gives_back_what_no_amend_in_flight_may_use() -> None:
    """10 lose 4 to self-trade prevention, an amend to 9 under way: 1 is free, 3 more if it fails."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    other = desk.admit(new_order(1, SELL, 4))
    amend = desk.admit(_amend(1, 9))
    assert desk.exposure.open_quantity(1, "X", BUY) == 10
    settled = desk.settle(
        other,
        Acknowledged(2, "X", SELL, 100, 4),
        Decremented(1, "X", BUY, 100, 4, 6, 6),
        Cancelled(2, "X", SELL, 100, 4, CancelReason.SELF_TRADE),
    )
    amended = settled.private[1]
    assert isinstance(amended, OrderAmended)
    assert (amended.quantity, amended.remaining_quantity, amended.is_self_trade) == (6, 6, True)
    assert desk.exposure.open_quantity(1, "X", BUY) == 9
    desk.settle(amend, AmendRefused(1, would_trade=True))
    assert desk.exposure.open_quantity(1, "X", BUY) == 6
