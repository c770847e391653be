"""What every journal promises, for both implementations."""

from __future__ import annotations

import asyncio

import pytest

from exchange.base.bounds import JOURNAL_BATCH_BYTES
from exchange.journal.batch import GENESIS, Batch, BatchKind, seal
from exchange.journal.protocol import JournalFailed
from tests.unit.journal.places import Place, batch, batches, fill


async def test_journal_new(place: Place) -> None:
    """A new journal is empty, at the genesis chain, and counts as cleanly stopped."""
    journal = place.open()
    assert (journal.last_sequence, journal.chain, journal.was_clean) == (0, GENESIS, True)
    assert list(journal.read()) == []
    await journal.close()


async def test_journal_append(place: Place) -> None:
    """What was acknowledged is read back as it was, in order, and the chain runs through all of it."""
    journal = place.open()
    chain = GENESIS
    for written in batches(5):
        await journal.append(written)
        chain = seal(chain, written)[1]
        assert (journal.last_sequence, journal.chain) == (written.last_sequence, chain)
    assert list(journal.read()) == batches(5)
    await journal.close()


async def test_journal_append_not_yet_durable(place: Place) -> None:
    """Until the future is done the journal speaks only of what came before."""
    journal = place.open()
    future = journal.append(batch(1, 3))
    assert not future.done()
    assert (journal.last_sequence, journal.chain) == (0, GENESIS)
    await future
    assert journal.last_sequence == 3
    await journal.close()


async def test_journal_append_second_in_flight(place: Place) -> None:
    """One append at a time; the second raises and does not disturb the first."""
    journal = place.open()
    first = journal.append(batch(1))
    with pytest.raises(RuntimeError, match="in flight"):
        journal.append(batch(2))
    await first
    await journal.append(batch(2))
    assert [found.last_sequence for found in journal.read()] == [1, 2]
    await journal.close()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(batch(5), id="gap"),
        pytest.param(batch(3), id="repeated"),
        pytest.param(batch(2, 3), id="overlap"),
        pytest.param(Batch(4, 3, BatchKind.COMMANDS, b""), id="empty"),
        pytest.param(Batch(4, 4, BatchKind.COMMANDS, bytes(JOURNAL_BATCH_BYTES + 1)), id="too large"),
    ],
)
async def test_journal_append_refused(place: Place, wrong: Batch) -> None:
    """A batch that does not follow, or exceeds its bound, raises and leaves the journal as it was."""
    journal = place.open()
    await journal.append(batch(1, 3))
    with pytest.raises(ValueError, match="batch"):
        journal.append(wrong)
    await journal.append(batch(4))
    assert list(journal.read()) == [batch(1, 3), batch(4)]
    await journal.close()


async def test_journal_append_at_bound(place: Place) -> None:
    """The largest payload is taken, and so is an empty one."""
    journal = place.open()
    written = [
        Batch(1, 1, BatchKind.COMMANDS, bytes(JOURNAL_BATCH_BYTES)),
        Batch(2, 2, BatchKind.COMMANDS, b""),
    ]
    for each in written:
        await journal.append(each)
    assert list(journal.read()) == written
    await journal.close()


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, [3, 6, 9]), (2, [3, 6, 9]), (3, [6, 9]), (5, [6, 9]), (8, [9]), (9, []), (12, [])],
)
async def test_journal_read_after(place: Place, after: int, expected: list[int]) -> None:
    """Batches with a sequence above ``after``; one that spans it is given whole."""
    journal = place.open()
    await fill(journal, 3)
    assert [found.last_sequence for found in journal.read(after)] == expected
    await journal.close()


async def test_journal_read_kind(place: Place) -> None:
    """``kind`` leaves out the others."""
    journal = place.open()
    kinds = [BatchKind.COMMANDS, BatchKind.VOID, BatchKind.COMMANDS, BatchKind.AUDIT, BatchKind.VOID]
    for sequence, kind in enumerate(kinds, start=1):
        await journal.append(batch(sequence, kind=kind))
    for kind, expected in ((BatchKind.COMMANDS, [1, 3]), (BatchKind.VOID, [2, 5]), (BatchKind.AUDIT, [4])):
        assert [found.first_sequence for found in journal.read(kind=kind)] == expected
    assert [found.first_sequence for found in journal.read(2, BatchKind.VOID)] == [5]
    await journal.close()


async def test_journal_read_many(place: Place) -> None:
    """Reading goes on over more batches than are read at a time."""
    journal = place.open()
    await fill(journal, 150, records=2)
    assert list(journal.read()) == batches(150, records=2)
    await journal.close()


async def test_journal_reopened(place: Place) -> None:
    """After ``close`` the next run finds all of it, says it was clean, and goes on."""
    journal = place.open()
    await fill(journal, 3)
    chain = journal.chain
    await journal.close()
    journal = place.open()
    assert (journal.last_sequence, journal.chain, journal.was_clean) == (9, chain, True)
    await fill(journal, 2)
    assert list(journal.read()) == batches(5)
    await journal.close()


async def test_journal_crashed(place: Place) -> None:
    """After a crash the next run finds all that was acknowledged, and says it was not clean."""
    journal = place.open()
    await fill(journal, 3)
    chain = journal.chain
    await place.crash(journal)
    journal = place.open()
    assert (journal.last_sequence, journal.chain, journal.was_clean) == (9, chain, False)
    assert list(journal.read()) == batches(3)
    await journal.close()


async def test_journal_crashed_before_first_append(place: Place) -> None:
    """A run that appended nothing was still not clean if it was not closed."""
    journal = place.open()
    await fill(journal, 1)
    await journal.close()
    await place.crash(place.open())
    journal = place.open()
    assert not journal.was_clean
    await journal.close()
    journal = place.open()
    assert journal.was_clean
    await journal.close()


async def test_journal_closed(place: Place) -> None:
    """A closed journal takes nothing; closing it again does nothing."""
    journal = place.open()
    await fill(journal, 1)
    await journal.close()
    await journal.close()
    with pytest.raises(RuntimeError, match="closed"):
        journal.append(batch(4))


async def test_journal_close_waits(place: Place) -> None:
    """``close`` lets the append in flight become durable and tells it."""
    journal = place.open()
    future = journal.append(batch(1))
    await journal.close()
    assert future.done()
    assert future.exception() is None
    journal = place.open()
    assert journal.last_sequence == 1
    await journal.close()


async def test_journal_waiter_cancelled(place: Place) -> None:
    """Who stops waiting does not undo the append, nor let the next one overtake it."""
    journal = place.open()
    future = journal.append(batch(1))
    future.cancel()
    with pytest.raises(RuntimeError, match="in flight"):
        journal.append(batch(1))
    await journal.close()
    journal = place.open()
    assert journal.last_sequence == 1
    await journal.close()


async def test_journal_failed(place: Place) -> None:
    """After a failed write nothing is acknowledged: the append fails, and every later one at once."""
    journal = place.open(fail_at=3)
    await fill(journal, 2)
    with pytest.raises(JournalFailed):
        await journal.append(batch(7))
    assert journal.last_sequence == 6
    for _ in range(3):
        future = journal.append(batch(7))
        assert future.done()
        assert isinstance(future.exception(), JournalFailed)
    assert journal.statistics().failed
    assert list(journal.read()) == batches(2)
    await place.crash(journal)


async def test_journal_failed_reopened(place: Place) -> None:
    """The next run finds what was acknowledged and at most the append that failed, and is not clean."""
    journal = place.open(fail_at=3)
    await fill(journal, 2)
    with pytest.raises(JournalFailed):
        await journal.append(batch(7))
    await place.crash(journal)
    journal = place.open()
    assert not journal.was_clean
    assert journal.last_sequence in {6, 7}
    assert [*batches(2), batch(7)][: len(list(journal.read()))] == list(journal.read())
    await journal.close()


async def test_journal_statistics(place: Place) -> None:
    """The counts of this run, and each commit told to the observer."""
    seen: list[float] = []
    journal = place.open()
    await fill(journal, 1)
    await journal.close()
    journal = place.open(observe_commit=seen.append)
    assert journal.statistics().batches == 0
    await fill(journal, 4, records=3)
    statistics = journal.statistics()
    assert (statistics.batches, statistics.records, statistics.payload_bytes) == (4, 12, 4 * 3 * 24)
    assert statistics.last_commit_s == seen[-1]
    assert statistics.max_commit_s == max(seen)
    assert statistics.total_commit_s == pytest.approx(sum(seen))
    assert not statistics.failed
    await journal.close()
    assert len(seen) == 4


async def test_journal_group_commit(place: Place) -> None:
    """What gathers during one append goes with the next: the way the pipeline uses it."""
    journal = place.open()
    waiting = 20
    while waiting:
        size = min(waiting, 1 + journal.statistics().batches)
        await asyncio.shield(journal.append(batch(journal.last_sequence + 1, size)))
        waiting -= size
    assert journal.last_sequence == 20
    assert journal.statistics().records == 20
    await journal.close()


async def test_journal_chain_at(place: Place) -> None:
    """The chain after the batch that ends with a sequence; none within a batch and beyond the end."""
    journal = place.open()
    chains = {0: GENESIS}
    for written in batches(4):
        await journal.append(written)
        chains[written.last_sequence] = journal.chain
    found = {sequence: journal.chain_at(sequence) for sequence in range(journal.last_sequence + 2)}
    assert found == {sequence: chains.get(sequence) for sequence in found}
    await journal.close()
