"""Where a journal under test lives: a directory or a list, with the ways to stop it that a machine has."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import apsw

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.journal.protocol import Journal
from exchange.journal.sqlite import SqliteJournal
from exchange.journal.statistics import CommitObserver

if TYPE_CHECKING:
    from typing_extensions import Buffer

DEADLINE_S = 20.0


class Place(Protocol):
    """One journal through several runs."""

    def open(self, *, fail_at: int | None = None, observe_commit: CommitObserver | None = None) -> Journal:
        """The journal as the last run left it; append number ``fail_at`` of this run fails."""
        ...

    async def crash(self, journal: Journal) -> None:
        """Stop without ``close``; the next ``open`` finds what was durable."""
        ...


def batch(first: int, records: int = 1, kind: BatchKind = BatchKind.COMMANDS, size: int = 24) -> Batch:
    """A batch whose payload follows from its sequences, so that a reader can tell it is the right one."""
    last = first + records - 1
    return Batch(first, last, kind, f"{first}-{last};".encode().ljust(size * records, b"."))


def batches(count: int, records: int = 3) -> list[Batch]:
    """``count`` batches from sequence 1."""
    return [batch(1 + at * records, records) for at in range(count)]


async def fill(journal: Journal, count: int, records: int = 3, size: int = 24) -> None:
    """Append ``count`` batches, each after the one before is durable."""
    for _ in range(count):
        await journal.append(batch(journal.last_sequence + 1, records, size=size))


async def reached(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``, as long as DEADLINE_S."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not condition():
        assert loop.time() < deadline, "the condition did not come about"
        await asyncio.sleep(0.001)


async def head_caught_up(journal: Journal) -> None:
    """Wait until the head file knows the last batch."""
    await reached(lambda: journal.statistics().head_sequence == journal.last_sequence)


def copy_running(source: Path, target: Path) -> None:
    """What a crash would leave: the files as they are, without SQLite's shared memory."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*-shm"))


async def crashed_image(directory: Path, count: int, *, checkpointed: int = 0, size: int = 24) -> None:
    """Make ``directory`` what a crash leaves after ``count`` batches.

    The first ``checkpointed`` are in the database, the others in the log; head knows all of them.
    """
    running = directory.with_name(directory.name + "-running")
    journal = SqliteJournal.open(running, SystemClock())
    await fill(journal, checkpointed, size=size)
    await journal.close()
    journal = SqliteJournal.open(running, SystemClock())
    await fill(journal, count - checkpointed, size=size)
    await head_caught_up(journal)
    copy_running(running, directory)
    await journal.close()


class SqlitePlace:
    """A data directory."""

    def __init__(self, directory: Path, disk: FaultyDisk) -> None:
        self.directory = directory / "data"
        self._disk = disk
        self._crashes = 0

    def open(
        self, *, fail_at: int | None = None, observe_commit: CommitObserver | None = None
    ) -> SqliteJournal:
        commits = 0

        def observe(seconds: float) -> None:
            nonlocal commits
            commits += 1
            if commits + 1 == fail_at:
                self._disk.breaks("write", "-wal")
            if observe_commit is not None:
                observe_commit(seconds)

        self._disk.mends()
        journal = SqliteJournal.open(self.directory, SystemClock(), observe_commit=observe)
        if fail_at == 1:
            self._disk.breaks("write", "-wal")
        return journal

    async def crash(self, journal: Journal) -> None:
        self._crashes += 1
        survivor = self.directory.with_name(f"data-{self._crashes}")
        copy_running(self.directory, survivor)
        await journal.close()
        self.directory = survivor


class MemoryPlace:
    """A list of batches that outlives its journal."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._clean = True
        self._latest: MemoryJournal | None = None

    def open(
        self, *, fail_at: int | None = None, observe_commit: CommitObserver | None = None
    ) -> MemoryJournal:
        if self._latest is not None:
            self._batches = list(self._latest.read())
        self._latest = MemoryJournal(
            random.Random(1),
            MemoryFaults(fail_at=fail_at),
            batches=self._batches,
            clean=self._clean,
            observe_commit=observe_commit,
        )
        self._clean = True
        return self._latest

    async def crash(self, journal: Journal) -> None:
        assert journal is self._latest
        self._batches, self._clean, self._latest = self._latest.crash(), False, None


class FaultyDisk(apsw.VFS):
    """The default disk of SQLite while a test runs; head does not go through it.

    ``log_syncs`` counts the times the write-ahead log was flushed.
    """

    def __init__(self) -> None:
        super().__init__("faulty", "unix", makedefault=True)
        self._operation = ""
        self._ending = ""
        self.log_syncs = 0

    def breaks(self, operation: str, ending: str) -> None:
        """From now on ``operation`` (write, sync) fails for files whose name ends so."""
        self._operation, self._ending = operation, ending

    def mends(self) -> None:
        self._operation = ""

    def raise_if_broken(self, operation: str, path: str) -> None:
        if operation == self._operation and path.endswith(self._ending):
            raise apsw.IOError(f"the disk refuses to {operation}")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)

    def xWrite(self, data: Buffer, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.raise_if_broken("write", self._path)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.raise_if_broken("sync", self._path)
        self._disk.log_syncs += self._path.endswith("-wal")
        super().xSync(flags)
