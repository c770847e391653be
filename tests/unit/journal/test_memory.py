from __future__ import annotations

import asyncio
import random

import pytest

from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.journal.protocol import JournalFailed
from tests.unit.journal.places import batch, batches, fill


def journal_with(faults: MemoryFaults, seed: int = 1) -> MemoryJournal:
    """A new journal with its own stream."""
    return MemoryJournal(random.Random(seed), faults)


async def test_memory_without_latency() -> None:
    """Without latency an append is durable in the next turn of the loop, never within the call."""
    journal = journal_with(MemoryFaults())
    future = journal.append(batch(1))
    assert not future.done()
    await asyncio.sleep(0)
    assert journal.last_sequence == 1


async def test_memory_latency() -> None:
    """Latency is what the stream draws, within its bounds, and the observer is told just that."""
    seen: list[float] = []
    faults = MemoryFaults(latency_s=0.001, jitter_s=0.002)
    journal = MemoryJournal(random.Random(5), faults, observe_commit=seen.append)
    await fill(journal, 20)
    stream = random.Random(5)
    expected = []
    for _ in range(20):
        expected.append(0.001 + 0.002 * stream.random())
        stream.random()
    assert seen == expected


async def test_memory_fail_at() -> None:
    """Exactly the append that was named fails."""
    journal = journal_with(MemoryFaults(fail_at=4))
    await fill(journal, 3)
    with pytest.raises(JournalFailed, match="as it was told to"):
        await journal.append(batch(10))


async def test_memory_fail_probability() -> None:
    """The same seed fails at the same append, another seed at another one."""
    ends = []
    for seed in (1, 1, 2, 3, 4):
        journal = journal_with(MemoryFaults(fail_probability=0.05), seed)
        with pytest.raises(JournalFailed):
            await fill(journal, 1000)
        ends.append(journal.last_sequence)
    assert ends[0] == ends[1]
    assert len(set(ends)) > 2


async def test_memory_fault_moves_no_draw() -> None:
    """Adding a fault does not change the latencies before it."""
    told: list[list[float]] = []
    for faults in (MemoryFaults(jitter_s=0.001), MemoryFaults(jitter_s=0.001, fail_at=9)):
        seen: list[float] = []
        journal = MemoryJournal(random.Random(3), faults, observe_commit=seen.append)
        await fill(journal, 8)
        told.append(seen)
    assert told[0] == told[1]


async def test_memory_crash_in_flight() -> None:
    """What was in flight is told as failed, and is on the disk for some seeds and not for others."""
    found = set()
    for seed in range(10):
        journal = journal_with(MemoryFaults(latency_s=60), seed)
        future = journal.append(batch(1, 2))
        left = journal.crash()
        assert isinstance(future.exception(), JournalFailed)
        assert left in ([], [batch(1, 2)])
        found.add(len(left))
        with pytest.raises(JournalFailed):
            await journal.append(batch(journal.last_sequence + 1))
    assert found == {0, 1}


async def test_memory_crash_after_failure() -> None:
    """An append that failed may be on the disk; what was acknowledged always is."""
    found = set()
    for seed in range(10):
        journal = journal_with(MemoryFaults(fail_at=3), seed)
        await fill(journal, 2)
        with pytest.raises(JournalFailed):
            await journal.append(batch(7, 3))
        left = journal.crash()
        assert left == batches(3)[: len(left)]
        assert journal.crash() == left
        found.add(len(left))
    assert found == {2, 3}


async def test_memory_close_after_cancel() -> None:
    """Closing waits for the append itself, not for the one who no longer waits for it."""
    journal = journal_with(MemoryFaults(latency_s=0.01))
    journal.append(batch(1)).cancel()
    await journal.close()
    assert journal.last_sequence == 1


def test_memory_batches_refused() -> None:
    """What an earlier run left has to be a journal."""
    with pytest.raises(ValueError, match="does not follow"):
        MemoryJournal(random.Random(1), batches=[batch(1), batch(3)])
