from __future__ import annotations

from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal.batch import BatchKind
from exchange.journal.files import JOURNAL
from exchange.journal.protocol import JournalBehindHead, JournalLocked, JournalMissing
from exchange.journal.sqlite import SqliteJournal
from exchange.journal.stopped import StoppedJournal
from tests.unit.journal.places import batch, batches, crashed_image, fill


async def test_stopped_reads(tmp_path: Path) -> None:
    """All of it, what follows a sequence, one kind; the log after a crash included, nothing written."""
    data = tmp_path / "data"
    await crashed_image(data, 6, checkpointed=2)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    journal = StoppedJournal(data)
    assert list(journal.read()) == batches(6)
    assert list(journal.read(after=9)) == batches(6)[3:]
    assert list(journal.read(kind=BatchKind.VOID)) == []
    assert next(iter(journal.read())) == batch(1, 3)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


async def test_stopped_locks(tmp_path: Path) -> None:
    """A running server refuses the reader, and a reader a starting server, while it reads."""
    server = SqliteJournal.open(tmp_path, SystemClock())
    await fill(server, 2)
    with pytest.raises(JournalLocked):
        list(StoppedJournal(tmp_path).read())
    await server.close()
    reading = StoppedJournal(tmp_path).read()
    next(reading)
    with pytest.raises(JournalLocked):
        SqliteJournal.open(tmp_path, SystemClock())
    assert len(list(reading)) == 1
    await SqliteJournal.open(tmp_path, SystemClock()).close()


async def test_stopped_behind_head(tmp_path: Path) -> None:
    """A lost tail is noticed at the end of the reading."""
    data = tmp_path / "data"
    await crashed_image(data, 6, checkpointed=2)
    (data / f"{JOURNAL}-wal").unlink()
    reading = StoppedJournal(data).read()
    assert [next(reading), next(reading)] == batches(2)
    with pytest.raises(JournalBehindHead, match="ends at 6; head says 18"):
        next(reading)


def test_stopped_missing(tmp_path: Path) -> None:
    """No journal, no reader."""
    with pytest.raises(JournalMissing):
        StoppedJournal(tmp_path)
