"""Orders with terms: fill-or-kill, post-only, icebergs, stops, modes of self-trade prevention.

A refusal that depends on the book is the end of an order that was acknowledged: :class:`Cancelled` with its
reason. A stop that is triggered enters the market like a new order, but was acknowledged when it was parked.
"""

from __future__ import annotations

from typing import Final

from exchange.engine.book import RestingOrder
from exchange.engine.matching import Aggressor, Matcher
from exchange.engine.stops import StopOrder
from exchange.model.commands import NewOrder
from exchange.model.events import Acknowledged, AnyVenueEvent, Cancelled, Parked, Triggered
from exchange.model.types import CancelReason, SelfTradePrevention, TimeInForce

_STOPS_SHORT: Final = (
    SelfTradePrevention.CANCEL_TAKER,
    SelfTradePrevention.CANCEL_BOTH,
    SelfTradePrevention.DECREMENT,
)
"""Modes in which an order that meets its own is not filled whole."""


def enter(
    matcher: Matcher, order_id: int, order: NewOrder, price_ticks: int, is_day: bool
) -> list[AnyVenueEvent]:
    """Take a new order. ``price_ticks`` is its limit, or the edge of the band where it has none."""
    side, instrument_id, quantity = order.side, order.instrument_id, order.quantity
    post_only = order.all_terms.post_only
    if post_only is not None:
        allowed = matcher.post_only_price(post_only, side, price_ticks)
        if allowed is None:
            return [
                Acknowledged(order_id, instrument_id, side, price_ticks, quantity),
                Cancelled(order_id, instrument_id, side, price_ticks, quantity, CancelReason.POST_ONLY),
            ]
        price_ticks = allowed
    events: list[AnyVenueEvent] = [Acknowledged(order_id, instrument_id, side, price_ticks, quantity)]
    aggressor = _aggressor(matcher, order_id, order, price_ticks, quantity, order_id)
    if order.time_in_force is TimeInForce.FOK and not _can_fill(matcher, aggressor):
        return [*events, _cancelled(matcher, aggressor, CancelReason.FOK)]
    _trade(matcher, order, aggressor, is_day, events)
    return events


def refuse(order_id: int, order: NewOrder, reason: CancelReason) -> list[AnyVenueEvent]:
    """Acknowledge an order and end it at once."""
    instrument_id, side, price_ticks, quantity = (
        order.instrument_id,
        order.side,
        order.price_ticks,
        order.quantity,
    )
    assert price_ticks is not None
    return [
        Acknowledged(order_id, instrument_id, side, price_ticks, quantity),
        Cancelled(order_id, instrument_id, side, price_ticks, quantity, reason),
    ]


def park(matcher: Matcher, order_id: int, order: NewOrder) -> list[AnyVenueEvent]:
    """Let a stop wait beside the book."""
    stop_price_ticks = order.all_terms.stop_price_ticks
    assert stop_price_ticks is not None
    matcher.stops.park(StopOrder(order_id, order, stop_price_ticks, order.price_ticks, order.quantity))
    return [Parked(order_id, order.instrument_id, order.side, stop_price_ticks, order.quantity)]


def trigger(
    matcher: Matcher, sequence: int, stop: StopOrder, price_ticks: int, is_day: bool
) -> list[AnyVenueEvent]:
    """Let a stop whose turn it is enter the market, with a new time."""
    order = stop.command
    matcher.counters.extra_places += 1
    aggressor = _aggressor(matcher, stop.order_id, order, price_ticks, stop.quantity, sequence)
    events: list[AnyVenueEvent] = [
        Triggered(stop.order_id, order.instrument_id, order.side, price_ticks, stop.quantity)
    ]
    _trade(matcher, order, aggressor, is_day, events)
    return events


def _aggressor(
    matcher: Matcher, order_id: int, order: NewOrder, price_ticks: int, quantity: int, sequence: int
) -> Aggressor:
    mode = order.all_terms.self_trade_prevention or matcher.prevention
    entry = matcher.entry(order.side, price_ticks, sequence)
    places = matcher.counters.extra_places
    return Aggressor(
        order_id,
        order.account,
        order.side,
        price_ticks,
        entry,
        quantity,
        quantity,
        mode,
        places,
        price_ticks,
    )


def _trade(
    matcher: Matcher, order: NewOrder, aggressor: Aggressor, is_day: bool, events: list[AnyVenueEvent]
) -> None:
    if matcher.in_call:
        # Between two batch auctions a stop that is triggered waits for the next like any other order.
        auction_only = not order.can_rest
        matcher.book.has_auction_only |= auction_only
        events += matcher.rest(_resting(order, aggressor, is_day, auction_only))
        return
    if matcher.crosses(aggressor.side, aggressor.entry):
        matcher.take(aggressor, events)
    if not aggressor.remaining:
        return
    if aggressor.has_ended:
        events.append(_cancelled(matcher, aggressor, CancelReason.SELF_TRADE))
    elif order.can_rest:
        events += matcher.rest(_resting(order, aggressor, is_day))
    else:
        reason = CancelReason.IOC_REMAINDER if order.order_type.has_price else CancelReason.NO_LIQUIDITY
        events.append(_cancelled(matcher, aggressor, reason))


def _resting(order: NewOrder, aggressor: Aggressor, is_day: bool, auction_only: bool = False) -> RestingOrder:
    resting = RestingOrder(
        aggressor.order_id,
        aggressor.account,
        aggressor.side,
        aggressor.price_ticks,
        aggressor.quantity,
        0,
        aggressor.entry,
        auction_only,
        0,
        order.terms,
        is_day,
    )
    resting.show(aggressor.remaining)
    return resting


def _can_fill(matcher: Matcher, aggressor: Aggressor) -> bool:
    """Whether the book holds all that is asked for, as far as the order may take it."""
    wanted, hidden, price_ticks = aggressor.remaining, 0, 0
    for maker in matcher.makers(aggressor.side).ahead(aggressor.entry):
        if maker.price_ticks != price_ticks:
            # Icebergs refill at the tail: what they hide comes after all that is shown at their price.
            wanted, hidden, price_ticks = wanted - hidden, 0, maker.price_ticks
        if wanted <= 0:
            return True
        if maker.account == aggressor.account and aggressor.mode is not SelfTradePrevention.NONE:
            if aggressor.mode in _STOPS_SHORT:
                return False
            continue
        wanted -= maker.remaining
        hidden += maker.reserve
    return wanted <= hidden


def _cancelled(matcher: Matcher, aggressor: Aggressor, reason: CancelReason) -> Cancelled:
    return Cancelled(
        aggressor.order_id,
        matcher.book.instrument_id,
        aggressor.side,
        aggressor.price_ticks,
        aggressor.remaining,
        reason,
    )
