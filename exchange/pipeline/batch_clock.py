"""Ends a batch of orders every so often: an uncross in each instrument where it would do anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from exchange.model.commands import Uncross


class Batches(Protocol):
    """The venue."""

    def wants_uncross(self, instrument_id: str) -> bool: ...


class BatchClock:
    """``instrument_ids`` trade in batch auctions. What comes of a look is sequenced like any command, and so
    the batch ends where that stands in the order of all things.
    """

    def __init__(
        self, instrument_ids: Iterable[str], venue: Batches, submit: Callable[[Uncross], object]
    ) -> None:
        self._instrument_ids = sorted(instrument_ids)
        self._venue = venue
        self._submit = submit

    def check(self) -> None:
        """The interval is over."""
        for instrument_id in self._instrument_ids:
            if self._venue.wants_uncross(instrument_id):
                self._submit(Uncross(instrument_id))
