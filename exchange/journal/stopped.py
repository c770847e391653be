"""The journal of a stopped server, for whoever only reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from exchange.journal.batch import Batch, BatchKind
from exchange.journal.database import open_stopped
from exchange.journal.files import files_in
from exchange.journal.head import read as read_head
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalBehindHead, JournalMissing
from exchange.journal.reader import walk_after


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
