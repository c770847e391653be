"""When snapshots are taken, and that a child that fails, hangs or is missing harms nobody."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import anyio
import pytest

from exchange.config import SnapshotsConfig
from exchange.log import get_logger
from exchange.pipeline import snapshot_keeper
from exchange.pipeline.snapshot_keeper import SnapshotKeeper, SnapshotStatistics, snapshot_command
from tests.support.waiting import until

LOG = get_logger("test")
DEADLINE_S = 20.0


def _command(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _counting(file: Path, exit_code: int = 0) -> tuple[str, ...]:
    """A child that leaves a line each time it is started."""
    return _command(f"open({str(file)!r}, 'a').write('x\\n'); raise SystemExit({exit_code})")


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_keeper, "SNAPSHOT_CHECK_S", 0.001)


async def test_keeper_takes_one_each_so_many_records(tmp_path: Path) -> None:
    """Counted from the snapshot that was found; none before, none twice."""
    file = tmp_path / "children"
    keeper = SnapshotKeeper(SnapshotsConfig(every_records=100), _counting(file), LOG)
    keeper.found(50)
    seen: list[tuple[int, int]] = []
    journal = iter([149, 149, 150, 151, 249, 250, 251])
    done = anyio.Event()

    def look() -> int:
        seen.append((keeper.statistics().sequence, _lines(file)))
        at = next(journal, None)
        if at is None:
            done.set()
        return at or 251

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run(look))
        await done.wait()
        running.cancel()
    assert seen[:3] == [(50, 0)] * 3
    assert [sequence for sequence, _ in seen] == sorted(sequence for sequence, _ in seen)
    assert _lines(file) == 2
    assert keeper.statistics() == SnapshotStatistics(250, 0)


async def test_keeper_that_is_off_takes_none(tmp_path: Path) -> None:
    """0 is never, while it runs and at a stop."""
    file = tmp_path / "children"
    settings = SnapshotsConfig(every_records=0, at_stop_records=0)
    keeper = SnapshotKeeper(settings, _counting(file), LOG)
    await keeper.run(lambda: 1_000_000)
    await keeper.at_stop(1_000_000)
    assert _lines(file) == 0


async def test_keeper_takes_a_last_one_where_it_is_worth_it(tmp_path: Path) -> None:
    """At a stop with enough new records, and only then."""
    file = tmp_path / "children"
    keeper = SnapshotKeeper(SnapshotsConfig(at_stop_records=10), _counting(file), LOG)
    keeper.found(100)
    await keeper.at_stop(109)
    assert _lines(file) == 0
    await keeper.at_stop(110)
    assert _lines(file) == 1
    assert keeper.statistics() == SnapshotStatistics(110, 0)


@pytest.mark.parametrize("exit_code", [1, 2])
async def test_keeper_counts_a_child_that_fails(tmp_path: Path, exit_code: int) -> None:
    """The newest stays what it was; after as many records it is tried again."""
    file = tmp_path / "children"
    keeper = SnapshotKeeper(SnapshotsConfig(every_records=10), _counting(file, exit_code), LOG)
    keeper.found(5)
    for sequence in (20, 30):
        await keeper.take(sequence)
    assert keeper.statistics() == SnapshotStatistics(5, 2)
    assert _lines(file) == 2


async def test_keeper_counts_a_child_that_cannot_be_started() -> None:
    """No such program, or no memory for it: logged like any other failure."""
    keeper = SnapshotKeeper(SnapshotsConfig(), ("/nowhere/at/all",), LOG)
    await keeper.take(10)
    assert keeper.statistics() == SnapshotStatistics(0, 1)


async def test_keeper_kills_a_child_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SNAPSHOT_TIMEOUT_S; it counts as failed."""
    monkeypatch.setattr(snapshot_keeper, "SNAPSHOT_TIMEOUT_S", 0.5)
    file = tmp_path / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    keeper = SnapshotKeeper(SnapshotsConfig(), _command(code), LOG)
    await keeper.take(10)
    assert keeper.statistics() == SnapshotStatistics(0, 1)
    if file.exists():
        await _gone(int(file.read_text()))


async def test_keeper_that_is_cancelled_leaves_no_child(tmp_path: Path) -> None:
    """A server that stops takes the child with it."""
    file = tmp_path / "pid"
    code = (
        f"import os, time; name = {str(file)!r}; open(name + '.new', 'w').write(str(os.getpid()));"
        " os.rename(name + '.new', name); time.sleep(600)"
    )
    keeper = SnapshotKeeper(SnapshotsConfig(every_records=1), _command(code), LOG)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run(lambda: 10))
        await until(file.exists)
        running.cancel()
    await _gone(int(file.read_text()))


async def _gone(pid: int) -> None:
    await until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_snapshot_command_is_the_one_of_the_command_line(tmp_path: Path) -> None:
    """The same that an operator can run; it ends with the server."""
    command = snapshot_command(tmp_path)[1:]
    assert command[:5] == ("-m", "exchange", "snapshot", "--data", str(tmp_path))
    assert command[5:] == ("--parent", str(os.getpid()))
