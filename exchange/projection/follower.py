"""Takes what the journal has gained and writes what it means. It may wait for the database; no order does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from exchange.base.bounds import PROJECTION_DETAIL, PROJECTION_RECORDS, PROJECTION_RETRY_S, STAGE_BATCH
from exchange.journal.batch import Batch
from exchange.journal.follow import FollowedJournal
from exchange.journal.records import decode_batch, decode_batches
from exchange.log import get_logger
from exchange.model.commands import Void
from exchange.pipeline.recovery import CoreFactory
from exchange.projection.projector import Projector, ReplayStopped
from exchange.storage.changes import Changes, Offset
from exchange.storage.errors import OffsetMoved, OtherJournal, StorageUnavailable
from exchange.storage.progress import ProjectionReport, ProjectionState
from exchange.storage.store import Store

Report = Callable[[ProjectionReport], None]

_BATCHES: Final = PROJECTION_RECORDS // STAGE_BATCH
_FIRST_RETRY_S: Final = 0.1


class FollowTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Without ``follow`` it is over at the journal's end. Once told to stop it takes what is durable, for
    at most ``drain_s``.
    """

    follow: bool = False
    rebuild: bool = False
    poll_s: float = 0.1
    drain_s: float = 5.0


class Follower:
    """One journal into one database. :meth:`run` until the end, or until :meth:`stop`."""

    def __init__(
        self, data_dir: Path, store: Store, build: CoreFactory, terms: FollowTerms, report: Report
    ) -> None:
        self._data_dir = data_dir
        self._store = store
        self._build = build
        self._terms = terms
        self._report = report
        self._log = get_logger("projection")
        self._stopping = asyncio.Event()
        self._deadline: float | None = None
        self._offset = Offset()
        self._told: ProjectionReport | None = None
        self.halted: ReplayStopped | None = None
        """The command before which it stands, and why."""

    def stop(self) -> None:
        """Take what is durable, then end."""
        if not self._stopping.is_set():
            self._deadline = asyncio.get_running_loop().time() + self._terms.drain_s
            self._stopping.set()

    async def run(self) -> Offset:
        """How far the tables are. Raises StorageError, JournalError, JournalReplaced."""
        with suppress(_Stopped):
            await self._reach(rebuild=self._terms.rebuild)
            await self._replay_all()
        return self._offset

    async def _replay_all(self) -> None:
        while True:
            try:
                await self._replay()
                return
            except ReplayStopped as stopped:
                # What it did before it raised is in the state: the next replay ends before it.
                self._log.error("projection halted", sequence=stopped.sequence, error=str(stopped))
                self.halted = stopped
            except _Voided:
                self.halted = None

    async def _replay(self) -> None:
        """Once through the journal; ends before the command that halted a replay before."""
        self._tell(ProjectionState.STARTING)
        with closing(FollowedJournal(self._data_dir)) as journal:
            self._check(journal)
            projector = Projector(self._build, voided=_voided(journal), silent_until=self._offset.sequence)
            await self._follow(journal, projector, self.halted)

    async def _follow(
        self, journal: FollowedJournal, projector: Projector, halted: ReplayStopped | None
    ) -> None:
        # One by one where a batch may have to be cut: the anchor is the end of the one before.
        batches = _BATCHES if halted is None else 1
        while True:
            anchor, chain = journal.sequence, journal.chain
            taken = journal.take(batches)
            if halted is not None and journal.sequence >= halted.sequence:
                _apply(projector, taken, before=halted.sequence)
                await self._write(projector.changes(), Offset(halted.sequence - 1, anchor, chain))
                await self._wait_void(journal, halted)
            if taken:
                _apply(projector, taken)
                await self._write(
                    projector.changes(), Offset(journal.sequence, journal.sequence, journal.chain)
                )
            elif self._is_over():
                return
            else:
                self._tell(ProjectionState.FOLLOWING)
                await self._pause(self._terms.poll_s)
            self._check_deadline()

    async def _write(self, changes: Changes, after: Offset) -> None:
        """All of it or nothing, and again until it is there: the process may be killed at any moment."""
        if after.sequence > self._offset.sequence:
            try:
                await self._store.write(changes, self._offset, after)
            except StorageUnavailable as error:
                await self._write_again(changes, after, error)
            self._offset = after
            self._tell(ProjectionState.FOLLOWING)
        # Signals and the parent's end are heard here.
        await asyncio.sleep(0)

    async def _write_again(self, changes: Changes, after: Offset, error: StorageUnavailable) -> None:
        while True:
            before = self._offset
            await self._reach(error)
            if self._offset == after:
                # The answer was lost, not the transaction.
                return
            if self._offset != before:
                raise OffsetMoved(f"the tables are at sequence {self._offset.sequence} of another process")
            try:
                await self._store.write(changes, before, after)
                return
            except StorageUnavailable as again:
                error = again

    async def _reach(self, error: StorageUnavailable | None = None, *, rebuild: bool = False) -> None:
        """Wait for the database, make the tables if need be, and learn how far they are."""
        delay_s = _FIRST_RETRY_S
        while True:
            if error is not None:
                self._log.warning("database does not answer", error=str(error), retry_in_s=delay_s)
                self._tell(ProjectionState.WAITING, str(error))
                if not self._terms.follow:
                    raise error
                await self._pause(delay_s)
                if self._stopping.is_set():
                    raise _Stopped
                delay_s = min(2 * delay_s, PROJECTION_RETRY_S)
            try:
                self._offset = await self._store.prepare(rebuild=rebuild)
                return
            except StorageUnavailable as refused:
                error = refused

    async def _wait_void(self, journal: FollowedJournal, halted: ReplayStopped) -> None:
        """Raises _Voided once the operator has voided the command, _Stopped where there is nobody to wait."""
        while halted.sequence not in _voided(journal):
            self._tell(ProjectionState.HALTED, str(halted))
            if self._is_over():
                raise _Stopped
            # A server voids when it starts, and starts a follower of its own then: this is for others.
            await self._pause(PROJECTION_RETRY_S)
        raise _Voided

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _is_over(self) -> bool:
        return not self._terms.follow or self._stopping.is_set()

    def _check_deadline(self) -> None:
        if self._deadline is not None and asyncio.get_running_loop().time() > self._deadline:
            raise _Stopped

    def _check(self, journal: FollowedJournal) -> None:
        offset = self._offset
        if journal.link_at(offset.anchor) != (offset.anchor, offset.chain):
            raise OtherJournal(
                f"the tables were made from another journal than the one in {self._data_dir}: another game,"
                f" or one that was cut or restored before sequence {offset.sequence}."
                " To make them anew from this journal: exchange project --rebuild"
            )

    def _tell(self, state: ProjectionState, detail: str | None = None) -> None:
        cut = None if detail is None else detail[:PROJECTION_DETAIL]
        report = ProjectionReport(state, self._offset.sequence, cut)
        if report != self._told:
            self._told = report
            self._report(report)


class _Stopped(Exception):
    """Told to stop, and there is nothing more to be done in time."""


class _Voided(Exception):
    """The command that stopped the replay is skipped from now on."""


def _voided(journal: FollowedJournal) -> frozenset[int]:
    return frozenset(_void_targets(journal))


def _void_targets(journal: FollowedJournal) -> Iterator[int]:
    for record in decode_batches(journal.voids()):
        if isinstance(record.command, Void):
            yield record.command.sequence


def _apply(projector: Projector, batches: list[Batch], before: int | None = None) -> None:
    for batch in batches:
        for record in decode_batch(batch):
            if before is not None and record.sequence >= before:
                return
            projector.take(record)
