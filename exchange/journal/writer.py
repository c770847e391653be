"""The writer thread: one connection, one row per transaction, then a word to the event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

import apsw

from exchange.base.bounds import JOURNAL_CHECKPOINT_PAGES
from exchange.base.clock import Clock
from exchange.journal.database import INSERT, Row

_PAGE_BYTES = 4096


class CommitThread:
    """Commits rows in the order handed over. ``committed`` and ``failed`` run on the event loop.

    A row is one statement in autocommit, because each return from SQLite waits for the interpreter lock.
    At most one is under way: who hands over the next waits for ``committed``, so the queue needs no bound.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        committed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.checkpoints = 0
        self.max_checkpoint_ns = 0
        self._connection = connection
        self._clock = clock
        self._loop = loop
        self._committed = committed
        self._failed = failed
        self._pages = 0
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def commit(self, row: Row) -> None:
        self._rows.put(row)

    def stop(self) -> None:
        """End after what was handed over; blocks until the thread has."""
        self._rows.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _serve(self) -> None:
        execute = self._connection.cursor().execute
        while (row := self._rows.get()) is not None:
            execute(INSERT, row)
            self._loop.call_soon_threadsafe(self._committed)
            # The leaf, and pages of its own for what a larger payload spills, rounded up generously.
            self._pages += 1 + len(row[-1]) // (_PAGE_BYTES // 2)
            if self._pages >= JOURNAL_CHECKPOINT_PAGES:
                self._checkpoint()

    def _checkpoint(self) -> None:
        began_ns = self._clock.monotonic_ns()
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._pages = 0
        self.checkpoints += 1
        self.max_checkpoint_ns = max(self.max_checkpoint_ns, self._clock.monotonic_ns() - began_ns)
