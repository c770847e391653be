"""The embedded journal: SQLite with a writer thread, a head file beside it, a lock around both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import apsw
from msgspec import Struct

from exchange.base.clock import Clock
from exchange.journal.batch import Batch, BatchKind, Head, seal
from exchange.journal.database import Synchronous, abandon, create, open_writer
from exchange.journal.files import HEAD, JOURNAL, sync
from exchange.journal.head import HeadFile, begin
from exchange.journal.keeper import HeadKeeper
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalDamaged, JournalFailed, check_append
from exchange.journal.reader import chain_at, last_link, read_batches
from exchange.journal.statistics import CommitObserver, CommitTally, JournalStatistics
from exchange.journal.survey import Survey, survey_directory
from exchange.journal.writer import CommitAtOnce, Committer, CommitThread, Log


class _Flight(Struct):
    """The append under way."""

    batch: Batch
    chain: bytes
    future: asyncio.Future[None]
    began_ns: int


class SqliteJournal:
    """See ``Journal``. ``open`` makes one; it belongs to one event loop."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        lock: DirectoryLock,
        found: Survey,
        connection: apsw.Connection,
        flushes: bool,
        heads: HeadFile,
        observe_commit: CommitObserver | None,
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._loop = loop
        self._lock = lock
        self._connection = connection
        self._last_sequence = found.last_sequence
        self._chain = found.chain
        self._was_clean = found.head is None or found.head.clean
        self._tally = CommitTally(observe_commit)
        self._flight: _Flight | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._keeper = HeadKeeper(heads, self._head(clean=False), loop, self._fail)
        self._log = Log(connection, clock)
        self._commits: Committer = (
            CommitThread(self._log, loop, self._committed, self._fail)
            if flushes
            else CommitAtOnce(self._log, self._committed, self._fail)
        )

    @classmethod
    def open(
        cls,
        data_dir: Path,
        clock: Clock,
        *,
        synchronous: Synchronous = "full",
        observe_commit: CommitObserver | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> SqliteJournal:
        """Verify the journal in ``data_dir``, creating it if there is none, and record that it runs.

        Blocks while it reads everything; ``loop`` is the running one unless given. Raises JournalLocked,
        JournalForeign, JournalDamaged, JournalBehindHead; what is refused is left as it was, byte for byte.
        JournalFailed when the disk refuses a write: nothing was accepted, the next ``open`` begins again.
        """
        loop = loop or asyncio.get_running_loop()
        _make_directory(data_dir)
        lock = DirectoryLock(data_dir)
        with ExitStack() as undo:
            undo.callback(lock.release)
            found = survey_directory(data_dir)
            if found.problems:
                raise found.problems[0]
            try:
                connection = _connect(data_dir / JOURNAL, found, synchronous)
                undo.callback(abandon, connection)
                heads = begin(data_dir / HEAD, Head(found.last_sequence, found.chain, clean=False))
            except (apsw.Error, OSError) as error:
                raise JournalFailed(f"the journal in {data_dir} can't be written: {error}") from error
            undo.pop_all()
        return cls(
            data_dir,
            clock,
            loop,
            lock=lock,
            found=found,
            connection=connection,
            flushes=synchronous != "off",
            heads=heads,
            observe_commit=observe_commit,
        )

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
        """See ``Journal``. Up to what is durable at the call; blocks while it reads from the disk."""
        return self._read(after, kind, self._last_sequence)

    def chain_at(self, sequence: int) -> bytes | None:
        return chain_at(self._data_dir, sequence)

    def append(self, batch: Batch) -> asyncio.Future[None]:
        if self._closed:
            raise RuntimeError("the journal is closed")
        if self._flight is not None:
            raise RuntimeError("an append is in flight")
        check_append(batch, self._last_sequence)
        future = self._loop.create_future()
        if self._failure is not None:
            future.set_exception(self._failed())
            return future
        # Sealed here and not in the thread, where hashing would contend for the interpreter lock.
        checksum, chain = seal(self._chain, batch)
        self._flight = _Flight(batch, chain, future, self._clock.monotonic_ns())
        self._commits.commit(
            (batch.first_sequence, batch.last_sequence, int(batch.kind), checksum, chain, batch.payload)
        )
        return future

    def statistics(self) -> JournalStatistics:
        return self._tally.statistics(
            head_sequence=self._keeper.sequence,
            failed=self._failure is not None,
            checkpoints=self._log.checkpoints,
            max_checkpoint_s=self._log.max_checkpoint_ns / 1e9,
        )

    async def close(self, *, clean: bool = True) -> None:
        """See ``Journal``. After a failure it closes quietly: that was told, and the head stays not clean."""
        if self._closed:
            return
        self._closed = True
        self._keeper.cancel()
        try:
            await self._commits.stop()
            await asyncio.to_thread(self._finish, clean)
        except (apsw.Error, OSError) as error:
            self._failure = error
            raise self._failed() from error
        finally:
            self._lock.release()

    def _read(self, after: int, kind: BatchKind | None, end: int) -> Iterator[Batch]:
        reached = after
        for batch in read_batches(self._data_dir, after):
            if batch.first_sequence > end:
                break
            reached = batch.last_sequence
            if kind is None or batch.kind is kind:
                yield batch
        if reached < end:
            raise JournalDamaged(JOURNAL, f"it ends at {reached}, {end} was durable", reached + 1)

    def _committed(self) -> None:
        flight, self._flight = self._flight, None
        if flight is None:
            return
        self._last_sequence, self._chain = flight.batch.last_sequence, flight.chain
        self._keeper.reached(self._head(clean=False))
        self._tally.add(flight.batch, (self._clock.monotonic_ns() - flight.began_ns) / 1e9)
        if not flight.future.done():
            flight.future.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._keeper.cancel()
        flight, self._flight = self._flight, None
        if flight is not None and not flight.future.done():
            flight.future.set_exception(self._failed())

    def _failed(self) -> JournalFailed:
        failed = JournalFailed(f"the journal can't be written: {self._failure}")
        failed.__cause__ = self._failure
        return failed

    def _head(self, *, clean: bool) -> Head:
        return Head(self._last_sequence, self._chain, clean)

    def _finish(self, clean: bool) -> None:
        last: Head | None = None
        try:
            if self._failure is None:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self._connection.close()
                last = self._head(clean=clean)
            else:
                abandon(self._connection)
        finally:
            self._keeper.stop(last)


def _connect(path: Path, found: Survey, synchronous: Synchronous) -> apsw.Connection:
    if not path.exists():
        create(path)
    connection = open_writer(path, synchronous)
    if last_link(connection) != (found.last_sequence, found.chain):
        abandon(connection)
        raise JournalDamaged(JOURNAL, "it reads differently when opened for writing", found.last_sequence)
    return connection


def _make_directory(path: Path) -> None:
    """Each level is flushed into the one above, or a power cut could take the journal with it."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)
