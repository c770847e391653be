"""The in-loop journal for virtual time and tests: no thread, latency and faults from a seeded stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator

from msgspec import Struct

from exchange.journal.batch import GENESIS, Batch, BatchKind, seal
from exchange.journal.protocol import JournalFailed, check_append
from exchange.journal.statistics import CommitObserver, CommitTally, JournalStatistics


class MemoryFaults(Struct, frozen=True):
    """How the imagined disk behaves: each commit takes ``latency_s`` plus up to ``jitter_s``.

    An append fails when it is number ``fail_at`` (the first is 1), and with ``fail_probability``.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    fail_at: int | None = None
    fail_probability: float = 0.0


class _Flight(Struct):
    """The append under way."""

    batch: Batch
    chain: bytes
    future: asyncio.Future[None]
    fails: bool
    seconds: float
    ended: asyncio.Event


class MemoryJournal:
    """See ``Journal``. ``batches`` are what an earlier run left, ``clean`` whether it was closed.

    It keeps every batch, as a journal does: it is bounded by the length of the game, not by a number.
    """

    def __init__(
        self,
        stream: random.Random,
        faults: MemoryFaults | None = None,
        *,
        batches: Iterable[Batch] = (),
        clean: bool = True,
        observe_commit: CommitObserver | None = None,
    ) -> None:
        self._stream = stream
        self._faults = faults or MemoryFaults()
        self._was_clean = clean
        self._tally = CommitTally(observe_commit)
        self._batches: list[Batch] = []
        self._chains = {0: GENESIS}
        self._last_sequence = 0
        self._chain = GENESIS
        self._appends = 0
        self._flight: _Flight | None = None
        # Of an append that failed nobody knows whether it is on the disk.
        self._doubtful: Batch | None = None
        self._failure: str | None = None
        self._closed = False
        for batch in batches:
            check_append(batch, self._last_sequence)
            self._keep(batch, seal(self._chain, batch)[1])

    @property
    def last_sequence(self) -> int:
        return self._last_sequence

    @property
    def chain(self) -> bytes:
        return self._chain

    @property
    def was_clean(self) -> bool:
        return self._was_clean

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]:
        durable = tuple(self._batches)
        return (b for b in durable if b.last_sequence > after and (kind is None or b.kind is kind))

    def chain_at(self, sequence: int) -> bytes | None:
        return self._chains.get(sequence)

    def append(self, batch: Batch) -> asyncio.Future[None]:
        if self._closed:
            raise RuntimeError("the journal is closed")
        if self._flight is not None:
            raise RuntimeError("an append is in flight")
        check_append(batch, self._last_sequence)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self._failure is not None:
            future.set_exception(JournalFailed(self._failure))
            return future
        self._flight = flight = self._begin(batch, future)
        if flight.seconds > 0:
            loop.call_later(flight.seconds, self._end, flight)
        else:
            loop.call_soon(self._end, flight)
        return future

    def statistics(self) -> JournalStatistics:
        return self._tally.statistics(head_sequence=self._last_sequence, failed=self._failure is not None)

    async def close(self, *, clean: bool = True) -> None:
        """See ``Journal``. Nothing is left that a next run could find ``clean`` in."""
        self._closed = True
        if self._flight is not None:
            await self._flight.ended.wait()

    def crash(self) -> list[Batch]:
        """Lose power now: what a successor finds on the disk. Nothing more is acknowledged here.

        The append that was in flight, or failed, is there or not, as the stream decides.
        """
        if self._flight is not None:
            self._fail(self._flight, "the journal lost power")
        self._failure = self._failure or "the journal lost power"
        if self._doubtful is not None and self._stream.random() < 0.5:
            self._keep(self._doubtful, seal(self._chain, self._doubtful)[1])
        self._doubtful = None
        return list(self._batches)

    def _begin(self, batch: Batch, future: asyncio.Future[None]) -> _Flight:
        self._appends += 1
        # Both are drawn for every append, so that a fault moves no later draw.
        seconds = self._faults.latency_s + self._faults.jitter_s * self._stream.random()
        unlucky = self._stream.random() < self._faults.fail_probability
        fails = unlucky or self._appends == self._faults.fail_at
        return _Flight(batch, seal(self._chain, batch)[1], future, fails, seconds, asyncio.Event())

    def _end(self, flight: _Flight) -> None:
        if flight is not self._flight:
            return
        if flight.fails:
            self._fail(flight, "the disk refused a write, as it was told to")
            return
        self._flight = None
        flight.ended.set()
        self._keep(flight.batch, flight.chain)
        self._tally.add(flight.batch, flight.seconds)
        if not flight.future.done():
            flight.future.set_result(None)

    def _fail(self, flight: _Flight, why: str) -> None:
        self._flight = None
        flight.ended.set()
        self._failure = why
        self._doubtful = flight.batch
        if not flight.future.done():
            flight.future.set_exception(JournalFailed(why))

    def _keep(self, batch: Batch, chain: bytes) -> None:
        self._batches.append(batch)
        self._last_sequence, self._chain = batch.last_sequence, chain
        self._chains[batch.last_sequence] = chain
