"""Ends of many orders at once, by order_id: mass cancels, the close of the market, expiries.

All come in slices, so that whoever drives them can let others run in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import TypeAlias, TypeVar

from exchange.base.bounds import AUCTION_SLICE
from exchange.engine.book import RestingOrder
from exchange.engine.expiries import Expiry
from exchange.engine.matching import Matcher
from exchange.engine.stops import StopOrder
from exchange.model.commands import NO_TERMS, CancelScope, OrderTerms
from exchange.model.events import AnyVenueEvent
from exchange.model.types import CancelReason, TimeInForce

Matchers: TypeAlias = Mapping[str, Matcher]

_Item = TypeVar("_Item")
_MARKET_CLOSE = CancelReason.MARKET_CLOSE


def cancel_within(
    matchers: Matchers, account: int, scopes: Iterable[CancelScope], reason: CancelReason
) -> Iterator[list[AnyVenueEvent]]:
    """The orders and stops of ``account`` that any of ``scopes`` names."""
    found: dict[int, Matcher] = {}
    for scope in scopes:
        for matcher in matchers_within(matchers, scope.instrument_id):
            found.update((order_id, matcher) for order_id in named(matcher, account, scope))
    for some in _slices(sorted(found.items(), key=itemgetter(0))):
        yield [event for order_id, matcher in some for event in matcher.cancel(account, order_id, reason)]


def expire(matchers: Matchers, due: Iterable[Expiry]) -> Iterator[list[AnyVenueEvent]]:
    """The orders that are ``due``."""
    for some in _slices(due):
        yield [
            event
            for each in some
            for event in matchers[each.instrument_id].cancel(
                each.account, each.order_id, CancelReason.EXPIRED
            )
        ]


def close_all(matchers: Matchers) -> Iterator[list[AnyVenueEvent]]:
    """Every order and stop there is."""
    # Books are emptied whole: taking out order by order would take three times as long.
    ending: list[tuple[int, RestingOrder | StopOrder, Matcher]] = []
    for matcher in matchers.values():
        ending += [(order.order_id, order, matcher) for order in matcher.book.clear()]
        ending += [(stop.order_id, stop, matcher) for stop in matcher.stops.clear()]
    ending.sort(key=itemgetter(0))
    for some in _slices(ending):
        yield [event for _, order, matcher in some for event in _removed(matcher, order)]


def close_day(matchers: Matchers) -> Iterator[list[AnyVenueEvent]]:
    """The orders for the day, quotes among them, and what waited for an auction that did not come."""
    ending: list[tuple[int, int, Matcher]] = []
    for matcher in matchers.values():
        for side in (matcher.book.bids, matcher.book.asks):
            ending += [
                (order.order_id, order.account, matcher)
                for order in side.queue.values()
                if order.is_day or order.auction_only
            ]
        ending += [
            (stop.order_id, stop.command.account, matcher)
            for stop in matcher.stops.orders.values()
            if stop.command.time_in_force is TimeInForce.DAY
        ]
    ending.sort(key=itemgetter(0))
    for some in _slices(ending):
        yield [
            event
            for order_id, account, matcher in some
            for event in matcher.cancel(account, order_id, _MARKET_CLOSE)
        ]


def matchers_within(matchers: Matchers, instrument_id: str | None) -> Iterable[Matcher]:
    """That of one instrument; None means all."""
    return matchers.values() if instrument_id is None else (matchers[instrument_id],)


def named(matcher: Matcher, account: int, scope: CancelScope) -> Iterator[int]:
    """The orders of ``account`` in one book, and the stops beside it, that ``scope`` names."""
    for order in matcher.book.by_account.get(account, {}).values():
        if (scope.side is None or scope.side is order.side) and _is_named(scope, order.terms):
            yield order.order_id
    for stop in matcher.stops.by_account.get(account, {}).values():
        command = stop.command
        if (scope.side is None or scope.side is command.side) and _is_named(scope, command.terms):
            yield stop.order_id


def _is_named(scope: CancelScope, terms: OrderTerms | None) -> bool:
    if scope.label is None and scope.quote_group is None:
        return True
    terms = terms or NO_TERMS
    return scope.label in (None, terms.label) and scope.quote_group in (None, terms.quote_group)


def _removed(matcher: Matcher, order: RestingOrder | StopOrder) -> list[AnyVenueEvent]:
    if isinstance(order, StopOrder):
        return [matcher.stop_cancelled(order, _MARKET_CLOSE)]
    return matcher.removed(order, _MARKET_CLOSE)


def _slices(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    left = iter(items)
    while some := list(islice(left, AUCTION_SLICE)):
        yield some
