"""Damage to the files of a stopped journal is noticed, or has no effect; and what only head notices."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.check import check
from exchange.journal.database import open_stopped
from exchange.journal.files import HEAD, JOURNAL, files_in
from exchange.journal.protocol import JournalBehindHead, JournalDamaged, JournalError
from exchange.journal.reader import Verifier, walk
from exchange.journal.sqlite import SqliteJournal
from tests.unit.journal.places import batch, copy_running, crashed_image, fill, head_caught_up

WAL = f"{JOURNAL}-wal"
COUNT = 60
CHECKPOINTED = 40
FLIPS = {JOURNAL: 70, WAL: 60, HEAD: 20}


@pytest.fixture(params=[24, 2000], ids=["small", "spilled"])
async def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What a crash left: most batches in the database, the rest in the log, all known to head.

    Records of 24 bytes leave many batches on a page, those of 2,000 spill each batch over several.
    """
    directory = tmp_path / "image"
    await crashed_image(directory, COUNT, checkpointed=CHECKPOINTED, size=request.param)
    return directory


def batches_in(directory: Path) -> list[Batch]:
    """What is there as far as the journal itself can tell, without asking head."""
    with closing(open_stopped(files_in(directory))) as connection:
        return list(walk(connection, Verifier()))


async def survives(directory: Path, expected: list[Batch]) -> bool:
    """False when it is refused; else all of it is there, and an append to it makes a sound journal."""
    try:
        journal = SqliteJournal.open(directory, SystemClock())
    except JournalError:
        return False
    assert list(journal.read()) == expected
    following = batch(expected[-1].last_sequence + 1, 5, size=300)
    await journal.append(following)
    await journal.close()
    assert check(directory).problems == ()
    assert batches_in(directory) == [*expected, following]
    return True


@pytest.mark.parametrize("name", [JOURNAL, WAL, HEAD])
async def test_journal_bit_flips(tmp_path: Path, image: Path, name: str) -> None:
    """A flipped bit anywhere is refused, or changes nothing, neither now nor after the next append."""
    expected = batches_in(image)
    stream = random.Random(f"flips in {name}")
    size = (image / name).stat().st_size
    refused = 0
    for flip in range(FLIPS[name]):
        directory = tmp_path / f"flip-{flip}"
        shutil.copytree(image, directory)
        content = bytearray((directory / name).read_bytes())
        content[stream.randrange(size)] ^= 1 << stream.randrange(8)
        (directory / name).write_bytes(content)
        refused += not await survives(directory, expected)
        shutil.rmtree(directory)
    # The other slot of head is as good; a database has pages the log replaces; all of this log is in use.
    assert {JOURNAL: 10 < refused < FLIPS[JOURNAL], WAL: refused == FLIPS[WAL], HEAD: refused == 0}[name]


async def test_journal_flip_in_database_header(tmp_path: Path, image: Path) -> None:
    """Every bit of SQLite's own header, which no checksum covers."""
    await SqliteJournal.open(image, SystemClock()).close()
    expected = batches_in(image)
    survived = []
    for at in range(100):
        directory = tmp_path / f"flip-{at}"
        shutil.copytree(image, directory)
        content = bytearray((directory / JOURNAL).read_bytes())
        content[at] ^= 1 << (at % 8)
        (directory / JOURNAL).write_bytes(content)
        if await survives(directory, expected):
            survived.append(at)
        shutil.rmtree(directory)
    assert 0 < len(survived) < 80


@pytest.mark.parametrize("name", [JOURNAL, WAL, HEAD])
async def test_journal_truncated(tmp_path: Path, image: Path, name: str) -> None:
    """A file cut off at any of many lengths is refused, or what was cut held nothing."""
    expected = batches_in(image)
    size = (image / name).stat().st_size
    stream = random.Random(f"cuts in {name}")
    lengths = [0, 1, 31, 32, 99, 100, 512, 4096, size - 1] + [stream.randrange(size) for _ in range(11)]
    refused = 0
    for length in lengths:
        directory = tmp_path / f"cut-{length}"
        shutil.copytree(image, directory)
        with (directory / name).open("r+b") as file:
            file.truncate(length)
        refused += not await survives(directory, expected)
        shutil.rmtree(directory)
    assert refused >= 4


def cut_log(directory: Path) -> None:
    """The end of the write-ahead log is gone."""
    with (directory / WAL).open("r+b") as file:
        file.truncate((directory / WAL).stat().st_size // 2)


def damage_log(directory: Path) -> None:
    """One bit in the middle of the write-ahead log: SQLite drops all from there."""
    content = bytearray((directory / WAL).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / WAL).write_bytes(content)


def lose_log(directory: Path) -> None:
    """The whole log is gone."""
    (directory / WAL).unlink()


def delete_rows(directory: Path) -> None:
    """Somebody deleted the last batches with an SQL client."""
    with closing(apsw.Connection(str(directory / JOURNAL))) as connection:
        connection.execute("DELETE FROM batches WHERE first_sequence > 150")


TAILS = [cut_log, damage_log, lose_log, delete_rows]


@pytest.mark.parametrize("lose", TAILS)
async def test_journal_lost_tail(image: Path, lose: object) -> None:
    """A tail lost below head is refused, naming where the journal ends and where head says it did."""
    assert callable(lose)
    lose(image)
    with pytest.raises(JournalBehindHead) as caught:
        SqliteJournal.open(image, SystemClock())
    assert caught.value.head_sequence == 3 * COUNT
    assert 3 * CHECKPOINTED <= caught.value.journal_last < 3 * COUNT
    assert f"ends at {caught.value.journal_last}; head says {3 * COUNT}" in str(caught.value)


@pytest.mark.parametrize("lose", TAILS)
async def test_journal_lost_tail_without_head(image: Path, lose: object) -> None:
    """The control: the journal alone is sound after the same loss, by its chain and by SQLite's own check.

    So it is head that notices, and losing head is refused.
    """
    assert callable(lose)
    lose(image)
    (image / HEAD).unlink()
    left = batches_in(image)
    assert CHECKPOINTED <= len(left) < COUNT
    with closing(open_stopped(files_in(image))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(JournalDamaged, match="head is damaged: it is missing"):
        SqliteJournal.open(image, SystemClock())


async def test_journal_lost_tail_younger_than_head(tmp_path: Path) -> None:
    """What no single copy can tell: batches that head had not yet heard of vanish with the log's end."""
    running = tmp_path / "running"
    journal = SqliteJournal.open(running, SystemClock())
    await fill(journal, 3)
    await head_caught_up(journal)
    before = (running / WAL).stat().st_size
    await fill(journal, 3)
    image = tmp_path / "image"
    copy_running(running, image)
    await journal.close()
    with (image / WAL).open("r+b") as file:
        file.truncate(before)
    assert check(image).last_sequence == 9


@pytest.mark.parametrize("field", ["last_sequence", "kind", "checksum", "chain", "payload"])
async def test_journal_altered_row(image: Path, field: str) -> None:
    """A row rewritten through SQLite, so that no page is damaged, is refused with its sequence."""
    with closing(apsw.Connection(str(image / JOURNAL))) as connection:
        value = "x'00'" if field in ("chain", "payload") else f"{field} + 1"
        connection.execute(f"UPDATE batches SET {field} = {value} WHERE first_sequence = 31")
    with pytest.raises(JournalDamaged, match=r"journal\.db is damaged at sequence 31: ") as caught:
        SqliteJournal.open(image, SystemClock())
    assert caught.value.sequence == 31


async def test_journal_missing_row(image: Path) -> None:
    """So is a batch taken out of the middle."""
    with closing(apsw.Connection(str(image / JOURNAL))) as connection:
        connection.execute("DELETE FROM batches WHERE first_sequence = 31")
    with pytest.raises(JournalDamaged, match="sequence 31: the next batch is 34-36"):
        SqliteJournal.open(image, SystemClock())
