"""When orders good till a date end: the venue knows, and a clock outside asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

_KEPT: Final = 64


class Expiry(NamedTuple):
    """The end of one order, by time and then by number."""

    expires_at_us: int
    order_id: int
    account: int
    instrument_id: str


class Expiries:
    """A heap of ends. An order may be gone before its end: its entry is dropped as it comes to the top, and
    all such are swept out whenever the heap has doubled.
    """

    def __init__(self, is_live: Callable[[Expiry], bool]) -> None:
        self._is_live = is_live
        self._heap: list[Expiry] = []
        self._sweep_at = _KEPT

    def add(self, expiry: Expiry) -> None:
        """Note the end of an order."""
        heappush(self._heap, expiry)
        if len(self._heap) > self._sweep_at:
            self._heap = [each for each in self._heap if self._is_live(each)]
            heapify(self._heap)
            self._sweep_at = 2 * len(self._heap) + _KEPT

    @property
    def next_us(self) -> int | None:
        """When the next live order ends."""
        heap = self._heap
        while heap and not self._is_live(heap[0]):
            heappop(heap)
        return heap[0].expires_at_us if heap else None

    def due(self, due_us: int) -> Iterator[Expiry]:
        """The orders that end up to ``due_us``, taken out."""
        while (at_us := self.next_us) is not None and at_us <= due_us:
            yield heappop(self._heap)
