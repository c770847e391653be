"""Amends: what becomes of an order in the book, or of a stop beside it, when its terms change.

:class:`Amended` comes after the trades of the amend, which may be of its new total, and before the end of an
order that ran into one of its own account.
"""

from __future__ import annotations

from exchange.engine.book import CROSSING, RestingOrder
from exchange.engine.matching import Aggressor, Matcher
from exchange.engine.stops import StopOrder
from exchange.model.events import Amended, AmendRefused, AnyVenueEvent, Cancelled
from exchange.model.types import CancelReason

_AMENDED_BELOW_FILLED = CancelReason.AMENDED_BELOW_FILLED
_SELF_TRADE = CancelReason.SELF_TRADE


def amend(
    matcher: Matcher,
    sequence: int,
    account: int,
    order_id: int,
    quantity: int | None,
    price_ticks: int | None,
    stop_price_ticks: int | None = None,
) -> list[AnyVenueEvent]:
    """Change total, price or stop price of an order; None keeps what is. Refused if there is none, for one
    that is for an auction alone, and a stop price for one that is no stop any more.

    A total at or below what has filled cancels the order. A lower quantity at the same price keeps its
    place; any other change gives the order the place, and the chance to trade, of a new one.
    """
    order = matcher.book.by_account[account].get(order_id)
    if order is None:
        stop = matcher.stops.find(account, order_id)
        if stop is None:
            return [AmendRefused(order_id)]
        return [_amend_stop(matcher, stop, quantity, price_ticks, stop_price_ticks)]
    if stop_price_ticks is not None or order.auction_only:
        # A stop may have been triggered while its amend was under way.
        return [AmendRefused(order_id)]
    if quantity is None:
        quantity = order.quantity
    if price_ticks is None:
        price_ticks = order.price_ticks
    remaining = quantity - order.quantity + order.remaining + order.reserve
    if remaining <= 0:
        return matcher.cancel(account, order.order_id, _AMENDED_BELOW_FILLED)
    allowed = _allowed(matcher, order, price_ticks)
    if allowed is None:
        return [AmendRefused(order_id, would_trade=True)]
    price_ticks = allowed
    if price_ticks == order.price_ticks and quantity <= order.quantity:
        return _lower(matcher, order, quantity, remaining)
    return _replace(matcher, sequence, order, price_ticks, quantity, remaining)


def _allowed(matcher: Matcher, order: RestingOrder, price_ticks: int) -> int | None:
    """The price that the order may be moved to; None for a post-only one that would trade."""
    post_only = None if order.terms is None else order.terms.post_only
    if post_only is None or price_ticks == order.price_ticks or matcher.in_call:
        return price_ticks
    return matcher.post_only_price(post_only, order.side, price_ticks)


def _lower(matcher: Matcher, order: RestingOrder, quantity: int, remaining: int) -> list[AnyVenueEvent]:
    book_side, price, old_remaining = (
        matcher.side_of(order),
        order.price_ticks,
        order.remaining + order.reserve,
    )
    lots = old_remaining - remaining
    hidden = order.reserve
    if hidden:
        order.lower(lots)
        book_side.hide(price, order.reserve - hidden)
        lots -= hidden - order.reserve
    else:
        order.remaining = remaining
    book_side.totals[price] -= lots
    order.quantity = quantity
    amended = Amended(
        order.order_id,
        matcher.book.instrument_id,
        order.side,
        price,
        quantity,
        remaining,
        price,
        old_remaining,
    )
    if not hidden:
        return [amended]
    return [*matcher.display(order, hidden), amended, *matcher.display(order, -order.reserve)]


def _replace(
    matcher: Matcher, sequence: int, order: RestingOrder, price: int, quantity: int, remaining: int
) -> list[AnyVenueEvent]:
    order_id, account, side, instrument_id, terms = (
        order.order_id,
        order.account,
        order.side,
        matcher.book.instrument_id,
        order.terms,
    )
    old_price, old_remaining = order.price_ticks, order.remaining + order.reserve
    entry = matcher.entry(side, price, sequence)
    own, heap = matcher.side_of(order), matcher.makers(side).heap
    own.take_out(order)
    events = matcher.display(order, order.reserve)
    crosses = bool(heap) and heap[0] + entry < CROSSING and not matcher.in_call
    has_ended = False
    if crosses:
        mode = matcher.prevention if terms is None else terms.self_trade_prevention or matcher.prevention
        places = matcher.counters.extra_places
        aggressor = Aggressor(
            order_id, account, side, price, entry, quantity, remaining, mode, places, old_price
        )
        matcher.take(aggressor, events)
        # What self-trade prevention took off it was told, and counts no longer.
        old_remaining -= quantity - aggressor.quantity
        quantity, remaining, has_ended = aggressor.quantity, aggressor.remaining, aggressor.has_ended
    events.append(
        Amended(order_id, instrument_id, side, price, quantity, remaining, old_price, old_remaining)
    )
    if not remaining:
        del matcher.book.by_account[account][order_id]
    elif has_ended:
        del matcher.book.by_account[account][order_id]
        events.append(Cancelled(order_id, instrument_id, side, price, remaining, _SELF_TRADE))
    else:
        order.price_ticks, order.quantity, order.entry = price, quantity, entry
        order.show(remaining)
        own.rest(order)
        events += matcher.display(order, -order.reserve)
    return events


def _amend_stop(
    matcher: Matcher,
    stop: StopOrder,
    quantity: int | None,
    price_ticks: int | None,
    stop_price_ticks: int | None,
) -> Amended:
    old_price, old_quantity = stop.stop_price_ticks, stop.quantity
    stop.quantity = quantity or old_quantity
    stop.price_ticks = price_ticks or stop.price_ticks
    matcher.stops.move(stop, stop_price_ticks or old_price)
    return Amended(
        stop.order_id,
        matcher.book.instrument_id,
        stop.command.side,
        stop.stop_price_ticks,
        stop.quantity,
        stop.quantity,
        old_price,
        old_quantity,
        parked=True,
    )
