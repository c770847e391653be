from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exchange.base import bounds
from exchange.journal.batch import GENESIS, Head
from exchange.journal.head import HeadFile, begin, read
from exchange.journal.keeper import HeadKeeper
from tests.unit.journal.places import reached

EMPTY = Head(0, GENESIS, clean=False)


def head(sequence: int) -> Head:
    """A head that can be told by its chain."""
    return Head(sequence, sequence.to_bytes(32, "big"), clean=False)


async def test_keeper_writes_latest(tmp_path: Path) -> None:
    """Of what was reached meanwhile the latest is written, and nothing more until there is news."""
    failures: list[Exception] = []
    file = begin(tmp_path / "head", EMPTY)
    keeper = HeadKeeper(file, EMPTY, asyncio.get_running_loop(), failures.append)
    for sequence in range(1, 100):
        keeper.reached(head(sequence))
    assert keeper.sequence == 0
    await reached(lambda: keeper.sequence == 99)
    assert read(tmp_path / "head") == head(99)
    keeper.cancel()
    keeper.stop(None)
    assert failures == []


async def test_keeper_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a write is under way news waits, and is written after it without being told again."""
    begun: list[int] = []
    written: list[int] = []
    write = HeadFile.write
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(file: HeadFile, value: Head) -> None:
        begun.append(value.sequence)
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        write(file, value)
        written.append(value.sequence)

    file = begin(tmp_path / "head", EMPTY)
    monkeypatch.setattr(HeadFile, "write", slow)
    keeper = HeadKeeper(file, EMPTY, loop, lambda error: None)
    keeper.reached(head(1))
    await reached(lambda: bool(begun))
    for sequence in range(2, 50):
        keeper.reached(head(sequence))
    gate.set()
    await reached(lambda: keeper.sequence == 49)
    keeper.cancel()
    keeper.stop(None)
    assert written == [1, 49]


async def test_keeper_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails is told once; the thread has ended and can still be stopped."""
    failures: list[Exception] = []

    def refuse(file: HeadFile, value: Head) -> None:
        raise OSError("the disk refuses")

    file = begin(tmp_path / "head", EMPTY)
    monkeypatch.setattr(HeadFile, "write", refuse)
    keeper = HeadKeeper(file, EMPTY, asyncio.get_running_loop(), failures.append)
    keeper.reached(head(1))
    await reached(lambda: bool(failures))
    keeper.reached(head(2))
    keeper.stop(None)
    assert [str(failure) for failure in failures] == ["the disk refuses"]
    assert keeper.sequence == 0


async def test_keeper_fails_unheard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails while the keeper is being stopped is told there; no clean end is written over it."""
    file = begin(tmp_path / "head", EMPTY)
    refusals = iter([OSError("the disk refuses")])
    write = HeadFile.write

    def refuse_once(file: HeadFile, value: Head) -> None:
        for refusal in refusals:
            raise refusal
        write(file, value)

    monkeypatch.setattr(HeadFile, "write", refuse_once)
    monkeypatch.setattr("exchange.journal.keeper.HEAD_DELAY_S", 0.0)
    keeper = HeadKeeper(file, EMPTY, asyncio.get_running_loop(), lambda error: None)
    keeper.reached(head(1))
    # Handed over in the first turn of the loop, which then is not let run.
    for _ in range(3):
        await asyncio.sleep(0)
    with pytest.raises(OSError, match="the disk refuses"):
        keeper.stop(Head(1, GENESIS, clean=True))
    assert read(tmp_path / "head") == EMPTY


def test_keeper_delay() -> None:
    """The design promises a head at most 100 ms old; half of that is left for the disk."""
    assert bounds.HEAD_DELAY_S <= 0.05
