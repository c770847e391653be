"""The book of one instrument as channels: by level at several depths, and order by order.

Clients see the best levels of each side. A level that falls out of sight is told as deleted, one that comes
into sight as new: snapshot and updates make what a fresh snapshot would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from msgspec.structs import replace

from exchange.base.bounds import MAX_BOOK_LEVELS, ORDERS_PER_PART
from exchange.engine.depth import Level
from exchange.engine.order_view import PlaceChange
from exchange.model.types import Side
from exchange.pipeline.market_view import MarketView
from exchange.pipeline.streams import ConflatedFeed
from exchange.wire.checksum import CHECKED_LEVELS, book_checksum
from exchange.wire.events import (
    AnyEvent,
    BookSnapshot,
    BookUpdate,
    OrdersSnapshot,
    OrdersUpdate,
    PlaceInQueue,
)
from exchange.wire.times import time_text

_BUY, _SELL = Side.BUY, Side.SELL

Row = TypeVar("Row", bound=tuple[Any, ...])


class ChangesFeed(ConflatedFeed):
    """One whose updates name rows with what stands there now, so that the last word on each row is enough."""

    def outcome(self, seq: int) -> list[AnyEvent] | None:
        if seq < self.oldest_resume:
            return None
        kept = self.after(seq, self.last_seq - seq)
        updates = [each for each in kept if isinstance(each, (BookUpdate, OrdersUpdate))]
        if not updates:
            return []
        bids = _last_of_each(update.bids for update in updates)
        asks = _last_of_each(update.asks for update in updates)
        return [replace(updates[-1], prev_seq=seq, bids=bids, asks=asks)]


class BookFeed(ChangesFeed):
    """``book.{instrument}`` and, with fewer ``levels``, ``book.{instrument}.{levels}``."""

    def __init__(
        self, market: MarketView, epoch: str, now_us: int, levels: int = MAX_BOOK_LEVELS, suffix: str = ""
    ) -> None:
        super().__init__(f"book.{market.instrument_id}{suffix}")
        self._market = market
        self._epoch = epoch
        self._levels = levels
        self._timestamp_us = now_us
        self._bid_floor = self._ask_floor = 0

    def light(self) -> None:
        if not self.is_kept:
            market, levels = self._market, self._levels
            self._bid_floor, self._ask_floor = market.bids.floor(levels), market.asks.floor(levels)
        super().light()

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        market, levels = self._market, self._levels
        if not market.bid_changes and not market.ask_changes:
            return []
        bid_then, self._bid_floor = self._bid_floor, market.bids.floor(levels)
        ask_then, self._ask_floor = self._ask_floor, market.asks.floor(levels)
        bids = market.bids.seen_changes(market.bid_changes, bid_then, self._bid_floor)
        asks = market.asks.seen_changes(market.ask_changes, ask_then, self._ask_floor)
        if not bids and not asks:
            return []
        self._timestamp_us = timestamp_us
        message = BookUpdate(
            seq=self.last_seq + 1,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            prev_seq=self.last_seq,
            bids=self._priced(bids),
            asks=self._priced(asks),
            checksum=self._checksum(),
        )
        self.keep(message)
        return [message]

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        market, levels = self._market, self._levels
        snapshot = BookSnapshot(
            seq=self.last_seq,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            epoch=self._epoch,
            bids=self._priced(market.bids.best(levels)),
            asks=self._priced(market.asks.best(levels)),
            checksum=self._checksum(),
            price_decimals=market.grid.decimals,
        )
        return iter((snapshot,)), self.last_seq

    def _priced(self, levels: Iterable[Level]) -> list[tuple[float, int]]:
        decimal = self._market.grid.decimal
        return [(decimal(price_ticks), quantity) for price_ticks, quantity in levels]

    def _checksum(self) -> int | None:
        if self._market.grid.decimals is None:
            return None
        market, count = self._market, min(CHECKED_LEVELS, self._levels)
        units = market.grid.digits
        return book_checksum(market.asks.digits(count, units), market.bids.digits(count, units))


class OrdersFeed(ChangesFeed):
    """``orders.{instrument}``: every order at rest, by a reference that tells nothing of whose it is."""

    def __init__(self, market: MarketView, epoch: str, now_us: int) -> None:
        super().__init__(f"orders.{market.instrument_id}")
        self._market = market
        self._epoch = epoch
        self._timestamp_us = now_us

    def light(self) -> None:
        self._market.orders.light()
        super().light()

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        changes = self._market.place_changes
        if not changes:
            return []
        self._timestamp_us = timestamp_us
        message = OrdersUpdate(
            seq=self.last_seq + 1,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            prev_seq=self.last_seq,
            bids=self._rows(change for change in changes if change.side is _BUY),
            asks=self._rows(change for change in changes if change.side is _SELL),
        )
        self.keep(message)
        return [message]

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        orders = self._market.orders
        queues = [(side, *level) for side in (_BUY, _SELL) for level in orders.copy(side)]
        return self._parts(queues, self.last_seq, time_text(self._timestamp_us)), self.last_seq

    def _parts(
        self, queues: list[tuple[Side, int, dict[int, int]]], seq: int, timestamp: str
    ) -> Iterator[AnyEvent]:
        parts = max(1, -(-sum(len(queue) for _, _, queue in queues) // ORDERS_PER_PART))
        places = (
            PlaceChange(ref, side, price_ticks, lots)
            for side, price_ticks, queue in queues
            for ref, lots in queue.items()
        )
        for part in range(1, parts + 1):
            rows = list(islice(places, ORDERS_PER_PART))
            yield OrdersSnapshot(
                seq=seq,
                timestamp=timestamp,
                channel=self.name,
                epoch=self._epoch,
                bids=self._rows(row for row in rows if row.side is _BUY),
                asks=self._rows(row for row in rows if row.side is _SELL),
                part=part,
                parts=parts,
            )

    def _rows(self, changes: Iterable[PlaceChange]) -> list[PlaceInQueue]:
        decimal = self._market.grid.decimal
        return [(change.ref, decimal(change.price_ticks), change.lots) for change in changes]


def _last_of_each(updates: Iterable[Iterable[Row]]) -> list[Row]:
    """Of each level or place what was told last, in the order in which they were first told."""
    return list({row[0]: row for rows in updates for row in rows}.values())
