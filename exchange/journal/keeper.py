"""The head thread: keeps the head file up with the journal, off the order path."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

from exchange.base.bounds import HEAD_DELAY_S
from exchange.journal.batch import Head
from exchange.journal.head import HeadFile


class HeadKeeper:
    """Writes the latest head HEAD_DELAY_S after it changed. ``failed`` runs on the event loop.

    At most one write is under way and the rest is the latest value, so a slow disk makes no queue.
    """

    def __init__(
        self,
        file: HeadFile,
        written: Head,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[Exception], None],
    ) -> None:
        self._file = file
        self._latest = self._written = written
        self._loop = loop
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._refused: Exception | None = None
        self._heads: queue.SimpleQueue[Head | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-head", daemon=True)
        self._thread.start()

    @property
    def sequence(self) -> int:
        """What the file is known to say."""
        return self._written.sequence

    def reached(self, head: Head) -> None:
        """The journal is durable up to ``head``."""
        self._latest = head
        self._schedule()

    def cancel(self) -> None:
        """Write nothing more of what ``reached`` has told."""
        self._busy = True
        if self._timer is not None:
            self._timer.cancel()

    def stop(self, last: Head | None) -> None:
        """End the thread, then write ``last`` if given. Blocks; raises OSError, an earlier one too."""
        self._heads.put(None)
        self._thread.join()
        try:
            if last is not None:
                # The loop may not have heard of it: a disk that refused is no clean stop.
                if self._refused is not None:
                    raise self._refused
                self._file.write(last)
        finally:
            self._file.close()

    def _schedule(self) -> None:
        if self._timer is None and not self._busy:
            self._timer = self._loop.call_later(HEAD_DELAY_S, self._hand_over)

    def _hand_over(self) -> None:
        self._timer = None
        self._busy = True
        self._heads.put(self._latest)

    def _done(self, head: Head) -> None:
        self._written = head
        self._busy = False
        if head is not self._latest:
            self._schedule()

    def _run(self) -> None:
        while (head := self._heads.get()) is not None:
            try:
                self._file.write(head)
            except Exception as error:
                self._refused = error
                self._loop.call_soon_threadsafe(self._failed, error)
                return
            self._loop.call_soon_threadsafe(self._done, head)
