"""Order controls: what the terms of an order must satisfy beyond those of a plain limit order.

Only what can be honoured is accepted. Judged for orders that are not plain alone; the first thing wrong
answers, in this order: type, time in force, expiry, post-only, display quantity, self-trade prevention, stop
price. What depends on holdings, reduce-only and the number of stops, is judged apart, after the numbers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from exchange.base.bounds import MAX_EXPIRY_US, MAX_ICEBERG_SLICES, MAX_PRICE_TICKS, MAX_STOP_ORDERS
from exchange.model.commands import RESTING, AmendOrder, NewOrder
from exchange.model.order import OrderStatus
from exchange.model.reasons import Refusal
from exchange.model.rules import GameRules
from exchange.model.schedule import Schedule, next_close
from exchange.model.types import OrderType, Phase, SelfTradePrevention, Side, TimeInForce
from exchange.services.validation import refusals
from exchange.services.validation.ports import Controlled, OrderState

_T = TimeInForce
_LIMIT, _STOP = OrderType.LIMIT, OrderType.STOP
_GTC, _GTD = TimeInForce.GTC, TimeInForce.GTD
_NO_PREVENTION = SelfTradePrevention.NONE

TIMES_IN_FORCE: Final[dict[OrderType, tuple[TimeInForce, ...]]] = {
    OrderType.LIMIT: tuple(TimeInForce),
    OrderType.MARKET: (_T.IOC, _T.FOK, _T.AT_THE_OPEN),
    OrderType.STOP: RESTING,
    OrderType.STOP_LIMIT: RESTING,
}
"""What each type may have: a market order has no price to rest at, a stop has to wait."""

_BEFORE_TRIGGER: Final = (OrderStatus.ACCEPTED, OrderStatus.UNTRIGGERED)


class Moment(NamedTuple):
    """Where an instrument stands: its phase, and whether orders rest until an uncross."""

    phase: Phase
    is_call: bool


class Controls:
    """The rules of one game. ``plain`` are the times in force of a limit order that need no judging."""

    def __init__(self, rules: GameRules, holdings: Controlled) -> None:
        self._closes: Schedule | None = rules.schedule if rules.cancels_all_at_close else None
        self._prevents_self_trade = rules.self_trade_prevention is not _NO_PREVENTION
        self._holdings = holdings
        self.plain = (_T.IOC, _T.DAY) if rules.cancels_all_at_close else (_GTC, _T.IOC, _T.DAY)

    def judge(self, order: NewOrder, moment: Moment, now_us: int) -> Refusal | None:
        """``moment`` is that of the instrument."""
        return (
            _judge_type(order)
            or self._judge_time_in_force(order, moment)
            or self._judge_expiry(order, now_us)
            or _judge_post_only(order, moment)
            or _judge_display(order)
            or self._judge_self_trade(order)
            or _judge_stop_price(order.instrument_id, order.all_terms.stop_price_ticks)
        )

    def judge_holdings(self, order: NewOrder) -> Refusal | None:
        """A new order against what the team has and has open."""
        return self._judge_stops(order) or self.judge_reduction(order, order.quantity)

    def judge_reduction(self, order: NewOrder, increase: int) -> Refusal | None:
        """Whether ``increase`` lots more on the side of ``order`` keep every reduce-only order what it is.

        While one lives, all that is open on its side together is at most the position: then no sequence of
        fills turns that round, since a fill takes as much off one as off the other.
        """
        reduces = order.terms is not None and order.terms.reduce_only
        holdings, side = self._holdings, order.side
        line = (order.account, order.instrument_id)
        if not increase or not (reduces or holdings.reducing_orders(*line, side)):
            return None
        position, open_quantity = holdings.position(*line), holdings.open_quantity(*line, side)
        if open_quantity + increase <= (-position if side is Side.BUY else position):
            return None
        refuse = refusals.reduce_only_refused if reduces else refusals.reduce_only_open
        return refuse(order.instrument_id, position, open_quantity, increase)

    def judge_amend(self, amend: AmendOrder, order: OrderState, moment: Moment) -> Refusal | None:
        """What an amend may change, and the terms that stay; numbers and holdings are judged apart."""
        command, terms = order.command, order.command.all_terms
        if command.order_type is _STOP and order.status not in _BEFORE_TRIGGER:
            return refusals.AMEND_FAILED
        if amend.price_ticks is not None and not command.order_type.has_price:
            return refusals.ORDER_TYPE_CONTRADICTION
        if amend.stop_price_ticks is not None:
            if not command.order_type.is_stop:
                return refusals.ORDER_TYPE_CONTRADICTION
            if order.status not in _BEFORE_TRIGGER:
                return refusals.AMEND_FAILED
        if terms.post_only is not None and amend.price_ticks is not None and moment.is_call:
            return refusals.post_only_not_allowed(moment.phase)
        display, quantity = terms.display_quantity, amend.quantity
        if display is not None and quantity is not None and quantity > display * MAX_ICEBERG_SLICES:
            return refusals.display_quantity_out_of_range(display, quantity)
        return _judge_stop_price(command.instrument_id, amend.stop_price_ticks)

    # --------------------------------------------------------------------------------------------

    def _judge_time_in_force(self, order: NewOrder, moment: Moment) -> Refusal | None:
        time_in_force = order.time_in_force
        if time_in_force not in TIMES_IN_FORCE[order.order_type]:
            return refusals.time_in_force_not_allowed(order)
        if (time_in_force is _T.FOK and moment.is_call) or (
            time_in_force is _T.AT_THE_OPEN and moment.phase is not Phase.PRE_OPEN
        ):
            return refusals.time_in_force_not_in_phase(order, moment.phase, moment.is_call)
        if time_in_force is _GTC and self._closes is not None:
            return refusals.rests_past_close(order)
        return None

    def _judge_expiry(self, order: NewOrder, now_us: int) -> Refusal | None:
        expires_at_us = order.all_terms.expires_at_us
        if (order.time_in_force is _GTD) is (expires_at_us is None):
            return refusals.control_contradiction(
                "expires_at", "goes with time_in_force gtd, and only with it"
            )
        if expires_at_us is None:
            return None
        if not now_us < expires_at_us <= now_us + MAX_EXPIRY_US:
            return refusals.expires_at_out_of_range(expires_at_us, now_us)
        close = None if self._closes is None else next_close(self._closes, now_us)
        if close is not None and expires_at_us > close.at_us:
            return refusals.rests_past_close(order, close.at_us)
        return None

    def _judge_self_trade(self, order: NewOrder) -> Refusal | None:
        if order.all_terms.self_trade_prevention is _NO_PREVENTION and self._prevents_self_trade:
            return refusals.SELF_TRADE_PREVENTION_NOT_ALLOWED
        return None

    def _judge_stops(self, order: NewOrder) -> Refusal | None:
        if not order.order_type.is_stop:
            return None
        if self._holdings.stop_orders(order.account, order.instrument_id) < MAX_STOP_ORDERS:
            return None
        return refusals.too_many_stop_orders(order.instrument_id)


def _judge_type(order: NewOrder) -> Refusal | None:
    order_type = order.order_type
    has_stop_price = order.all_terms.stop_price_ticks is not None
    if (order.price_ticks is not None) is order_type.has_price and has_stop_price is order_type.is_stop:
        return None
    return refusals.ORDER_TYPE_CONTRADICTION


def _judge_post_only(order: NewOrder, moment: Moment) -> Refusal | None:
    if order.all_terms.post_only is None:
        return None
    if not _is_resting_limit(order):
        return refusals.control_contradiction(
            "post_only", "needs a limit order that can rest: gtc, day or gtd"
        )
    return refusals.post_only_not_allowed(moment.phase) if moment.is_call else None


def _judge_display(order: NewOrder) -> Refusal | None:
    display = order.all_terms.display_quantity
    if display is None:
        return None
    if not _is_resting_limit(order):
        return refusals.control_contradiction(
            "display_quantity", "needs a limit order that can rest: gtc, day or gtd"
        )
    if 1 <= display <= order.quantity <= display * MAX_ICEBERG_SLICES:
        return None
    return refusals.display_quantity_out_of_range(display, order.quantity)


def _judge_stop_price(instrument_id: str, stop_price_ticks: int | None) -> Refusal | None:
    if stop_price_ticks is None or 1 <= stop_price_ticks <= MAX_PRICE_TICKS:
        return None
    return refusals.price_out_of_range(instrument_id, stop_price_ticks)


def _is_resting_limit(order: NewOrder) -> bool:
    return order.order_type is _LIMIT and order.time_in_force in RESTING
