"""The names of the journal's files, and flushing what is not written through SQLite."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

JOURNAL: Final = "journal.db"
HEAD: Final = "head"
SNAPSHOTS: Final = "snapshots"
REPAIRED: Final = "journal.db.repaired"
"""The replacement a repair has built: while it is there, the repair was not finished."""


class JournalFiles(Struct, frozen=True):
    """A journal and its head: those in use, or a damaged set put aside."""

    journal: Path
    head: Path

    @property
    def log(self) -> Path:
        """SQLite's write-ahead log, part of the journal while it is there."""
        return self.journal.with_name(f"{self.journal.name}-wal")

    @property
    def shared_memory(self) -> Path:
        """SQLite's index of the log; rebuilt from it, never evidence."""
        return self.journal.with_name(f"{self.journal.name}-shm")

    def has_log(self) -> bool:
        return self.log.exists() and self.log.stat().st_size > 0


def files_in(data_dir: Path) -> JournalFiles:
    """Those of the journal in use."""
    return JournalFiles(data_dir / JOURNAL, data_dir / HEAD)


def files_aside(data_dir: Path, number: int) -> JournalFiles:
    """Those of the damaged set with this number."""
    return JournalFiles(data_dir / f"{JOURNAL}.damaged-{number}", data_dir / f"{HEAD}.damaged-{number}")


def sync(path: Path) -> None:
    """Flush a file, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
