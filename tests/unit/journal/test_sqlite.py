"""The embedded journal: its files, its lock, its disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from exchange.base.bounds import JOURNAL_CHECKPOINT_PAGES
from exchange.base.clock import ManualClock, SystemClock
from exchange.journal import head as head_module
from exchange.journal.batch import GENESIS, Batch, BatchKind, Head
from exchange.journal.database import Synchronous
from exchange.journal.files import HEAD, JOURNAL, REPAIRED, files_in
from exchange.journal.protocol import (
    JournalBehindHead,
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalForeign,
    JournalLocked,
)
from exchange.journal.reader import read_batches
from exchange.journal.sqlite import SqliteJournal
from tests.unit.journal.places import (
    FaultyDisk,
    batch,
    batches,
    copy_running,
    crashed_image,
    fill,
    head_caught_up,
    reached,
)


def open_in(directory: Path) -> SqliteJournal:
    """The journal in ``directory``, created if need be."""
    return SqliteJournal.open(directory, SystemClock())


async def stopped(directory: Path, count: int) -> None:
    """A journal of ``count`` batches, cleanly stopped."""
    journal = open_in(directory)
    await fill(journal, count)
    await journal.close()


def content(directory: Path) -> dict[str, bytes]:
    """Every file by its name."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def test_sqlite_files(tmp_path: Path) -> None:
    """A clean stop leaves the database and the head, and nothing else."""
    data = tmp_path / "a" / "b"
    await stopped(data, 2)
    assert sorted(content(data)) == [HEAD, JOURNAL]


@pytest.mark.parametrize(("synchronous", "per_commit"), [("full", 1), ("normal", 0), ("off", 0)])
async def test_sqlite_synchronous(
    tmp_path: Path, disk: FaultyDisk, synchronous: Synchronous, per_commit: int
) -> None:
    """Only ``full`` flushes the log in every commit, before it is acknowledged."""
    journal = SqliteJournal.open(tmp_path, SystemClock(), synchronous=synchronous)
    await fill(journal, 1)
    for _ in range(10):
        before = disk.log_syncs
        await fill(journal, 1)
        assert disk.log_syncs - before == per_commit
    assert list(journal.read()) == batches(11)
    await journal.close()


async def test_sqlite_locked(tmp_path: Path) -> None:
    """While one has it open a second one is refused; after close it is not."""
    journal = open_in(tmp_path)
    with pytest.raises(JournalLocked):
        open_in(tmp_path)
    await journal.close()
    await open_in(tmp_path).close()


async def test_sqlite_read_beside_writer(tmp_path: Path) -> None:
    """Another connection reads what is durable beside the writer, and does not stop its checkpoints."""
    journal = open_in(tmp_path)
    await fill(journal, 3)
    beside = read_batches(tmp_path)
    assert next(beside) == batch(1, 3)
    payload = bytes(40_960)
    while journal.statistics().checkpoints < 3:
        sequence = journal.last_sequence + 1
        await journal.append(Batch(sequence, sequence, BatchKind.COMMANDS, payload))
    assert files_in(tmp_path).log.stat().st_size < 2 * JOURNAL_CHECKPOINT_PAGES * 4096
    assert [found.first_sequence for found in read_batches(tmp_path, after=6)][:3] == [7, 10, 11]
    beside.close()
    await journal.close()


async def test_sqlite_read_ends_at_call(tmp_path: Path) -> None:
    """``read`` gives what was durable when it was called."""
    journal = open_in(tmp_path)
    await fill(journal, 2)
    reading = journal.read()
    await fill(journal, 2)
    assert list(reading) == batches(2)
    await journal.close()


async def test_sqlite_log_stays_bounded(tmp_path: Path) -> None:
    """The write-ahead log is reused, whatever the number of batches."""
    journal = open_in(tmp_path)
    for at in range(400):
        await journal.append(Batch(at + 1, at + 1, BatchKind.COMMANDS, bytes(6000)))
    await reached(lambda: journal.statistics().checkpoints >= 2)
    assert files_in(tmp_path).log.stat().st_size < 2 * JOURNAL_CHECKPOINT_PAGES * 4096
    assert journal.statistics().max_checkpoint_s > 0
    await journal.close()


async def test_sqlite_head_follows(tmp_path: Path) -> None:
    """Head learns of the last batch without further appends, as not clean; close makes it clean."""
    journal = open_in(tmp_path)
    assert journal.statistics().head_sequence == 0
    await fill(journal, 5)
    await head_caught_up(journal)
    assert head_module.read(tmp_path / HEAD) == Head(15, journal.chain, clean=False)
    await journal.close()
    assert head_module.read(tmp_path / HEAD) == Head(15, journal.chain, clean=True)


async def test_sqlite_commit_times(tmp_path: Path) -> None:
    """Commit times come from the clock that was handed in."""
    journal = SqliteJournal.open(tmp_path, ManualClock())
    await fill(journal, 2)
    assert journal.statistics().max_commit_s == 0.0
    await journal.close()


@pytest.mark.parametrize(("operation", "file"), [("write", "-wal"), ("sync", "-wal")])
async def test_sqlite_disk_error_at_commit(
    tmp_path: Path, disk: FaultyDisk, operation: str, file: str
) -> None:
    """A failed write or fsync is told, nothing is accepted after it, and the next start is not clean."""
    journal = open_in(tmp_path)
    await fill(journal, 3)
    disk.breaks(operation, file)
    with pytest.raises(JournalFailed, match="can't be written"):
        await journal.append(batch(10))
    disk.mends()
    with pytest.raises(JournalFailed):
        await journal.append(batch(10))
    await journal.close()
    journal = open_in(tmp_path)
    assert not journal.was_clean
    assert list(journal.read())[:3] == batches(3)
    assert journal.last_sequence in {9, 10}
    await journal.close()


@pytest.mark.parametrize("operation", ["write", "sync"])
async def test_sqlite_disk_error_at_checkpoint(tmp_path: Path, disk: FaultyDisk, operation: str) -> None:
    """A checkpoint that fails fails the journal, though what was acknowledged stays."""
    journal = open_in(tmp_path)
    disk.breaks(operation, JOURNAL)
    with pytest.raises(JournalFailed):
        await fill(journal, 3 * JOURNAL_CHECKPOINT_PAGES)
    disk.mends()
    acknowledged = journal.last_sequence
    await journal.close()
    journal = open_in(tmp_path)
    assert not journal.was_clean
    assert journal.last_sequence in {acknowledged, acknowledged + 3}
    await journal.close()


async def test_sqlite_disk_error_at_close(tmp_path: Path, disk: FaultyDisk) -> None:
    """A clean stop that can't be written is an error, and not a clean stop."""
    journal = open_in(tmp_path)
    await fill(journal, 3)
    disk.breaks("sync", JOURNAL)
    with pytest.raises(JournalFailed):
        await journal.close()
    disk.mends()
    journal = open_in(tmp_path)
    assert not journal.was_clean
    assert journal.last_sequence == 9
    await journal.close()


@pytest.mark.parametrize("is_new", [True, False])
async def test_sqlite_disk_error_at_open(tmp_path: Path, disk: FaultyDisk, is_new: bool) -> None:
    """A disk that refuses the opening is told as such; lock and files are free, and nothing is lost."""
    data = tmp_path / "data"
    if not is_new:
        await crashed_image(data, 6, checkpointed=2)
    disk.breaks("write", ".new" if is_new else JOURNAL)
    with pytest.raises(JournalFailed, match=r"can't be written: .*the disk refuses to write"):
        open_in(data)
    disk.mends()
    journal = open_in(data)
    assert list(journal.read()) == batches(0 if is_new else 6)
    await journal.close()


async def test_sqlite_disk_error_at_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that can't be written stops the journal as well: a lost tail would go unnoticed."""
    journal = open_in(tmp_path)

    def refuse(file: head_module.HeadFile, head: Head) -> None:
        raise OSError("the disk refuses")

    monkeypatch.setattr(head_module.HeadFile, "write", refuse)
    await fill(journal, 1)
    await reached(lambda: journal.statistics().failed)
    with pytest.raises(JournalFailed, match="refuses"):
        await journal.append(batch(4))
    await journal.close()
    monkeypatch.undo()
    journal = open_in(tmp_path)
    assert (journal.was_clean, journal.last_sequence) == (False, 3)
    await journal.close()


async def refused(directory: Path, kind: type[JournalError], match: str) -> JournalError:
    """Opening is refused with this error, and leaves every byte as it was; the lock is free again."""
    before = content(directory)
    with pytest.raises(kind, match=match) as caught:
        open_in(directory)
    with pytest.raises(kind, match=match):
        open_in(directory)
    assert content(directory) == before
    return caught.value


async def test_sqlite_foreign_text(tmp_path: Path) -> None:
    """A file that is no database is refused and kept."""
    (tmp_path / JOURNAL).write_bytes(b"dear diary\n" * 100)
    await refused(tmp_path, JournalForeign, "not an SQLite database")


@pytest.mark.parametrize(
    ("pragma", "match"),
    [("application_id = 7", "another program"), ("user_version = 2", "format 2.*reads and writes 1")],
)
async def test_sqlite_foreign_database(tmp_path: Path, pragma: str, match: str) -> None:
    """So is the database of another program, and the journal of a newer version."""
    await stopped(tmp_path, 2)
    connection = apsw.Connection(str(tmp_path / JOURNAL))
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    await refused(tmp_path, JournalForeign, match)


async def test_sqlite_changed_schema(tmp_path: Path) -> None:
    """Another table beside the batches is not what was created."""
    await stopped(tmp_path, 2)
    connection = apsw.Connection(str(tmp_path / JOURNAL))
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    await refused(tmp_path, JournalDamaged, "schema")


async def test_sqlite_empty_database_beside_log(tmp_path: Path) -> None:
    """SQLite deletes the log of an empty database; it never gets to see it."""
    data = tmp_path / "data"
    await crashed_image(data, 3)
    (data / JOURNAL).write_bytes(b"")
    await refused(data, JournalDamaged, "it has 0 bytes")


async def test_sqlite_without_head(tmp_path: Path) -> None:
    """Losing the head would hide a lost tail, so it is refused as well."""
    await stopped(tmp_path, 2)
    (tmp_path / HEAD).unlink()
    await refused(tmp_path, JournalDamaged, "head is damaged: it is missing")


async def test_sqlite_without_journal(tmp_path: Path) -> None:
    """A head without its journal is not a new journal."""
    await stopped(tmp_path, 2)
    (tmp_path / JOURNAL).unlink()
    await refused(tmp_path, JournalDamaged, "missing; head says 6, clean")


async def test_sqlite_first_start_cut_short(tmp_path: Path) -> None:
    """A first start that got no further than the database begins again."""
    await stopped(tmp_path, 0)
    (tmp_path / HEAD).unlink()
    journal = open_in(tmp_path)
    assert (journal.was_clean, journal.chain) == (True, GENESIS)
    await journal.close()


async def test_sqlite_behind_head(tmp_path: Path) -> None:
    """An older copy of the database is noticed, and both ends are named."""
    data = tmp_path / "data"
    await stopped(data, 2)
    older = (data / JOURNAL).read_bytes()
    await stopped(data, 2)
    (data / JOURNAL).write_bytes(older)
    error = await refused(data, JournalBehindHead, "ends at 6; head says 12, clean")
    assert isinstance(error, JournalBehindHead)
    assert (error.journal_last, error.head_sequence) == (6, 12)


async def test_sqlite_beyond_clean_head(tmp_path: Path) -> None:
    """After a clean stop the journal ends where head says; an older head is noticed."""
    data = tmp_path / "data"
    await stopped(data, 2)
    older = (data / HEAD).read_bytes()
    await stopped(data, 2)
    (data / HEAD).write_bytes(older)
    await refused(data, JournalDamaged, "sequence 7: it goes on to 12 after a clean stop; head says 6, clean")


async def test_sqlite_head_of_another(tmp_path: Path) -> None:
    """A head whose chain is not in the journal belongs to another one."""
    await stopped(tmp_path / "a", 2)
    journal = open_in(tmp_path / "b")
    await journal.append(batch(1, 6, BatchKind.AUDIT))
    await journal.close()
    shutil.copy(tmp_path / "b" / HEAD, tmp_path / "a" / HEAD)
    await refused(tmp_path / "a", JournalDamaged, "chain is not the one head has; head says 6")


async def test_sqlite_unfinished_repair(tmp_path: Path) -> None:
    """A repair that was begun has to be finished first."""
    await stopped(tmp_path, 2)
    shutil.copy(tmp_path / JOURNAL, tmp_path / REPAIRED)
    await refused(tmp_path, JournalDamaged, "repair was begun")


async def test_sqlite_damage_while_running(tmp_path: Path) -> None:
    """A tail that vanishes under a running journal is noticed by the next read."""
    journal = open_in(tmp_path)
    await fill(journal, 4)
    other = apsw.Connection(str(tmp_path / JOURNAL))
    other.execute("DELETE FROM batches WHERE first_sequence > 6")
    other.close()
    with pytest.raises(JournalDamaged, match="ends at 6, 12 was durable"):
        list(journal.read())
    await journal.close()


async def test_sqlite_copy_of_running(tmp_path: Path) -> None:
    """The files of a running journal, copied with its log, are a journal that was not closed."""
    journal = open_in(tmp_path / "data")
    await fill(journal, 4)
    copy_running(tmp_path / "data", tmp_path / "copy")
    await journal.close()
    copied = open_in(tmp_path / "copy")
    assert (copied.was_clean, list(copied.read())) == (False, batches(4))
    await copied.close()
