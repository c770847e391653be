"""Real processes, really killed: what was acknowledged is there, and nothing else but what was in flight."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.check import check
from exchange.journal.sqlite import SqliteJournal
from exchange.journal.stopped import StoppedJournal
from tests.support.scale import amount, limit_s

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = amount(15, 1_000)
MAX_RECORDS = 60


async def appender(directory: Path, seed: int, *limit: int) -> Process:
    """A process that appends to the journal in ``directory``."""
    command = (
        sys.executable,
        "-m",
        "tests.unit.journal.appender",
        str(directory),
        str(seed),
        *map(str, limit),
    )
    return await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdout=PIPE)


async def killed(process: Process, acknowledged: int) -> list[str]:
    """Let it acknowledge so many batches, kill it, and give all that it told."""
    assert process.stdout is not None
    told = [await process.stdout.readline() for _ in range(acknowledged + 1)]
    process.kill()
    told += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    # A line cut off by the kill was not told.
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


def is_as_written(found: Batch) -> bool:
    """The payload names its sequences."""
    return found.payload.startswith(f"{found.first_sequence}-{found.last_sequence};".encode())


@pytest.mark.timeout(limit_s(180))
async def test_journal_killed(tmp_path: Path) -> None:
    """Killed again and again, at random moments, it keeps every acknowledged batch, whole and chained."""
    stream = random.Random(20240315)
    acknowledged = 0
    for kill in range(KILLS):
        process = await appender(tmp_path, kill)
        told = await killed(process, stream.choice((0, 1, 2, 10, 50, 150, 300)))
        opened = int(told[0].removeprefix("open "))
        assert opened >= acknowledged
        acknowledged = max(opened, *map(int, told[1:])) if told[1:] else opened
        report = check(tmp_path)
        assert report.problems == ()
        assert report.clean is False
        # Beyond what was acknowledged there can be only the one batch that was in flight.
        assert acknowledged <= report.last_sequence <= acknowledged + MAX_RECORDS
    found = list(StoppedJournal(tmp_path).read())
    assert sum(each.last_sequence - each.first_sequence + 1 for each in found) == found[-1].last_sequence
    assert all(map(is_as_written, found))
    journal = SqliteJournal.open(tmp_path, SystemClock())
    assert (journal.was_clean, journal.last_sequence) == (False, found[-1].last_sequence)
    await journal.close()


@pytest.mark.parametrize("limit", [100_000, 1_000_000, 3_000_000])
async def test_journal_disk_full(tmp_path: Path, limit: int) -> None:
    """A disk that takes no more: the append fails, so does every later one, and what was told is there."""
    process = await appender(tmp_path, 1, limit)
    assert process.stdout is not None
    told = (await process.stdout.read()).decode().splitlines()
    assert await process.wait() == 0
    acknowledged = int(told[-4])
    assert acknowledged > 100
    assert told[-3:] == [f"failed {acknowledged + 1}"] * 3
    report = check(tmp_path)
    assert (report.problems, report.clean) == ((), False)
    assert acknowledged <= report.last_sequence <= acknowledged + MAX_RECORDS
    assert all(map(is_as_written, StoppedJournal(tmp_path).read()))
