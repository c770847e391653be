"""A disk that refuses: nothing is acknowledged that is not there, and nothing at all after a refusal."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal import keeper, writer
from exchange.journal.batch import Batch
from exchange.journal.check import check
from exchange.journal.database import Row
from exchange.journal.protocol import JournalBehindHead, JournalFailed
from exchange.journal.sqlite import SqliteJournal
from tests.support.disk import Disk, installed
from tests.support.faults import FILES, ON_SYNC, ON_WRITE, FailingDisk, Fault, any_fault
from tests.support.scale import amount, chance, figures, limit_s, seeded
from tests.unit.journal.places import batch, crashed_image

# SQLite has no way to tell what its ``close`` met, so apsw reports it as unraisable. All is flushed by then.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

FAULTS = amount(200, 5_000)
APPENDS = 60
OPERATIONS = {"journal.db-wal": 150, "journal.db": 40, "head": 20}


@pytest.fixture(autouse=True)
def _busy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head is written all the time, and the log moved into the database every few batches."""
    monkeypatch.setattr(keeper, "HEAD_DELAY_S", 0.0)
    monkeypatch.setattr(writer, "JOURNAL_CHECKPOINT_PAGES", 12)


async def _run(directory: Path, disk: Disk, stream: random.Random, written: list[Batch]) -> int:
    """One run on ``disk``, until it refuses or to a clean stop; how far it was acknowledged."""
    acknowledged = written[-1].last_sequence if written else 0
    with installed(disk, directory), suppress(JournalFailed):
        journal = SqliteJournal.open(directory, SystemClock())
        try:
            for _ in range(APPENDS):
                following = batch(journal.last_sequence + 1, stream.randint(1, 40), size=200)
                written.append(following)
                await journal.append(following)
                acknowledged = journal.last_sequence
        except JournalFailed:
            for _ in range(3):
                with pytest.raises(JournalFailed):
                    await journal.append(batch(journal.last_sequence + 1))
        await journal.close()
    return acknowledged


async def _strikes(folder: Path, number: int, file: str, stream: random.Random) -> bool:
    """One fault in the first or second run of a journal; what is there after it. Whether it struck."""
    written: list[Batch] = []
    directory = folder / f"{number}"
    os.mkdir(directory)
    if stream.random() < 0.5:
        await _run(directory, Disk(), stream, written)
    before = written[-1].last_sequence if written else 0
    disk = FailingDisk(any_fault(stream, file, OPERATIONS[file]))
    acknowledged = await _run(directory, disk, stream, written)
    journal = SqliteJournal.open(directory, SystemClock())
    found = list(journal.read())
    assert found == written[: len(found)]
    assert acknowledged <= journal.last_sequence
    assert not (disk.failed_ns and journal.was_clean and acknowledged > before)
    await journal.append(batch(journal.last_sequence + 1))
    await journal.close()
    assert check(directory).problems == ()
    return disk.failed_ns > 0


@pytest.mark.timeout(limit_s(120))
@pytest.mark.parametrize("file", FILES)
async def test_disk_fault_is_never_acknowledged(tmp_path: Path, file: str) -> None:
    """EIO, ENOSPC, short writes at any write or fsync, once or for good, from the opening to the close."""
    cases = FAULTS // len(FILES)
    struck = 0
    for number in range(cases):
        with seeded("fault", file, number) as stream:
            struck += await _strikes(tmp_path, number, file, stream)
    figures(f"faults of {file}", cases=cases, struck=struck)
    assert struck > cases // 4


async def test_disk_fault_control_acknowledges_too_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a writer that answers before it writes is found out."""
    commit = writer.CommitThread.commit

    def too_early(thread: writer.CommitThread, row: Row) -> None:
        thread._loop.call_soon(thread._committed)
        commit(thread, row)

    monkeypatch.setattr(writer.CommitThread, "commit", too_early)
    noticed = 0
    for number in range(20):
        try:
            await _strikes(tmp_path, number, "journal.db-wal", chance("fault", "control", number))
        except (AssertionError, JournalBehindHead):
            noticed += 1
    assert noticed > 5


OPENING_WRITES = {"journal.db.new": 5, "journal.db": 2, "journal.db-wal": 0, "head.new": 0, "head": 2}
OPENING_SYNCS = {"journal.db.new": 1, "journal.db": 1, "journal.db-wal": 1, "head.new": 1, "head": 0, ".": 2}
"""How many of each an opening makes at most."""


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
async def test_disk_fault_at_the_opening(tmp_path: Path, is_new: bool) -> None:
    """Each write and flush of an opening in turn is refused: JournalFailed, and the next one succeeds."""
    refused = 0
    for number, fault in enumerate(_opening_faults()):
        directory = tmp_path / f"{number}"
        if is_new:
            directory.mkdir()
        else:
            await crashed_image(directory, 20, checkpointed=10)
        disk = FailingDisk(fault)
        with installed(disk, directory), suppress(JournalFailed):
            await SqliteJournal.open(directory, SystemClock()).close()
        refused += disk.failed_ns > 0
        journal = SqliteJournal.open(directory, SystemClock())
        assert journal.last_sequence == (0 if is_new else 60)
        await journal.close()
    assert refused > 10


def _opening_faults() -> Iterator[Fault]:
    for step, counts in (("write", OPENING_WRITES), ("sync", OPENING_SYNCS)):
        for file, count in counts.items():
            for at in range(1, count + 2):
                for kind in ON_WRITE if step == "write" else ON_SYNC:
                    yield Fault(step, file, kind, at, lasting=True)
