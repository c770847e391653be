"""The journal for whoever only reads: of a stopped server, or beside a running one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from exchange.journal.batch import Batch, BatchKind
from exchange.journal.database import open_live, open_stopped
from exchange.journal.files import files_in
from exchange.journal.head import read as read_head
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalBehindHead, JournalLocked, JournalMissing
from exchange.journal.reader import chain_at, read_batches, stored_chain, walk_after


class StoppedJournal:
    """Reads what is there, verified and as far as head says; no server can start meanwhile."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._files = files_in(data_dir)
        if not self._files.journal.exists():
            raise JournalMissing(f"there is no journal in {data_dir}")

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]:
        """See ``Journal``. Raises JournalLocked and JournalForeign too, JournalBehindHead at its end."""
        reached = after
        with DirectoryLock(self._data_dir, shared=True):
            with closing(open_stopped(self._files)) as connection:
                for batch in walk_after(connection, after):
                    reached = batch.last_sequence
                    if kind is None or batch.kind is kind:
                        yield batch
            head = read_head(self._files.head)
        if head is not None and reached < head.sequence:
            raise JournalBehindHead(reached, head)

    def chain_at(self, sequence: int) -> bytes | None:
        """See ``Journal``."""
        with DirectoryLock(self._data_dir, shared=True), closing(open_stopped(self._files)) as connection:
            return stored_chain(connection, sequence)


class LiveJournal:
    """Reads what is durable, verified, beside a running server."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        if not files_in(data_dir).journal.exists():
            raise JournalMissing(f"there is no journal in {data_dir}")

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]:
        """See ``Journal``."""
        batches = read_batches(self._data_dir, after)
        return (batch for batch in batches if kind is None or batch.kind is kind)

    def chain_at(self, sequence: int) -> bytes | None:
        """See ``Journal``."""
        return chain_at(self._data_dir, sequence)


@contextmanager
def connect_beside(data_dir: Path) -> Iterator[apsw.Connection]:
    """A reading connection, beside a running server or without one; then none can start meanwhile."""
    files = files_in(data_dir)
    with ExitStack() as stack:
        try:
            stack.enter_context(DirectoryLock(data_dir, shared=True))
            opened = open_stopped(files)
        except JournalLocked:
            opened = open_live(files.journal)
        yield stack.enter_context(closing(opened))


def open_readable(data_dir: Path) -> StoppedJournal | LiveJournal:
    """Whichever suits, with a running server or without. Raises JournalMissing."""
    stopped = StoppedJournal(data_dir)
    try:
        DirectoryLock(data_dir, shared=True).release()
    except JournalLocked:
        return LiveJournal(data_dir)
    return stopped
