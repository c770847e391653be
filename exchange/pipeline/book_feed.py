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
    """``book.{instrument}``. ``levels`` is how much of the book clients see."""

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
        self._changes: dict[tuple[Side, int], int] = {}
        # What clients have; None while nobody ever listened.
        self._shown: dict[Side, dict[int, int]] | None = None
        self._hides = False

    def take(self, events: Iterable[BookEvent]) -> None:
        """Take what one command did to this book."""
        if self._shown is None and self.is_kept:
            self._show()
        for side, price_ticks, quantity in self._view.apply(events):
            self._changes[side, price_ticks] = quantity

    def update(self, timestamp_us: int) -> list[BookUpdate]:
        """One message with all that changed since the last, kept; none when nothing that is seen did."""
        changes, self._changes = self._changes, {}
        if not changes:
            return []
        self._timestamp_us = timestamp_us
        shown = self._shown
        if shown is None:
            self.pass_over()
            return []
        if self._hides or max(map(len, shown.values())) + len(changes) > self._levels:
            changes = self._in_sight(shown)
            if not changes:
                return []
        else:
            _overlay(shown, changes)
        return [self._kept_update(changes)]

    def begin(self) -> tuple[list[AnyEvent], int]:
        if self._shown is None:
            self._show()
        assert self._shown is not None
        decimal = self._grid.decimal
        bids, asks = self._shown[_BUY], self._shown[_SELL]
        snapshot = BookSnapshot(
            seq=self.last_seq,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            epoch=self._epoch,
            bids=[(decimal(price), bids[price]) for price in sorted(bids, reverse=True)],
            asks=[(decimal(price), asks[price]) for price in sorted(asks)],
        )
        return [snapshot], self.last_seq

    def _show(self) -> None:
        depth = self._view.snapshot(self._levels + 1)
        self._hides = max(len(depth.bids), len(depth.asks)) > self._levels
        self._shown = {_BUY: dict(depth.bids[: self._levels]), _SELL: dict(depth.asks[: self._levels])}

    def _in_sight(self, before: dict[Side, dict[int, int]]) -> dict[tuple[Side, int], int]:
        """What the best levels have become, as changes from ``before``."""
        self._show()
        assert self._shown is not None
        changes: dict[tuple[Side, int], int] = {}
        for side, now in self._shown.items():
            then = before[side]
            for price in then.keys() - now.keys():
                changes[side, price] = 0
            for price, quantity in now.items():
                if then.get(price) != quantity:
                    changes[side, price] = quantity
        return changes

    def _kept_update(self, changes: dict[tuple[Side, int], int]) -> BookUpdate:
        decimal = self._grid.decimal
        bids = [(decimal(price), quantity) for (side, price), quantity in changes.items() if side is _BUY]
        asks = [(decimal(price), quantity) for (side, price), quantity in changes.items() if side is _SELL]
        message = BookUpdate(
            seq=self.last_seq + 1,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            prev_seq=self.last_seq,
            bids=bids,
            asks=asks,
        )
        self.keep(message)
        return message


def _entered(instrument_id: str, depth: Depth) -> list[Acknowledged]:
    """``depth`` as if each of its levels were one order that has just come to rest."""
    sides: tuple[tuple[Side, tuple[Level, ...]], ...] = ((_BUY, depth.bids), (_SELL, depth.asks))
    return [
        Acknowledged(0, instrument_id, side, price_ticks, quantity)
        for side, levels in sides
        for price_ticks, quantity in levels
    ]


def _overlay(shown: dict[Side, dict[int, int]], changes: dict[tuple[Side, int], int]) -> None:
    for (side, price_ticks), quantity in changes.items():
        if quantity:
            shown[side][price_ticks] = quantity
        else:
            shown[side].pop(price_ticks, None)
