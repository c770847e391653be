"""The book of one instrument as a client keeps it: a snapshot, then the levels that changed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

from exchange.wire.checksum import CHECKED_LEVELS, book_checksum, level_digits
from exchange.wire.events import BookSnapshot, BookUpdate


class Level(NamedTuple):
    """A price in the currency and the lots resting there."""

    price: float
    quantity: int


class BookGap(Exception):
    """An update does not continue the state of the book: something in between was missed."""


class ChecksumMismatch(Exception):
    """The book is not what the exchange says it is after this event."""


class OrderBook:
    """``is_synced`` is false before the first snapshot, and while updates are known to be missing."""

    def __init__(self, instrument_id: str) -> None:
        self.instrument_id = instrument_id
        self.seq = 0
        self.timestamp = ""
        self.is_synced = False
        self._has_snapshot = False
        self._price_units = 0
        self._bids = _BookSide()
        self._asks = _BookSide()

    @property
    def best_bid(self) -> Level | None:
        """The highest buyer."""
        return self._bids.at(-1)

    @property
    def best_ask(self) -> Level | None:
        """The lowest seller."""
        return self._asks.at(0)

    @property
    def mid(self) -> float | None:
        """Halfway between the best prices; None while a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid.price + ask.price) / 2

    @property
    def spread(self) -> float | None:
        """Best ask less best bid; None while a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else ask.price - bid.price

    def bids(self, depth: int | None = None) -> list[Level]:
        """Buyers, best first."""
        return self._bids.levels(reverse=True, depth=depth)

    def asks(self, depth: int | None = None) -> list[Level]:
        """Sellers, best first."""
        return self._asks.levels(reverse=False, depth=depth)

    def apply(self, event: BookSnapshot | BookUpdate) -> None:
        """Take in an event of ``book.{instrument}``, at whatever depth.

        Raises BookGap when an update does not follow, ChecksumMismatch when the outcome is another than the
        exchange's.
        """
        if isinstance(event, BookSnapshot):
            self._bids = _BookSide(event.bids)
            self._asks = _BookSide(event.asks)
            self._has_snapshot = True
            self._price_units = 0 if event.price_decimals is None else 10**event.price_decimals
        elif not self._has_snapshot or event.prev_seq != self.seq:
            self.is_synced = False
            raise BookGap(f"{self.instrument_id}: update after {event.prev_seq}, book at {self.seq}")
        else:
            for price, quantity in event.bids:
                self._bids.set(price, quantity)
            for price, quantity in event.asks:
                self._asks.set(price, quantity)
        self.seq = event.seq
        self.timestamp = event.timestamp
        self.is_synced = True
        if event.checksum is not None and self._price_units:
            self._check(event.checksum)

    def lose(self) -> None:
        """Updates are missing until :meth:`resume` or the next snapshot."""
        self.is_synced = False

    def resume(self) -> None:
        """The updates that follow its state are on their way."""
        self.is_synced = self._has_snapshot

    def _check(self, expected: int) -> None:
        sides = (self.asks(CHECKED_LEVELS), self.bids(CHECKED_LEVELS))
        units = self._price_units
        asks, bids = (level_digits((round(price * units), lots) for price, lots in side) for side in sides)
        found = book_checksum(asks, bids)
        if found != expected:
            self.is_synced = self._has_snapshot = False
            raise ChecksumMismatch(f"{self.instrument_id} at {self.seq}: {found} in place of {expected}")


class _BookSide:
    """Prices, ascending, and the quantity at each. The same tick is always the same float."""

    __slots__ = ("_prices", "_quantities")

    def __init__(self, levels: Iterable[tuple[float, int]] = ()) -> None:
        self._quantities: dict[float, int] = dict(levels)
        self._prices: list[float] = sorted(self._quantities)

    def set(self, price: float, quantity: int) -> None:
        known = price in self._quantities
        if quantity:
            self._quantities[price] = quantity
            if not known:
                insort(self._prices, price)
        elif known:
            del self._quantities[price]
            del self._prices[bisect_left(self._prices, price)]

    def at(self, index: int) -> Level | None:
        if not self._prices:
            return None
        price = self._prices[index]
        return Level(price, self._quantities[price])

    def levels(self, *, reverse: bool, depth: int | None) -> list[Level]:
        count = len(self._prices) if depth is None else max(depth, 0)
        prices = self._prices[: -count - 1 : -1] if reverse else self._prices[:count]
        return [Level(price, self._quantities[price]) for price in prices]
