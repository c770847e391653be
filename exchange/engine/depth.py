"""Depth kept from venue events alone, for whoever sees what the venue reports and not its books."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from exchange.engine.book import MARKET_ASK, MARKET_BID, Depth, Level, best_levels
from exchange.model.events import (
    Acknowledged,
    Amended,
    AnyVenueEvent,
    Cancelled,
    Decremented,
    DisplayChanged,
    LevelChange,
    Traded,
    Triggered,
    Uncrossed,
)
from exchange.model.types import Side

__all__ = ["BOOK_EVENTS", "UNSHOWN", "BookEvent", "Depth", "DepthView", "Level", "LevelChange"]

UNSHOWN: Final = frozenset({MARKET_BID, MARKET_ASK})
"""Prices that are none: where market orders wait for an auction."""

BookEvent: TypeAlias = (
    Acknowledged | Traded | Uncrossed | Cancelled | Amended | Triggered | DisplayChanged | Decremented
)
"""The events that have an instrument and may change its levels."""

BOOK_EVENTS: Final = (
    Acknowledged,
    Traded,
    Uncrossed,
    Cancelled,
    Amended,
    Triggered,
    DisplayChanged,
    Decremented,
)
"""The same for isinstance, which takes four times as long with a union."""

_BUY, _SELL = Side.BUY, Side.SELL


class DepthView:
    """Lots at each price of one instrument: always what :meth:`Venue.depth` would say.

    Begins with ``bids`` and ``asks``, the lots by price of now, which it takes over.
    """

    def __init__(
        self, instrument_id: str, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None
    ) -> None:
        self._instrument_id = instrument_id
        self._bids = _Totals({} if bids is None else bids)
        self._asks = _Totals({} if asks is None else asks)

    def apply(self, events: Iterable[AnyVenueEvent]) -> list[LevelChange]:
        """Take all events of one command, in order; gives each level that differs from before it.

        Events of other instruments are passed over.
        """
        entered: Acknowledged | Triggered | None = None
        for event in events:
            if not isinstance(event, BOOK_EVENTS) or event.instrument_id != self._instrument_id:
                continue
            # On the order path: a pattern with an attribute in it costs twice an isinstance.
            if isinstance(event, (Acknowledged, Triggered)):
                # Counted as if it rested; its trades and its cancel take it out again.
                entered = event
                self._of(event.side).add(event.price_ticks, event.quantity)
            elif isinstance(event, Traded):
                if event.auction_id is not None:
                    # What an uncross did to the levels is told whole when it is over.
                    continue
                makers, takers = (
                    (self._asks, self._bids) if event.taker_side is _BUY else (self._bids, self._asks)
                )
                makers.add(event.price_ticks, -event.quantity)
                if entered is not None and event.taker_order_id == entered.order_id:
                    takers.add(entered.price_ticks, -event.quantity)
            elif isinstance(event, Uncrossed):
                for side, price_ticks, quantity in event.levels:
                    self._of(side).put(price_ticks, quantity)
            else:
                self._change(event)
        return [*self._bids.take_changes(_BUY), *self._asks.take_changes(_SELL)]

    def _change(self, event: Cancelled | Amended | DisplayChanged | Decremented) -> None:
        totals, price_ticks = self._of(event.side), event.price_ticks
        if isinstance(event, DisplayChanged):
            totals.add(price_ticks, event.quantity)
        elif isinstance(event, Decremented):
            totals.add(price_ticks, -event.by)
        elif event.parked:
            return
        elif isinstance(event, Cancelled):
            totals.add(price_ticks, -event.remaining)
        else:
            totals.add(event.old_price_ticks, -event.old_remaining)
            totals.add(price_ticks, event.remaining)

    def snapshot(self, levels: int) -> Depth:
        """At most ``levels`` levels a side, best first."""
        return best_levels(self._bids.now, self._asks.now, levels)

    @property
    def totals(self) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """Lots at each price to buy and to sell, market orders that wait included."""
        return self._bids.now, self._asks.now

    def _of(self, side: Side) -> _Totals:
        return self._bids if side is _BUY else self._asks


class _Totals:
    """Lots at each price of one side, and what they were before this command."""

    def __init__(self, now: dict[int, int]) -> None:
        self.now = now
        self._before: dict[int, int] = {}

    def add(self, price_ticks: int, quantity: int) -> None:
        self.put(price_ticks, self.now.get(price_ticks, 0) + quantity)

    def put(self, price_ticks: int, total: int) -> None:
        self._before.setdefault(price_ticks, self.now.get(price_ticks, 0))
        if total:
            self.now[price_ticks] = total
        else:
            self.now.pop(price_ticks, None)

    def take_changes(self, side: Side) -> Iterator[LevelChange]:
        before, self._before = self._before, {}
        for price_ticks, total in before.items():
            now = self.now.get(price_ticks, 0)
            if now != total and price_ticks not in UNSHOWN:
                yield side, price_ticks, now
