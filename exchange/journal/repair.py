"""The audited override: go on from a journal whose end is lost, keeping all that was there as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import apsw
from msgspec import Struct

from exchange.journal.batch import GENESIS, Batch, Head, seal
from exchange.journal.database import Row, create, open_stopped
from exchange.journal.files import HEAD, JOURNAL, REPAIRED, JournalFiles, files_aside, files_in, sync
from exchange.journal.head import create as create_head
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalBoundary, JournalDamaged, JournalFailed, JournalIntact
from exchange.journal.reader import Verifier, walk
from exchange.journal.survey import survey


class LossReport(Struct, frozen=True):
    """What was given up, for the AUDIT batch that the caller journals first thing.

    ``verified_last`` is as far as the damaged journal could be read, ``head_sequence`` as far as it once
    reached (None without a readable head); ``chain`` is that after ``after``. ``set_aside`` are file names.
    """

    after: int
    chain: str
    verified_last: int
    head_sequence: int | None
    problems: tuple[str, ...]
    set_aside: tuple[str, ...]
    reason: str
    at_us: int


def accept_loss(data_dir: Path, after: int, reason: str, now_us: int) -> LossReport:
    """Keep the batches up to ``after``, the end of one of them, and start a new journal and head from these.

    Raises JournalBoundary, JournalIntact when nothing is wrong, JournalFailed when the disk refuses, and what
    ``check`` raises. Interrupted, it leaves a journal that is refused until it is run again.
    """
    if not reason.strip():
        raise ValueError("a loss is accepted for a reason")
    with DirectoryLock(data_dir):
        resumed = (data_dir / REPAIRED).exists()
        number = _number(data_dir, resumed=resumed)
        source = files_aside(data_dir, number) if resumed else files_in(data_dir)
        found = survey(source)
        if not found.problems:
            raise JournalIntact(f"the journal in {data_dir} is intact up to {found.last_sequence}")
        chain = _chain_at(source, after)
        try:
            aside = files_aside(data_dir, number)
            names = _set_aside(source, aside)
            _rebuild(data_dir, aside, Head(after, chain, clean=False))
        except (apsw.Error, OSError) as error:
            raise JournalFailed(f"the journal can't be repaired: {error}") from error
    return LossReport(
        after=after,
        chain=chain.hex(),
        verified_last=found.last_sequence,
        head_sequence=None if found.head is None else found.head.sequence,
        problems=tuple(str(problem) for problem in found.problems),
        set_aside=names,
        reason=reason,
        at_us=now_us,
    )


def _number(data_dir: Path, *, resumed: bool) -> int:
    """Of the set to put aside; that of the last one if it is the same, from a repair cut short."""
    names = [*data_dir.glob(f"{HEAD}.damaged-*[0-9]"), *data_dir.glob(f"{JOURNAL}.damaged-*[0-9]")]
    last = max((int(path.name.rpartition("-")[2]) for path in names), default=0)
    if last and (resumed or _is_same(files_in(data_dir), files_aside(data_dir, last))):
        return last
    return last + 1


def _pairs(files: JournalFiles, aside: JournalFiles) -> tuple[tuple[Path, Path], ...]:
    return (files.journal, aside.journal), (files.log, aside.log), (files.head, aside.head)


def _is_same(files: JournalFiles, aside: JournalFiles) -> bool:
    return all(
        original.exists() and original.samefile(copy)
        for original, copy in _pairs(files, aside)
        if copy.exists()
    )


def _set_aside(source: JournalFiles, aside: JournalFiles) -> tuple[str, ...]:
    """A second name for each file; what is in use is replaced below, never changed in place."""
    pairs = _pairs(source, aside)
    for original, copy in pairs:
        if original.exists() and not copy.exists():
            copy.hardlink_to(original)
    sync(aside.journal.parent)
    return tuple(copy.name for _, copy in pairs if copy.exists())


def _rebuild(data_dir: Path, aside: JournalFiles, head: Head) -> None:
    """Replace journal and head. From the birth of REPAIRED to its last rename the journal is refused."""
    files, repaired = files_in(data_dir), data_dir / REPAIRED
    kept = takewhile(lambda batch: batch.last_sequence <= head.sequence, _verified(aside))
    create(repaired, _rows(kept))
    # The old log must be gone before the new journal has its name: SQLite would apply it.
    files.log.unlink(missing_ok=True)
    files.shared_memory.unlink(missing_ok=True)
    create_head(files.head, head)
    repaired.rename(files.journal)
    sync(data_dir)


def _chain_at(files: JournalFiles, after: int) -> bytes:
    below, chain = 0, GENESIS
    above: int | None = None
    for batch in _verified(files):
        if batch.last_sequence > after:
            above = batch.last_sequence
            break
        below, chain = batch.last_sequence, seal(chain, batch)[1]
    if below != after:
        raise JournalBoundary(after, below, above)
    return chain


def _rows(batches: Iterator[Batch]) -> Iterator[Row]:
    chain = GENESIS
    for batch in batches:
        checksum, chain = seal(chain, batch)
        yield batch.first_sequence, batch.last_sequence, int(batch.kind), checksum, chain, batch.payload


def _verified(files: JournalFiles) -> Iterator[Batch]:
    if not files.journal.exists():
        return
    try:
        with closing(open_stopped(files)) as connection:
            yield from walk(connection, Verifier())
    except (JournalDamaged, apsw.Error):
        # The end of what can be kept; what is wrong there is in the report already.
        return
