"""Every order of one book, kept from venue events alone, by a number that tells nothing of whose it is.

The number belongs to a place in the queue, not to an order: an order that loses its place gets another one.
So within a price the smaller number trades first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, assert_never

import msgspec

from exchange.engine.depth import UNSHOWN, BookEvent
from exchange.model.events import (
    Acknowledged,
    Amended,
    Cancelled,
    Decremented,
    DisplayChanged,
    Traded,
    Triggered,
    Uncrossed,
)
from exchange.model.types import Side

_BUY = Side.BUY


class RestingLots(NamedTuple):
    """One order at rest, as a view begins with it: what it shows, and what it has behind that."""

    order_id: int
    side: Side
    price_ticks: int
    lots: int
    hidden: int = 0


class PlaceChange(NamedTuple):
    """A place in the queue and the lots that stand there now; 0 when nobody does any more."""

    ref: int
    side: Side
    price_ticks: int
    lots: int


class Place(msgspec.Struct, gc=False):
    """Where one order stands. ``told`` lots are those of the last time changes were taken, ``filled`` those
    that an uncross took which is not over.
    """

    ref: int
    side: Side
    price_ticks: int
    lots: int
    told: int = 0
    filled: int = 0


Queues = dict[int, dict[int, int]]
"""Lots by place, in priority, at each price in ticks."""


class OrderView:
    """Begins with ``resting``, in priority; the sums over its places are always what DepthView says.

    Until :meth:`light` only the places are kept, as cheaply as can be: every order passes here.
    """

    def __init__(self, resting: Iterable[RestingLots] = ()) -> None:
        self._last_ref = 0
        self._places: dict[int, Place] = {}
        # Places that may differ from what was told, by reference; nobody listens while there is none.
        self._changed: dict[int, Place] | None = None
        self._bids: Queues = {}
        self._asks: Queues = {}
        # Orders that were used up within this command.
        self._spent: list[int] = []
        self._is_uncrossing = False
        # Orders that an uncross has filled since somebody listens: that is told whole when it is over.
        self._uncrossed: list[int] = []
        for order_id, side, price_ticks, lots, _ in resting:
            self._enter(order_id, side, price_ticks, lots)

    def light(self) -> None:
        """Somebody listens: keep the queues and the changes from now on."""
        if self._changed is None:
            self._changed = {}
            bids, asks = self._bids, self._asks
            # They stand in the order of their references. Written out: there may be 100,000.
            for place in self._places.values():
                lots = place.told = place.lots
                if lots <= 0:
                    continue
                queues = bids if place.side is _BUY else asks
                queue = queues.get(place.price_ticks)
                if queue is None:
                    queues[place.price_ticks] = {place.ref: lots}
                else:
                    queue[place.ref] = lots

    def totals(self) -> tuple[dict[int, int], dict[int, int]]:
        """Lots at each price to buy and to sell, summed over the places."""
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        # Written out, as in light().
        for place in self._places.values():
            if place.lots > 0:
                lots = bids if place.side is _BUY else asks
                price_ticks = place.price_ticks
                lots[price_ticks] = lots.get(price_ticks, 0) + place.lots
        return bids, asks

    def apply(self, events: Iterable[BookEvent]) -> None:
        """Take all events of one command in this instrument, in order."""
        entered = 0
        for event in events:
            if isinstance(event, (Acknowledged, Triggered)):
                entered = event.order_id
                self._enter(entered, event.side, event.price_ticks, event.quantity)
            elif isinstance(event, Traded):
                if event.auction_id is not None:
                    self._note_uncrossed(event)
                    continue
                self._shift(event.maker_order_id, -event.quantity)
                if event.taker_order_id == entered:
                    # One that is amended trades before its amend is told, which says what is left of it.
                    self._shift(entered, -event.quantity)
            else:
                self._change(event)
        if self._spent and not self._is_uncrossing:
            self._forget_spent()

    def _change(self, event: Cancelled | Amended | Uncrossed | DisplayChanged | Decremented) -> None:
        if isinstance(event, DisplayChanged):
            if self._is_uncrossing:
                # What an iceberg shows next takes its place after what the auction filled.
                self._end_uncross()
            self._shift(event.order_id, event.quantity)
        elif isinstance(event, Decremented):
            self._shift(event.order_id, -event.by)
        elif isinstance(event, Uncrossed):
            self._end_uncross()
        elif event.parked:
            return
        elif isinstance(event, Cancelled):
            self._shift(event.order_id, -event.remaining)
        elif isinstance(event, Amended):
            self._amend(event)
        else:
            assert_never(event)

    def take_changes(self) -> Sequence[PlaceChange]:
        """Every place that differs from when they were last taken, new ones in priority."""
        if not self._changed:
            return ()
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
        queues = self._bids if side is _BUY else self._asks
        prices = sorted(queues.keys() - UNSHOWN, reverse=side is _BUY)
        return [(price_ticks, queues[price_ticks].copy()) for price_ticks in prices]

    def _enter(self, order_id: int, side: Side, price_ticks: int, lots: int) -> None:
        self._last_ref += 1
        place = self._places[order_id] = Place(self._last_ref, side, price_ticks, lots)
        if self._changed is not None:
            self._changed[place.ref] = place
            self._queue(place)

    def _shift(self, order_id: int, lots: int) -> None:
        """``lots`` more or, negative, fewer. Who was used up and comes again stands at the end."""
        place = self._places[order_id]
        left = place.lots + lots
        if lots > 0 >= place.lots:
            self._requeue(order_id, place, place.price_ticks, left)
        else:
            self._set(order_id, place, left)

    def _amend(self, event: Amended) -> None:
        order_id = event.order_id
        place = self._places[order_id]
        lots = place.lots + event.remaining - event.old_remaining
        if event.price_ticks == event.old_price_ticks and event.remaining <= event.old_remaining:
            self._set(order_id, place, lots)
        else:
            self._requeue(order_id, place, event.price_ticks, lots)

    def _requeue(self, order_id: int, place: Place, price_ticks: int, lots: int) -> None:
        self._set(order_id, place, 0)
        del self._places[order_id]
        self._enter(order_id, place.side, price_ticks, lots)

    def _note_uncrossed(self, trade: Traded) -> None:
        self._is_uncrossing = True
        for order_id in (trade.maker_order_id, trade.taker_order_id):
            if self._changed is None:
                # There may be 100,000 by the end, which is one turn of the loop.
                self._shift(order_id, -trade.quantity)
                continue
            place = self._places[order_id]
            if not place.filled:
                self._uncrossed.append(order_id)
            place.filled += trade.quantity

    def _end_uncross(self) -> None:
        self._is_uncrossing = False
        uncrossed, self._uncrossed = self._uncrossed, []
        for order_id in uncrossed:
            place = self._places[order_id]
            lots, place.filled = place.filled, 0
            self._shift(order_id, -lots)

    def _set(self, order_id: int, place: Place, lots: int) -> None:
        place.lots = lots
        if lots <= 0:
            self._spent.append(order_id)
        if self._changed is not None:
            self._changed[place.ref] = place
            self._queue(place)

    def _forget_spent(self) -> None:
        # Only after the whole command: within it an order may be down to nothing for a moment.
        spent, self._spent = self._spent, []
        places = self._places
        for order_id in spent:
            place = places.get(order_id)
            if place is not None and place.lots <= 0:
                del places[order_id]

    def _queue(self, place: Place) -> None:
        """Keep the queue at its price."""
        queues = self._bids if place.side is _BUY else self._asks
        price_ticks = place.price_ticks
        if place.lots > 0:
            queues.setdefault(price_ticks, {})[place.ref] = place.lots
            return
        queue = queues.get(price_ticks)
        if queue is not None and queue.pop(place.ref, None) is not None and not queue:
            del queues[price_ticks]
