"""Every order of one book, kept from venue events alone, by a number that tells nothing of whose it is.

The number belongs to a place in the queue, not to an order: an order that loses its place gets another one.
So within a price the smaller number trades first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from exchange.engine.depth import UNSHOWN, BookEvent
from exchange.model.events import Acknowledged, Amended, Cancelled, Traded
from exchange.model.types import Side

_BUY = Side.BUY


class RestingLots(NamedTuple):
    """One order at rest, as a view begins with it."""

    order_id: int
    side: Side
    price_ticks: int
    lots: int


class PlaceChange(NamedTuple):
    """A place in the queue and the lots that stand there now; 0 when nobody does any more."""

    ref: int
    side: Side
    price_ticks: int
    lots: int


class Place(msgspec.Struct, gc=False):
    """Where one order stands. ``told`` lots are those of the last time changes were taken."""

    ref: int
    side: Side
    price_ticks: int
    lots: int = 0
    told: int = 0


Queues = dict[int, dict[int, int]]
"""Lots by place, in priority, at each price in ticks."""


class OrderView:
    """Begins with ``resting``, in priority; the sums over its places are always what DepthView says."""

    def __init__(self, resting: Iterable[RestingLots] = ()) -> None:
        self.bids: Queues = {}
        self.asks: Queues = {}
        self._last_ref = 0
        self._places: dict[int, Place] = {}
        self._changed: dict[int, Place] = {}
        # What an uncross fills is told whole when it is over.
        self._uncrossing: dict[int, int] = {}
        for order_id, side, price_ticks, lots in resting:
            self._enter(order_id, side, price_ticks, lots)
        self.take_changes()

    def apply(self, events: Iterable[BookEvent]) -> None:
        """Take all events of one command in this instrument, in order."""
        entered: int | None = None
        touched: dict[int, None] = {}
        for event in events:
            if isinstance(event, Acknowledged):
                entered = event.order_id
                self._enter(entered, event.side, event.price_ticks, event.quantity)
                touched[entered] = None
            elif isinstance(event, Traded):
                if event.auction_id is not None:
                    self._note_uncrossed(event)
                    continue
                self._shift(event.maker_order_id, -event.quantity)
                touched[event.maker_order_id] = None
                if event.taker_order_id == entered:
                    # One that is amended trades before its amend is told, which says what is left of it.
                    self._shift(entered, -event.quantity)
            elif isinstance(event, Cancelled):
                self._shift(event.order_id, -event.remaining)
                touched[event.order_id] = None
            elif isinstance(event, Amended):
                self._amend(event)
                touched[event.order_id] = None
            else:
                touched.update(dict.fromkeys(self._uncrossing))
                self._end_uncross()
        for order_id in touched:
            self._stand(order_id)

    def take_changes(self) -> list[PlaceChange]:
        """Every place that differs from when they were last taken, new ones in priority."""
        changed, self._changed = self._changed, {}
        changes = []
        for ref in sorted(changed):
            place = changed[ref]
            if place.lots != place.told and place.price_ticks not in UNSHOWN:
                changes.append(PlaceChange(ref, place.side, place.price_ticks, place.lots))
            place.told = place.lots
        return changes

    def copy(self, side: Side) -> list[tuple[int, dict[int, int]]]:
        """Price and lots by place of each level, best first, whatever happens to the book afterwards."""
        queues = self.bids if side is _BUY else self.asks
        prices = sorted(queues.keys() - UNSHOWN, reverse=side is _BUY)
        return [(price_ticks, queues[price_ticks].copy()) for price_ticks in prices]

    def _enter(self, order_id: int, side: Side, price_ticks: int, lots: int) -> None:
        self._last_ref += 1
        place = self._places[order_id] = Place(self._last_ref, side, price_ticks)
        self._set(place, lots)

    def _shift(self, order_id: int, lots: int) -> None:
        """``lots`` more or, negative, fewer. Who was used up and comes again stands at the end."""
        place = self._places[order_id]
        if lots > 0 >= place.lots:
            self._requeue(order_id, place, place.price_ticks, place.lots + lots)
        else:
            self._set(place, place.lots + lots)

    def _amend(self, event: Amended) -> None:
        place = self._places[event.order_id]
        lots = place.lots + event.remaining - event.old_remaining
        if event.price_ticks == event.old_price_ticks and event.remaining <= event.old_remaining:
            self._set(place, lots)
        else:
            self._requeue(event.order_id, place, event.price_ticks, lots)

    def _requeue(self, order_id: int, place: Place, price_ticks: int, lots: int) -> None:
        self._set(place, 0)
        self._enter(order_id, place.side, price_ticks, lots)

    def _note_uncrossed(self, trade: Traded) -> None:
        filled = self._uncrossing
        for order_id in (trade.maker_order_id, trade.taker_order_id):
            filled[order_id] = filled.get(order_id, 0) + trade.quantity

    def _end_uncross(self) -> None:
        filled, self._uncrossing = self._uncrossing, {}
        for order_id, lots in filled.items():
            self._shift(order_id, -lots)

    def _stand(self, order_id: int) -> None:
        # Only after the whole command: within it an order may be down to nothing for a moment.
        place = self._places[order_id]
        if place.lots <= 0:
            del self._places[order_id]

    def _set(self, place: Place, lots: int) -> None:
        queues = self.bids if place.side is _BUY else self.asks
        ref, price_ticks = place.ref, place.price_ticks
        place.lots = lots
        self._changed[ref] = place
        queue = queues.get(price_ticks)
        if lots > 0:
            if queue is None:
                queues[price_ticks] = {ref: lots}
            else:
                queue[ref] = lots
        elif queue is not None and queue.pop(ref, None) is not None and not queue:
            del queues[price_ticks]
