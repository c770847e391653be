"""Reading a journal from another process while its server goes on writing, or after it has stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from exchange.journal.batch import Batch, BatchKind
from exchange.journal.database import open_followed
from exchange.journal.files import JournalFiles, files_in
from exchange.journal.protocol import JournalMissing
from exchange.journal.reader import Verifier, batches_of, link_before, walk


class JournalReplaced(Exception):
    """The journal's file is another one now: a repair or a restored backup took its place."""


class FollowedJournal:
    """Every batch from the first, verified; only short read transactions, which no writer waits for.

    A batch is seen once its commit is through: on the disk, unless the server runs without ``full``.
    """

    def __init__(self, data_dir: Path) -> None:
        self._files = files_in(data_dir)
        if not self._files.journal.exists():
            raise JournalMissing(f"there is no journal in {data_dir}")
        self._identity = _identity(self._files)
        self._connection = open_followed(self._files)
        self._verifier = Verifier()

    @property
    def sequence(self) -> int:
        """Of the last batch that was taken."""
        return self._verifier.sequence

    @property
    def chain(self) -> str:
        """The hash chain after it, in hex."""
        return self._verifier.chain.hex()

    def take(self, batches: int) -> list[Batch]:
        """The next ones, at most so many; none at the end. Raises JournalDamaged, JournalReplaced."""
        taken = list(islice(walk(self._connection, self._verifier), batches))
        if not taken and _identity(self._files) != self._identity:
            raise JournalReplaced("the journal was replaced while it was followed")
        return taken

    def link_at(self, sequence: int) -> tuple[int, str]:
        """Where the last batch up to ``sequence`` ends, and the stored chain there, in hex."""
        found, chain = link_before(self._connection, sequence)
        return found, chain.hex()

    def voids(self) -> Iterator[Batch]:
        """Those that void an earlier command, wherever they stand; verified only when they are taken."""
        return batches_of(self._connection, BatchKind.VOID)

    def close(self) -> None:
        self._connection.close()


def _identity(files: JournalFiles) -> tuple[int, int]:
    found = os.stat(files.journal)
    return found.st_dev, found.st_ino
