"""Reading a stopped journal from end to end and comparing it with its head. Changes nothing on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import apsw
from msgspec import Struct
from msgspec.structs import replace

from exchange.base.bounds import JOURNAL_READ_BATCHES
from exchange.journal.batch import GENESIS, Batch, Head
from exchange.journal.database import SCHEMA, open_stopped
from exchange.journal.files import HEAD, JOURNAL, REPAIRED, JournalFiles, files_in
from exchange.journal.head import read as read_head
from exchange.journal.protocol import JournalBehindHead, JournalDamaged, JournalError
from exchange.journal.reader import Verifier, walk

Progress: TypeAlias = Callable[[int], None]
"""Told the last verified sequence, once per JOURNAL_READ_BATCHES batches."""


class Survey(Struct, frozen=True):
    """What is there: the verified prefix, the head (None when missing or unreadable), and what is wrong."""

    batches: int
    records: int
    last_sequence: int
    chain: bytes
    head: Head | None
    problems: tuple[JournalError, ...]


def survey_directory(data_dir: Path, progress: Progress | None = None) -> Survey:
    """Verify the journal in use; the caller holds the directory's lock. See ``survey``."""
    found = survey(files_in(data_dir), progress)
    if not (data_dir / REPAIRED).exists():
        return found
    unfinished = JournalDamaged(JOURNAL, "a repair was begun and not finished; run it again", head=found.head)
    return replace(found, problems=(unfinished, *found.problems))


def survey(files: JournalFiles, progress: Progress | None = None) -> Survey:
    """Verify all of ``files``. Raises only JournalForeign, or JournalError when a file can't be opened."""
    problems: list[JournalError] = []
    head, has_head = _read_head(files.head, problems)
    prefix = _Prefix(head)
    if files.journal.exists():
        problems += _verify(files, prefix, progress)
        # A missing head would hide a lost tail. Without any batch it is a first start that was cut short.
        if not has_head and (prefix.batches or problems):
            problems.append(JournalDamaged(HEAD, "it is missing beside a journal"))
    elif has_head or files.has_log():
        problems.append(JournalDamaged(JOURNAL, "it is missing", head=head))
    if head is not None and not problems:
        problems += prefix.against(head)
    return Survey(prefix.batches, prefix.records, prefix.last, prefix.chain, head, tuple(problems))


class _Prefix:
    """What has been verified so far, and the chain where head points."""

    def __init__(self, head: Head | None) -> None:
        self.batches = 0
        self.records = 0
        self.last = 0
        self.chain = GENESIS
        self._head_sequence = None if head is None else head.sequence
        self._chain_at_head: bytes | None = GENESIS if self._head_sequence == 0 else None

    def add(self, batch: Batch, chain: bytes) -> None:
        self.batches += 1
        self.records += batch.last_sequence - batch.first_sequence + 1
        self.last, self.chain = batch.last_sequence, chain
        if self.last == self._head_sequence:
            self._chain_at_head = chain

    def against(self, head: Head) -> Iterator[JournalError]:
        if self.last < head.sequence:
            yield JournalBehindHead(self.last, head)
        elif self._chain_at_head != head.chain:
            yield JournalDamaged(JOURNAL, "its chain is not the one head has", head.sequence, head)
        elif head.clean and self.last > head.sequence:
            what = f"it goes on to {self.last} after a clean stop"
            yield JournalDamaged(JOURNAL, what, head.sequence + 1, head)


def _read_head(path: Path, problems: list[JournalError]) -> tuple[Head | None, bool]:
    try:
        head = read_head(path)
    except JournalDamaged as error:
        problems.append(error)
        return None, True
    return head, head is not None


def _verify(files: JournalFiles, prefix: _Prefix, progress: Progress | None) -> Iterator[JournalError]:
    verifier = Verifier()
    try:
        with closing(open_stopped(files)) as connection:
            _check_schema(connection)
            for batch in walk(connection, verifier):
                prefix.add(batch, verifier.chain)
                if progress is not None and prefix.batches % JOURNAL_READ_BATCHES == 0:
                    progress(prefix.last)
            yield from _check_structure(connection)
    except JournalDamaged as error:
        yield error
    except (apsw.Error, UnicodeDecodeError) as error:
        yield verifier.damage(f"SQLite can't read it: {error}")


def _check_schema(connection: apsw.Connection) -> None:
    schema = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
    if schema != [(SCHEMA,)]:
        raise JournalDamaged(JOURNAL, "its schema is not the one it was created with")


def _check_structure(connection: apsw.Connection) -> Iterator[JournalDamaged]:
    # Damage beside the rows does no harm until SQLite reuses what it believes is free.
    for (said,) in connection.execute("PRAGMA quick_check(1)"):
        if said != "ok":
            yield JournalDamaged(JOURNAL, f"SQLite says: {said}")
