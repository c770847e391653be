"""``exchange journal check``: what a stopped server's journal holds and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from exchange.journal.files import HEAD, JOURNAL
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalMissing
from exchange.journal.survey import Progress, survey_directory


class CheckReport(Struct, frozen=True):
    """The verified part of the journal, in order from the first batch, and ``problems`` in words.

    ``head_sequence`` and ``clean`` are None without a readable head. No problems: a server would start.
    """

    batches: int
    records: int
    last_sequence: int
    chain: str
    head_sequence: int | None
    clean: bool | None
    problems: tuple[str, ...]


def check(data_dir: Path, progress: Progress | None = None) -> CheckReport:
    """Read and verify all of it, writing nothing. Raises JournalLocked, JournalMissing, JournalForeign."""
    with DirectoryLock(data_dir, shared=True):
        if not (data_dir / JOURNAL).exists() and not (data_dir / HEAD).exists():
            raise JournalMissing(f"there is no journal in {data_dir}")
        found = survey_directory(data_dir, progress)
    head = found.head
    return CheckReport(
        batches=found.batches,
        records=found.records,
        last_sequence=found.last_sequence,
        chain=found.chain.hex(),
        head_sequence=None if head is None else head.sequence,
        clean=None if head is None else head.clean,
        problems=tuple(str(problem) for problem in found.problems),
    )
