from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from exchange.base.clock import SystemClock
from exchange.journal.check import check
from exchange.journal.files import HEAD, JOURNAL
from exchange.journal.protocol import JournalForeign, JournalLocked, JournalMissing
from exchange.journal.sqlite import SqliteJournal
from tests.unit.journal.places import crashed_image, fill

REPOSITORY = Path(__file__).resolve().parents[3]


async def test_check_clean(tmp_path: Path) -> None:
    """After a clean stop: counts, last sequence, chain, head, and no problems."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    await fill(journal, 70, records=4)
    await journal.close()
    progress: list[int] = []
    report = check(tmp_path, progress.append)
    assert (report.batches, report.records, report.last_sequence) == (70, 280, 280)
    assert report.chain == journal.chain.hex()
    assert (report.head_sequence, report.clean, report.problems) == (280, True, ())
    assert progress == [64 * 4]


async def test_check_crashed(tmp_path: Path) -> None:
    """After a crash the log is read as well."""
    data = tmp_path / "data"
    await crashed_image(data, 20, checkpointed=5)
    report = check(data)
    assert (report.batches, report.clean, report.problems) == (20, False, ())


@pytest.mark.parametrize("crashed", [True, False])
async def test_check_writes_nothing(tmp_path: Path, crashed: bool) -> None:
    """Not a byte, a file or a time of change is different after a check."""
    data = tmp_path / "data"
    await crashed_image(data, 20, checkpointed=5)
    if not crashed:
        await SqliteJournal.open(data, SystemClock()).close()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.iterdir()}
    assert (f"{JOURNAL}-wal" in before) is crashed
    changed_ns = data.stat().st_mtime_ns
    check(data)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in data.iterdir()} == before
    assert data.stat().st_mtime_ns == changed_ns


async def test_check_damaged(tmp_path: Path) -> None:
    """Everything that is wrong is listed, and the report goes as far as the chain holds."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    await fill(journal, 5)
    await journal.close()
    connection = apsw.Connection(str(tmp_path / JOURNAL))
    connection.execute("UPDATE batches SET payload = x'00' WHERE first_sequence = 7")
    connection.close()
    (tmp_path / HEAD).unlink()
    report = check(tmp_path)
    assert (report.batches, report.last_sequence, report.head_sequence, report.clean) == (2, 6, None, None)
    assert len(report.problems) == 2
    assert "journal.db is damaged at sequence 7: the checksum is" in report.problems[0]
    assert "head is damaged: it is missing" in report.problems[1]


async def test_check_running(tmp_path: Path) -> None:
    """Beside a running server it says so, from another process too; two checks may run at once."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    with pytest.raises(JournalLocked, match="in use by a running server"):
        check(tmp_path)
    code = (
        f"from pathlib import Path; from exchange.journal.check import check; check(Path({str(tmp_path)!r}))"
    )
    command = [sys.executable, "-c", code]
    child = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stderr=subprocess.PIPE)
    assert b"JournalLocked" in (await child.communicate())[1]
    await journal.close()
    assert check(tmp_path, lambda sequence: None).problems == ()


@pytest.mark.parametrize("directory", ["empty", "absent", "file"])
def test_check_missing(tmp_path: Path, directory: str) -> None:
    """Where there is no journal it says so."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalMissing):
        check(tmp_path / directory)


def test_check_foreign(tmp_path: Path) -> None:
    """What is not a journal is not a damaged journal."""
    (tmp_path / JOURNAL).write_bytes(b"SQLite format 3\0\x10\x00\x02\x02" + bytes(200))
    with pytest.raises(JournalForeign, match="another program"):
        check(tmp_path)
