"""Order controls at admission, beyond the table of tests/scenarios: figures, amends, holdings."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from exchange.base.bounds import MAX_EXPIRY_US, MAX_PRICE_TICKS, MAX_QUANTITY, MAX_STOP_ORDERS
from exchange.model.answers import OrderAnswer
from exchange.model.commands import AmendOrder, AnyCommand, NewOrder, OrderTerms, Record, SetPhase
from exchange.model.order import OrderStatus
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.rules import BatchAuctions, Closing, ClosingCancels, GameRules
from exchange.model.schedule import DayPhase, Schedule
from exchange.model.types import OrderType, Phase, PostOnly, SelfTradePrevention, Side, TimeInForce
from exchange.services.game.teams import TeamRegistry
from exchange.services.validation.admission import Admission
from tests.unit.services.validation.fakes import (
    ACCOUNT,
    CALL,
    NOW_US,
    OTHER_ACCOUNT,
    SECOND_US,
    FakeExposure,
    FakeMarket,
    FakeOrders,
    amend,
    new_order,
    registration,
    rules,
)

BUY, SELL = Side.BUY, Side.SELL
HOUR_US = 3_600 * SECOND_US
DAY = Schedule(
    day=(DayPhase(at="00:00:00", phase=Phase.CONTINUOUS), DayPhase(at="01:00:00", phase=Phase.CLOSED))
)
"""From midnight to one o'clock; NOW_US is a midnight."""


class Gate:
    """Admission in continuous trading with fakes around it and two teams registered."""

    def __init__(self, game: GameRules | None = None) -> None:
        game = game or rules()
        self.orders, self.exposure = FakeOrders(), FakeExposure()
        self.admission = Admission(game, self.orders, self.exposure, TeamRegistry(game), FakeMarket())
        for name in ("Alpha", "Beta"):
            self.record(registration(name))
        if game.schedule is not None:
            self.record(SetPhase(Phase.CONTINUOUS, "test"))

    def record(self, command: AnyCommand, now_us: int = NOW_US) -> Record:
        verdict = self.admission.admit(command, now_us)
        assert isinstance(verdict, Record), verdict
        return verdict

    def refusal(self, command: AnyCommand, now_us: int = NOW_US) -> Refusal:
        verdict = self.admission.admit(command, now_us)
        assert isinstance(verdict, Refusal)
        return verdict

    def code(self, command: AnyCommand, now_us: int = NOW_US) -> str | None:
        verdict = self.admission.admit(command, now_us)
        return verdict.code if isinstance(verdict, Refusal) else None

    def stop(self, **terms: Any) -> int:
        """A stop of the first team that waits; its number."""
        record = self.record(stop(**terms))
        self.orders.orders[record.sequence].status = OrderStatus.UNTRIGGERED
        return record.sequence


def stop(price_ticks: int | None = None, stop_price_ticks: int = 1100, **fields: Any) -> NewOrder:
    """A stop to buy, with a price a stop-limit."""
    order_type = OrderType.STOP if price_ticks is None else OrderType.STOP_LIMIT
    return new_order(
        price_ticks=price_ticks,
        order_type=order_type,
        time_in_force=TimeInForce.GTC,
        terms=OrderTerms(stop_price_ticks=stop_price_ticks),
        **fields,
    )


def gtd(expires_at_us: int) -> NewOrder:
    """A limit order until then."""
    return new_order(time_in_force=TimeInForce.GTD, terms=OrderTerms(expires_at_us=expires_at_us))


def iceberg(quantity: int, display_quantity: int) -> NewOrder:
    """A limit order that shows ``display_quantity`` lots."""
    return new_order(quantity=quantity, terms=OrderTerms(display_quantity=display_quantity))


@pytest.mark.parametrize(
    ("expires_at_us", "code"),
    [
        (NOW_US, Code.EXPIRES_AT_OUT_OF_RANGE),
        (NOW_US + 1, None),
        (NOW_US + MAX_EXPIRY_US, None),
        (NOW_US + MAX_EXPIRY_US + 1, Code.EXPIRES_AT_OUT_OF_RANGE),
        (0, Code.EXPIRES_AT_OUT_OF_RANGE),
    ],
)
def test_gtd_expires_in_the_future_and_within_a_year(expires_at_us: int, code: str | None) -> None:
    """Both ends, to the microsecond."""
    assert Gate().code(gtd(expires_at_us)) == code


def test_gtd_is_judged_by_the_time_of_its_record() -> None:
    """A clock that was set back does not let in an order that has expired by the journal's time."""
    gate = Gate()
    gate.record(new_order(), NOW_US + HOUR_US)
    assert gate.code(gtd(NOW_US + 1), NOW_US) == Code.EXPIRES_AT_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("closing", "expires_at_us", "code"),
    [
        (ClosingCancels.ALL, NOW_US + HOUR_US, None),
        (ClosingCancels.ALL, NOW_US + HOUR_US + 1, Code.TIME_IN_FORCE_NOT_ALLOWED),
        (ClosingCancels.DAY, NOW_US + HOUR_US + 1, None),
    ],
)
def test_gtd_cannot_outlast_a_close_that_cancels_everything(
    closing: ClosingCancels, expires_at_us: int, code: str | None
) -> None:
    """The refusal says when the market closes."""
    gate = Gate(replace(rules(), schedule=DAY, closing=Closing(cancels=closing)))
    assert gate.code(gtd(expires_at_us)) == code
    if code is not None:
        assert (gate.refusal(gtd(expires_at_us)).details or {})["close_us"] == NOW_US + HOUR_US


@pytest.mark.parametrize(
    ("closing", "time_in_force", "code"),
    [
        (ClosingCancels.ALL, TimeInForce.GTC, Code.TIME_IN_FORCE_NOT_ALLOWED),
        (ClosingCancels.ALL, TimeInForce.DAY, None),
        (ClosingCancels.ALL, TimeInForce.IOC, None),
        (ClosingCancels.DAY, TimeInForce.GTC, None),
    ],
)
def test_gtc_needs_a_market_that_keeps_orders(
    closing: ClosingCancels, time_in_force: TimeInForce, code: str | None
) -> None:
    """Where the close cancels everything nothing is good till cancelled."""
    gate = Gate(replace(rules(), schedule=DAY, closing=Closing(cancels=closing)))
    assert gate.code(new_order(time_in_force=time_in_force)) == code


@pytest.mark.parametrize(
    ("quantity", "display_quantity", "code"),
    [
        (100, 1, None),
        (101, 1, Code.DISPLAY_QUANTITY_OUT_OF_RANGE),
        (10, 10, None),
        (10, 11, Code.DISPLAY_QUANTITY_OUT_OF_RANGE),
        (10, 0, Code.DISPLAY_QUANTITY_OUT_OF_RANGE),
        (10, -1, Code.DISPLAY_QUANTITY_OUT_OF_RANGE),
    ],
)
def test_iceberg_shows_a_hundredth_to_all_of_itself(
    quantity: int, display_quantity: int, code: str | None
) -> None:
    """So it comes back to the tail of its price a hundred times at most."""
    assert Gate().code(iceberg(quantity, display_quantity)) == code


@pytest.mark.parametrize("stop_price_ticks", [0, -1, MAX_PRICE_TICKS + 1])
def test_stop_price_must_be_a_price(stop_price_ticks: int) -> None:
    """At entry and in an amend; the band, which is about today's price, does not bind it."""
    gate = Gate()
    assert gate.code(stop(stop_price_ticks=stop_price_ticks)) == Code.PRICE_OUT_OF_RANGE
    order_id = gate.stop(stop_price_ticks=MAX_PRICE_TICKS)
    assert gate.code(amend(order_id, stop_price_ticks=stop_price_ticks)) == Code.PRICE_OUT_OF_RANGE


def test_stops_of_a_team_in_an_instrument_are_bounded() -> None:
    """One more is refused; another team and other orders are not concerned."""
    gate = Gate()
    gate.exposure.stops[ACCOUNT, CALL] = MAX_STOP_ORDERS - 1
    gate.stop()
    assert gate.code(stop()) == Code.TOO_MANY_STOP_ORDERS
    assert gate.code(stop(account=OTHER_ACCOUNT)) is None
    assert gate.code(new_order()) is None


# --- amends -----------------------------------------------------------------------------------------------


def test_stop_is_amended_while_it_waits() -> None:
    """Its stop price and its quantity; a limit only where it has one."""
    gate = Gate()
    plain, limited = gate.stop(), gate.stop(price_ticks=1000)
    for order_id in (plain, limited):
        assert gate.code(amend(order_id, quantity=4, stop_price_ticks=1200)) is None
    assert gate.code(amend(limited, price_ticks=1001)) is None
    assert gate.code(amend(plain, price_ticks=1001)) == Code.ORDER_TYPE_CONTRADICTION


@pytest.mark.parametrize("status", [OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED])
def test_triggered_stop_has_no_stop_price_any_more(status: OrderStatus) -> None:
    """A stop-limit at rest is amended like a limit order, a stop that trades not at all."""
    gate = Gate()
    plain, limited = gate.stop(), gate.stop(price_ticks=1000)
    for order_id in (plain, limited):
        gate.orders.orders[order_id].status = status
        assert gate.code(amend(order_id, stop_price_ticks=1200)) == Code.AMEND_FAILED
    assert gate.code(amend(limited, quantity=4, price_ticks=999)) is None
    assert gate.code(amend(plain, quantity=4)) == Code.AMEND_FAILED


def test_only_a_stop_has_a_stop_price() -> None:
    """An amend cannot make a stop of what is none."""
    gate = Gate()
    order_id = gate.record(new_order()).sequence
    assert gate.code(amend(order_id, stop_price_ticks=1200)) == Code.ORDER_TYPE_CONTRADICTION


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_THE_OPEN])
def test_order_that_cannot_rest_is_not_amended(time_in_force: TimeInForce) -> None:
    """It is about to end, or waits for one auction as it is."""
    gate = Gate()
    if time_in_force is TimeInForce.AT_THE_OPEN:
        gate.record(SetPhase(Phase.PRE_OPEN, "test"))
    order_id = gate.record(new_order(time_in_force=time_in_force)).sequence
    assert gate.code(amend(order_id, quantity=4)) == Code.AMEND_FAILED


def test_amended_iceberg_keeps_what_it_shows() -> None:
    """So it may not grow beyond a hundred times that; it may shrink below it."""
    gate = Gate()
    order_id = gate.record(iceberg(10, 2)).sequence
    assert gate.code(amend(order_id, quantity=201)) == Code.DISPLAY_QUANTITY_OUT_OF_RANGE
    assert gate.code(amend(order_id, quantity=200)) is None
    assert gate.code(amend(order_id, quantity=1)) is None


def test_post_only_order_keeps_its_price_in_a_call() -> None:
    """Where nobody can say who takes; fewer lots are no question."""
    gate = Gate()
    order_id = gate.record(new_order(terms=OrderTerms(post_only=PostOnly.REFUSE))).sequence
    gate.record(SetPhase(Phase.HALTED, "test"))
    gate.record(SetPhase(Phase.REOPENING, "test"))
    refusal = gate.refusal(amend(order_id, price_ticks=1001))
    assert (refusal.category, refusal.code) == (Category.CONFLICT, Code.POST_ONLY_NOT_ALLOWED)
    assert gate.code(amend(order_id, quantity=4)) is None


@pytest.mark.parametrize(
    "order",
    [
        new_order(time_in_force=TimeInForce.FOK),
        new_order(terms=OrderTerms(post_only=PostOnly.REFUSE)),
    ],
)
def test_refusal_between_batch_auctions_says_so(order: NewOrder) -> None:
    """The market is continuous, and so are other instruments: that would explain nothing."""
    gate = Gate(replace(rules(), batch_auctions=BatchAuctions(interval_ms=100)))
    message = gate.refusal(order).message
    assert message.endswith("in an instrument that trades in batch auctions")


def test_amend_of_nothing_is_no_amend() -> None:
    """One of quantity, price and stop price."""
    gate = Gate()
    assert gate.code(AmendOrder(ACCOUNT, gate.stop(), "", None, None, "r")) == Code.INVALID_REQUEST


# --- reduce-only ------------------------------------------------------------------------------------------


def reducing(side: Side, quantity: int) -> NewOrder:
    """A reduce-only limit order."""
    return new_order(side, quantity, terms=OrderTerms(reduce_only=True))


@pytest.mark.parametrize(
    ("position", "side", "quantity", "code"),
    [
        (10, SELL, 10, None),
        (10, SELL, 11, Code.REDUCE_ONLY_REFUSED),
        (10, BUY, 1, Code.REDUCE_ONLY_REFUSED),
        (-10, BUY, 10, None),
        (-10, BUY, 11, Code.REDUCE_ONLY_REFUSED),
        (-10, SELL, 1, Code.REDUCE_ONLY_REFUSED),
        (0, SELL, 1, Code.REDUCE_ONLY_REFUSED),
        (10, SELL, MAX_QUANTITY + 1, Code.INVALID_REQUEST),
    ],
)
def test_reduce_only_takes_at_most_the_position(
    position: int, side: Side, quantity: int, code: str | None
) -> None:
    """And none that would build one up."""
    gate = Gate()
    gate.exposure.positions[ACCOUNT, CALL] = position
    assert gate.code(reducing(side, quantity)) == code


def test_reduce_only_counts_what_is_open_on_its_side() -> None:
    """Orders that might fill first leave less to reduce; the refusal has the figures."""
    gate = Gate()
    gate.exposure.positions[ACCOUNT, CALL] = 10
    gate.record(new_order(SELL, 4))
    gate.record(new_order(BUY, 30))
    assert gate.refusal(reducing(SELL, 7)).details == {
        "instrument_id": CALL,
        "current_position": 10,
        "open_quantity": 4,
        "order_quantity": 7,
    }
    assert gate.code(reducing(SELL, 6)) is None


def test_reduce_only_order_binds_the_others_of_its_side() -> None:
    """While it lives they may not fill past the position before it; the other side and teams are free."""
    gate = Gate()
    gate.exposure.positions[ACCOUNT, CALL] = 10
    gate.record(reducing(SELL, 6))
    assert gate.code(new_order(SELL, 5)) == Code.REDUCE_ONLY_OPEN
    order_id = gate.record(new_order(SELL, 4)).sequence
    assert gate.code(amend(order_id, quantity=5)) == Code.REDUCE_ONLY_OPEN
    assert gate.code(amend(order_id, price_ticks=999)) is None
    assert gate.code(new_order(BUY, 50)) is None
    assert gate.code(new_order(SELL, 50, account=OTHER_ACCOUNT)) is None


def test_amended_reduce_only_order_must_still_reduce() -> None:
    """Its growth is held to what an order of its own would be."""
    gate = Gate()
    gate.exposure.positions[ACCOUNT, CALL] = 10
    order_id = gate.record(reducing(SELL, 6)).sequence
    assert gate.code(amend(order_id, quantity=11)) == Code.REDUCE_ONLY_REFUSED
    assert gate.code(amend(order_id, quantity=10)) is None


# --- self-trade prevention --------------------------------------------------------------------------------


@pytest.mark.parametrize("game_mode", SelfTradePrevention)
@pytest.mark.parametrize("mode", SelfTradePrevention)
def test_order_may_choose_how_self_trades_are_prevented_not_whether(
    game_mode: SelfTradePrevention, mode: SelfTradePrevention
) -> None:
    """``none`` passes only in a game that prevents nothing."""
    gate = Gate(replace(rules(), self_trade_prevention=game_mode))
    code = gate.code(new_order(terms=OrderTerms(self_trade_prevention=mode)))
    none = SelfTradePrevention.NONE
    assert code == (
        Code.SELF_TRADE_PREVENTION_NOT_ALLOWED if mode is none and game_mode is not none else None
    )


def test_controls_of_a_resend_are_compared() -> None:
    """The same client_order_id with other terms is another order."""
    gate = Gate()
    gate.record(stop(client_order_id="mine"))
    assert isinstance(gate.admission.admit(stop(client_order_id="mine"), NOW_US), OrderAnswer)
    assert gate.code(stop(client_order_id="mine", stop_price_ticks=1101)) == Code.CLIENT_ORDER_ID_REUSED
