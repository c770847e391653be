"""The book of one instrument as a channel: a snapshot, then the levels that changed.

What clients see are the best ``MAX_BOOK_LEVELS`` levels of each side. A level that falls out of sight is told
as deleted, one that comes into sight as new: snapshot and updates make what a fresh snapshot would.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.base.bounds import MAX_BOOK_LEVELS
from exchange.engine.depth import BookEvent, Depth, DepthView, Level
from exchange.model.events import Acknowledged
from exchange.model.types import Side
from exchange.pipeline.streams import PublicFeed
from exchange.wire.events import AnyEvent, BookSnapshot, BookUpdate
from exchange.wire.prices import PriceGrid
from exchange.wire.times import time_text

_BUY, _SELL = Side.BUY, Side.SELL


class BookFeed(PublicFeed):
    """``book.{instrument}``, beginning with ``depth``. ``levels`` is how much of the book clients see."""

    def __init__(
        self, grid: PriceGrid, depth: Depth, epoch: str, now_us: int, levels: int = MAX_BOOK_LEVELS
    ) -> None:
        super().__init__(f"book.{grid.instrument_id}")
        self.instrument_id = grid.instrument_id
        self._grid = grid
        self._epoch = epoch
        self._levels = levels
        self._timestamp_us = now_us
        self._view = DepthView(grid.instrument_id)
        self._view.apply(_entered(grid.instrument_id, depth))
        self._bids, self._asks = _Ladder(), _Ladder()
        # Nobody has ever listened: the ladders are not kept up.
        self._is_dark = True

    def take(self, events: Iterable[BookEvent]) -> None:
        """Take what one command did to this book."""
        if self._is_dark and self.is_kept:
            self._light()
        for side, price_ticks, quantity in self._view.apply(events):
            (self._bids if side is _BUY else self._asks).changes[price_ticks] = quantity

    def update(self, timestamp_us: int) -> list[BookUpdate]:
        """One message with all that changed since the last, kept; none when nothing that is seen did."""
        bids, asks = self._bids.take_changes(), self._asks.take_changes()
        if not bids and not asks:
            return []
        self._timestamp_us = timestamp_us
        if self._is_dark:
            self.pass_over()
            return []
        if self._bids.can_hold(bids, self._levels) and self._asks.can_hold(asks, self._levels):
            self._bids.overlay(bids)
            self._asks.overlay(asks)
        else:
            bids, asks = self._show_best()
        return [self._kept_update(bids, asks)] if bids or asks else []

    def begin(self) -> tuple[list[AnyEvent], int]:
        if self._is_dark:
            self._light()
        bids, asks = self._bids.shown, self._asks.shown
        snapshot = BookSnapshot(
            seq=self.last_seq,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            epoch=self._epoch,
            bids=self._priced((price, bids[price]) for price in sorted(bids, reverse=True)),
            asks=self._priced((price, asks[price]) for price in sorted(asks)),
        )
        return [snapshot], self.last_seq

    def _light(self) -> None:
        self._show_best()
        self._is_dark = False

    def _show_best(self) -> tuple[dict[int, int], dict[int, int]]:
        depth = self._view.snapshot(self._levels)
        return self._bids.show(depth.bids), self._asks.show(depth.asks)

    def _kept_update(self, bids: dict[int, int], asks: dict[int, int]) -> BookUpdate:
        message = BookUpdate(
            seq=self.last_seq + 1,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            prev_seq=self.last_seq,
            bids=self._priced(bids.items()),
            asks=self._priced(asks.items()),
        )
        self.keep(message)
        return message

    def _priced(self, levels: Iterable[Level]) -> list[tuple[float, int]]:
        decimal = self._grid.decimal
        return [(decimal(price_ticks), quantity) for price_ticks, quantity in levels]


class _Ladder:
    """One side: the levels that clients have, and what changed in the book since."""

    __slots__ = ("changes", "shown")

    def __init__(self) -> None:
        self.shown: dict[int, int] = {}
        self.changes: dict[int, int] = {}

    def take_changes(self) -> dict[int, int]:
        changes, self.changes = self.changes, {}
        return changes

    def can_hold(self, changes: dict[int, int], levels: int) -> bool:
        """Whether ``changes``, whatever they are, leave every level in sight. A full ladder may hide some."""
        return len(self.shown) + len(changes) <= levels

    def overlay(self, changes: dict[int, int]) -> None:
        for price_ticks, quantity in changes.items():
            if quantity:
                self.shown[price_ticks] = quantity
            else:
                self.shown.pop(price_ticks, None)

    def show(self, best: Iterable[Level]) -> dict[int, int]:
        """Show ``best`` and nothing else; what that changes for clients."""
        then, now = self.shown, dict(best)
        self.shown = now
        changes = {price_ticks: 0 for price_ticks in then if price_ticks not in now}
        changes.update(level for level in now.items() if then.get(level[0]) != level[1])
        return changes


def _entered(instrument_id: str, depth: Depth) -> list[Acknowledged]:
    """``depth`` as if each of its levels were one order that has just come to rest."""
    return [
        Acknowledged(0, instrument_id, side, price_ticks, quantity)
        for side, levels in ((_BUY, depth.bids), (_SELL, depth.asks))
        for price_ticks, quantity in levels
    ]
