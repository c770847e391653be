"""What may happen to a game's folder while no server runs: each start says what it found, or goes on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from exchange.base.clock import SystemClock
from exchange.journal import head
from exchange.journal.check import check
from exchange.journal.files import HEAD, JOURNAL
from exchange.journal.protocol import JournalDamaged
from exchange.journal.sqlite import SqliteJournal
from exchange.process import ServerDidNotStart, ServerProcess
from exchange.wire.ids import order_number
from tests.support.scale import chance
from tests.support.traffic import Trader, client_session, register
from tests.unit.journal.places import reached

WAL = f"{JOURNAL}-wal"
ORDERS = 5
NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root may write anywhere; without this ability it may not."""


class Folders(NamedTuple):
    """One game's folder at three moments: stopped, later while it ran, and after a crash later still."""

    stopped: Path
    running: Path
    crashed: Path


async def _enter(session: aiohttp.ClientSession, trader: Trader) -> int:
    """A few orders; the sequence of the last."""
    told: dict[str, str] = {}
    for _ in range(ORDERS):
        body, key = trader.new_order(), {"X-API-Key": trader.api_key}
        async with session.post(f"{trader.url}/exchange/orders", json=body, headers=key) as answer:
            told = await answer.json()
    sequence = order_number(told["order_id"])
    assert sequence is not None
    return sequence


async def _head_knows(data: Path, sequence: int) -> None:
    def knows() -> bool:
        found = head.read(data / HEAD)
        return found is not None and found.sequence >= sequence

    await reached(knows)


async def _make(folder: Path) -> Folders:
    folders = Folders(*(folder / name for name in Folders._fields))
    data = folder / "data"
    async with client_session() as session:
        with ServerProcess(data, ["--preset", "flow"]) as server:
            trader = await register(session, server.url, "T", 1)
            await _enter(session, trader)
        shutil.copytree(data, folders.stopped)
        with ServerProcess(data, ["--preset", "flow"]) as server:
            trader.url = server.url
            await _head_knows(data, await _enter(session, trader))
            shutil.copytree(data, folders.running)
            await _head_knows(data, await _enter(session, trader))
            server.kill()
    shutil.copytree(data, folders.crashed)
    return folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Made once; tests work on copies."""
    return asyncio.run(_make(tmp_path_factory.mktemp("folders")))


def remove_head(data: Path, folders: Folders) -> None:
    """Lost."""
    (data / HEAD).unlink()


def zero_head(data: Path, folders: Folders) -> None:
    """What a file system may leave of a file after a crash."""
    (data / HEAD).write_bytes(bytes(8192))


def scribble_head(data: Path, folders: Folders) -> None:
    """Overwritten."""
    (data / HEAD).write_bytes(chance("scribble").randbytes(8192))


def restore_head_of_clean_stop(data: Path, folders: Folders) -> None:
    """From a backup that has only the head."""
    shutil.copy(folders.stopped / HEAD, data / HEAD)


def delete_log(data: Path, folders: Folders) -> None:
    """Taken for a temporary file."""
    (data / WAL).unlink()


def empty_log(data: Path, folders: Folders) -> None:
    """The same, more politely."""
    os.truncate(data / WAL, 0)


def restore_journal(data: Path, folders: Folders) -> None:
    """From a backup, without the head that belongs to it."""
    (data / WAL).unlink()
    shutil.copy(folders.stopped / JOURNAL, data / JOURNAL)


def restore_journal_and_head_leaving_log(data: Path, folders: Folders) -> None:
    """From a backup, into a folder that was not emptied."""
    shutil.copy(folders.stopped / JOURNAL, data / JOURNAL)
    shutil.copy(folders.stopped / HEAD, data / HEAD)


def remove_journal(data: Path, folders: Folders) -> None:
    """Lost."""
    (data / JOURNAL).unlink()


def remove_journal_and_log(data: Path, folders: Folders) -> None:
    """Lost with its log."""
    (data / JOURNAL).unlink()
    (data / WAL).unlink()


def empty_journal(data: Path, folders: Folders) -> None:
    """SQLite would delete the log beside it."""
    os.truncate(data / JOURNAL, 0)


REFUSED: list[tuple[Callable[[Path, Folders], None], str]] = [
    (remove_head, "head is damaged: it is missing beside a journal"),
    (zero_head, "head is damaged: neither slot is intact"),
    (scribble_head, "head is damaged: neither slot is intact"),
    (restore_head_of_clean_stop, "after a clean stop; head says"),
    (delete_log, "head says"),
    (empty_log, "head says"),
    (restore_journal, "head says"),
    (restore_journal_and_head_leaving_log, "after a clean stop; head says"),
    (remove_journal, "it is missing; head says"),
    (remove_journal_and_log, "it is missing; head says"),
    (empty_journal, "it has 0 bytes"),
]


@pytest.mark.parametrize(("act", "says"), REFUSED, ids=[act.__name__ for act, _ in REFUSED])
async def test_folder_is_refused(
    tmp_path: Path, folders: Folders, act: Callable[[Path, Folders], None], says: str
) -> None:
    """It is told what is wrong, by a start and by ``check-journal``, and the files stay as they were."""
    data = shutil.copytree(folders.crashed, tmp_path / "data")
    act(data, folders)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(JournalDamaged, match=re.escape(says)):
        SqliteJournal.open(data, SystemClock())
    assert any(says in problem for problem in check(data).problems)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def older_head_of_this_run(data: Path, folders: Folders) -> int:
    """It vouches for less, and nothing contradicts it."""
    shutil.copy(folders.running / HEAD, data / HEAD)
    return check(folders.crashed).last_sequence


def older_copy_of_everything(data: Path, folders: Folders) -> int:
    """A backup: the older game, whole. Nothing in it can tell that there was a later one."""
    shutil.rmtree(data)
    shutil.copytree(folders.stopped, data)
    return check(folders.stopped).last_sequence


def removed_shared_memory(data: Path, folders: Folders) -> int:
    """SQLite's index of the log is made anew."""
    (data / f"{JOURNAL}-shm").unlink(missing_ok=True)
    return check(folders.crashed).last_sequence


@pytest.mark.parametrize("act", [older_head_of_this_run, older_copy_of_everything, removed_shared_memory])
def test_folder_goes_on(tmp_path: Path, folders: Folders, act: Callable[[Path, Folders], int]) -> None:
    """What is not damage starts, with all that the files hold."""
    data = shutil.copytree(folders.crashed, tmp_path / "data")
    last_sequence = act(data, folders)
    with ServerProcess(data, ["--preset", "flow"]) as server:
        assert "READ-ONLY" not in server.ready_line
    report = check(data)
    assert (report.problems, report.clean) == ((), True)
    assert report.last_sequence >= last_sequence


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
def test_folder_on_a_full_disk(tmp_path: Path, folders: Folders, is_new: bool) -> None:
    """A start that finds no room says so and leaves a game that starts once there is."""
    data = tmp_path / "data"
    if not is_new:
        shutil.copytree(folders.crashed, data)
    full = ServerProcess(
        data,
        ["--preset", "flow"],
        environment={"EXCHANGE_TEST_DISK_BYTES": "4000"},
        module="tests.support.small_disk_server",
    )
    with pytest.raises(ServerDidNotStart, match=r"exit code 1: exchange: .*can't be written: ") as refused:
        full.start()
    assert "Traceback" not in str(refused.value)
    with ServerProcess(data, ["--preset", "flow"]):
        pass
    assert check(data).problems == ()


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
def test_folder_that_is_read_only(tmp_path: Path, folders: Folders, is_new: bool) -> None:
    """It is refused in one line, and nothing is changed."""
    above = tmp_path / "above"
    above.mkdir()
    data = above / "data"
    if not is_new:
        shutil.copytree(folders.crashed, data)
    held = [above] if is_new else [data, *data.iterdir()]
    before = {} if is_new else {path.name: path.read_bytes() for path in data.iterdir()}
    for path in held:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    prefix = NO_OVERRIDE if os.getuid() == 0 else ()
    says = "Permission denied" if is_new else "can't be written"
    server = ServerProcess(data, ["--preset", "flow"], prefix=prefix, log=tmp_path / "log")
    try:
        with pytest.raises(ServerDidNotStart, match=f"exit code 1: exchange: .*{says}"):
            server.start()
    finally:
        for path in held:
            path.chmod(0o700)
    assert ({} if is_new else {path.name: path.read_bytes() for path in data.iterdir()}) == before
