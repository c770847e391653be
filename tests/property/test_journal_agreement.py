"""Whatever is done to them, the in-loop journal and the one on disk say the same as a plain list."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.journal.batch import GENESIS, Batch, BatchKind, seal
from exchange.journal.protocol import Journal, JournalFailed
from tests.unit.journal.places import FaultyDisk, MemoryPlace, Place, SqlitePlace

Result = TypeVar("Result")


class TwoJournals(RuleBasedStateMachine):
    """A list of what was acknowledged, and both implementations beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = FaultyDisk()
        self.directory = tempfile.TemporaryDirectory()
        self.games = 0
        self.places: list[Place] = []
        self.journals: list[Journal] = []
        self.written: list[Batch] = []
        self.doubtful: Batch | None = None
        self.clean = True

    def teardown(self) -> None:
        for journal in self.journals:
            self.run(journal.close())
        self.disk.unregister()
        self.directory.cleanup()
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Two new places."""
        self.games += 1
        self.places = [SqlitePlace(Path(self.directory.name) / str(self.games), self.disk), MemoryPlace()]
        self.written, self.doubtful, self.clean = [], None, True
        self.open(None)

    @precondition(lambda self: self.doubtful is None)
    @rule(
        records=st.integers(1, 40),
        kind=st.sampled_from(BatchKind),
        payload=st.binary(max_size=200),
        repeat=st.sampled_from([1, 1, 1, 80]),
    )
    def append(self, records: int, kind: BatchKind, payload: bytes, repeat: int) -> None:
        """Both take it, or both fail; a payload of up to 16,000 bytes spills over pages."""
        batch = Batch(self.last_sequence + 1, self.last_sequence + records, kind, payload * repeat)
        taken = {self.run(self.is_taken(journal, batch)) for journal in self.journals}
        if taken == {True}:
            self.written.append(batch)
        else:
            assert taken == {False}
            self.doubtful = batch

    @precondition(lambda self: self.doubtful is not None)
    @rule()
    def append_after_failure(self) -> None:
        """Neither takes anything after a failure."""
        assert self.doubtful is not None
        for journal in self.journals:
            assert not self.run(self.is_taken(journal, self.doubtful))

    @precondition(lambda self: self.doubtful is None)
    @rule(fail_at=st.none() | st.integers(1, 4))
    def restart(self, fail_at: int | None) -> None:
        """A clean stop, and a run in which an append may fail."""
        for journal in self.journals:
            self.run(journal.close())
        self.clean = True
        self.open(fail_at)

    @rule(fail_at=st.none() | st.integers(1, 4))
    def crash(self, fail_at: int | None) -> None:
        """Nothing that was acknowledged is lost. Of an append that failed each may have kept it or not."""
        for place, journal in zip(self.places, self.journals, strict=True):
            self.run(place.crash(journal))
        self.clean = False
        doubtful = self.doubtful
        if doubtful is None:
            self.open(fail_at)
            return
        self.open(None)
        for journal in self.journals:
            assert list(journal.read()) in (self.written, [*self.written, doubtful])
            self.run(journal.close())
        self.begin()

    @rule(after=st.integers(0, 200), kind=st.none() | st.sampled_from(BatchKind))
    def read(self, after: int, kind: BatchKind | None) -> None:
        """Both give what the list has."""
        expected = [
            batch
            for batch in self.written
            if batch.last_sequence > after and (kind is None or batch.kind is kind)
        ]
        for journal in self.journals:
            assert list(journal.read(after, kind)) == expected

    @invariant()
    def agree(self) -> None:
        """Last sequence, chain, cleanness and failure are those of the list."""
        chain = GENESIS
        for batch in self.written:
            chain = seal(chain, batch)[1]
        for journal in self.journals:
            assert (journal.last_sequence, journal.chain) == (self.last_sequence, chain)
            assert journal.was_clean is self.clean
            assert journal.statistics().failed is (self.doubtful is not None)

    @property
    def last_sequence(self) -> int:
        return self.written[-1].last_sequence if self.written else 0

    def open(self, fail_at: int | None) -> None:
        self.journals = [self.run(self.opened(place, fail_at)) for place in self.places]

    async def opened(self, place: Place, fail_at: int | None) -> Journal:
        return place.open(fail_at=fail_at)

    async def is_taken(self, journal: Journal, batch: Batch) -> bool:
        try:
            await journal.append(batch)
        except JournalFailed:
            return False
        return True

    def run(self, coroutine: Coroutine[None, None, Result]) -> Result:
        return self.loop.run_until_complete(coroutine)


TestTwoJournals = TwoJournals.TestCase
TestTwoJournals.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
