"""What every journal promises, and the ways it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from exchange.base.bounds import JOURNAL_BATCH_BYTES
from exchange.journal.batch import Batch, BatchKind, Head
from exchange.journal.statistics import JournalStatistics


class Journal(Protocol):
    """The durable log of accepted commands."""

    @property
    def last_sequence(self) -> int:
        """Of the last durable batch; 0 when empty."""
        ...

    @property
    def chain(self) -> bytes:
        """The hash chain after the last durable batch."""
        ...

    @property
    def was_clean(self) -> bool:
        """Whether the previous run ended with ``close``; true for a new journal."""
        ...

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]:
        """Batches with a sequence above ``after``, verified while reading; the first may begin before it.

        Raises JournalDamaged. ``kind`` leaves the others out, though they are verified as well.
        """
        ...

    def chain_at(self, sequence: int) -> bytes | None:
        """The chain after the batch that ends with ``sequence``, as stored; None if none does."""
        ...

    def append(self, batch: Batch) -> asyncio.Future[None]:
        """Done when ``batch`` is durable, JournalFailed when nobody knows; from then on every append fails.

        One append at a time: a second one, a gap in the sequence or a closed journal raises.
        """
        ...

    def statistics(self) -> JournalStatistics: ...

    async def close(self, *, clean: bool = True) -> None:
        """Wait for the append in flight and record how the run ended. Raises JournalFailed when it could not.

        ``clean`` is what the next run finds in ``was_clean``; a run that never began passes on its own.
        """
        ...


class JournalError(Exception):
    """The journal cannot be trusted, or cannot go on."""


class JournalMissing(JournalError):
    """There is no journal in this directory."""


class JournalLocked(JournalError):
    """Another process has it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"the journal in {data_dir} is in use by a running server or another command")


class JournalForeign(JournalError):
    """Not a journal, or written by a newer version."""


class JournalFailed(JournalError):
    """The disk refused a write: what was in flight may or may not be there, nothing more is accepted."""


class JournalIntact(JournalError):
    """Nothing is damaged, so there is no loss to accept."""


class JournalDamaged(JournalError):
    """``file`` does not hold what was written; ``sequence`` is the first that can't be trusted, if known."""

    def __init__(self, file: str, what: str, sequence: int | None = None, head: Head | None = None) -> None:
        where = "" if sequence is None else f" at sequence {sequence}"
        says = (
            "" if head is None else f"; head says {head.sequence}, {'clean' if head.clean else 'not clean'}"
        )
        super().__init__(f"{file} is damaged{where}: {what}{says}")
        self.file = file
        self.what = what
        self.sequence = sequence
        self.head = head


class JournalBehindHead(JournalDamaged):
    """The journal ends before a sequence that was durable: its tail is lost."""

    def __init__(self, journal_last: int, head: Head) -> None:
        super().__init__("journal.db", f"it ends at {journal_last}", journal_last + 1, head)
        self.journal_last = journal_last
        self.head_sequence = head.sequence


class JournalBoundary(JournalError):
    """``after`` lies inside a batch or past the last good one; a cut can be at ``below`` or ``above``."""

    def __init__(self, after: int, below: int, above: int | None) -> None:
        choice = f"{below}" if above is None else f"{below} or {above}"
        super().__init__(f"the journal can't be cut after {after}: choose {choice}")
        self.below = below
        self.above = above


def check_append(batch: Batch, last_sequence: int) -> None:
    """Raise ValueError, a caller's mistake, unless ``batch`` follows ``last_sequence`` and is in bounds."""
    if batch.first_sequence != last_sequence + 1 or batch.last_sequence < batch.first_sequence:
        raise ValueError(
            f"batch {batch.first_sequence}-{batch.last_sequence} does not follow {last_sequence}"
        )
    if len(batch.payload) > JOURNAL_BATCH_BYTES:
        raise ValueError(f"a batch of {len(batch.payload)} bytes exceeds {JOURNAL_BATCH_BYTES}")
