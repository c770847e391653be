"""Who commits: a thread where commits wait for a disk, the event loop itself where they do not.

Either way rows go in the order handed over, one transaction each, and ``committed`` or ``failed`` is called
on the event loop. At most one is under way: who hands over the next waits for ``committed``.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Protocol

import apsw

from exchange.base.bounds import JOURNAL_CHECKPOINT_PAGES
from exchange.base.clock import Clock
from exchange.journal.database import INSERT, Row
from exchange.journal.turns import WriterTurns

_PAGE_BYTES = 4096


class Log:
    """Inserts rows, and moves the write-ahead log into the database when it has grown long enough."""

    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self.checkpoints = 0
        self.max_checkpoint_ns = 0
        self._connection = connection
        self._execute = connection.cursor().execute
        self._clock = clock
        self._pages = 0

    def insert(self, row: Row) -> None:
        """One statement in autocommit, because each return from SQLite waits for the interpreter lock."""
        self._execute(INSERT, row)
        # The leaf, and pages of its own for what a larger payload spills, rounded up generously.
        self._pages += 1 + len(row[-1]) // (_PAGE_BYTES // 2)

    def tidy(self) -> None:
        """Checkpoint if it is time to; nothing that was committed waits for it."""
        if self._pages < JOURNAL_CHECKPOINT_PAGES:
            return
        began_ns = self._clock.monotonic_ns()
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._pages = 0
        self.checkpoints += 1
        self.max_checkpoint_ns = max(self.max_checkpoint_ns, self._clock.monotonic_ns() - began_ns)


class Committer(Protocol):
    """What the journal hands its rows to."""

    def commit(self, row: Row) -> None: ...

    async def stop(self) -> None:
        """End after what was handed over."""


class CommitAtOnce:
    """For a journal that flushes nothing: a write to the page cache costs less than waking a thread."""

    def __init__(self, log: Log, committed: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self._log = log
        self._committed = committed
        self._failed = failed

    def commit(self, row: Row) -> None:
        try:
            self._log.insert(row)
            self._committed()
            self._log.tidy()
        except Exception as error:
            self._failed(error)

    async def stop(self) -> None:
        pass


class CommitThread:
    """For a journal that waits for its disk. One row is under way at most, so the queue needs no bound."""

    def __init__(
        self,
        log: Log,
        loop: asyncio.AbstractEventLoop,
        committed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._log = log
        self._loop = loop
        self._committed = committed
        self._failed = failed
        self._under_way: Row | None = None
        self._turns = WriterTurns(loop.call_later, lambda: self._under_way)
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def commit(self, row: Row) -> None:
        self._under_way = row
        self._turns.begin()
        self._rows.put(row)

    async def stop(self) -> None:
        self._rows.put(None)
        # What the thread tells the loop comes before the end of this wait: nothing is under way then.
        await asyncio.to_thread(self._thread.join)
        self._turns.stop()

    def _run(self) -> None:
        try:
            while (row := self._rows.get()) is not None:
                self._log.insert(row)
                self._loop.call_soon_threadsafe(self._end)
                self._log.tidy()
        except Exception as error:
            self._loop.call_soon_threadsafe(self._fail, error)

    def _end(self) -> None:
        self._under_way = None
        self._committed()

    def _fail(self, error: Exception) -> None:
        self._under_way = None
        self._failed(error)
