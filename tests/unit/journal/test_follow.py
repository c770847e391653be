"""Following a journal from outside its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.files import JOURNAL
from exchange.journal.follow import FollowedJournal, JournalReplaced
from exchange.journal.protocol import JournalDamaged, JournalMissing
from exchange.journal.sqlite import SqliteJournal


async def test_followed_journal_has_what_is_appended_while_it_is_open(tmp_path: Path) -> None:
    """Batch by batch, with the chain of the writer; where it ends it waits for the next."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    followed = FollowedJournal(tmp_path)
    assert followed.take(10) == []
    for number in range(1, 6):
        await journal.append(Batch(number, number, BatchKind.COMMANDS, b"x" * number))
        assert [each.first_sequence for each in followed.take(10)] == [number]
        assert (followed.sequence, followed.chain) == (journal.last_sequence, journal.chain.hex())
    await journal.close()
    assert followed.take(10) == []
    followed.close()


async def test_followed_journal_finds_links_and_voids_anywhere(tmp_path: Path) -> None:
    """The chain after any batch, and what an operator voided, also before it has been taken."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    await journal.append(Batch(1, 3, BatchKind.COMMANDS, b"a"))
    chain = journal.chain.hex()
    await journal.append(Batch(4, 4, BatchKind.VOID, b"b"))
    followed = FollowedJournal(tmp_path)
    assert followed.link_at(3) == (3, chain)
    assert followed.link_at(2) == (0, bytes(32).hex())
    assert followed.link_at(9) == (4, journal.chain.hex())
    assert list(followed.voids()) == [Batch(4, 4, BatchKind.VOID, b"b")]
    assert followed.sequence == 0
    followed.close()
    await journal.close()


async def test_followed_journal_holds_up_no_checkpoint(tmp_path: Path) -> None:
    """An open follower keeps no read transaction: the log is moved into the database beside it."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    followed = FollowedJournal(tmp_path)
    for number in range(1, 400):
        await journal.append(Batch(number, number, BatchKind.COMMANDS, bytes(6_000)))
        followed.take(10)
    assert journal.statistics().checkpoints > 0
    assert (tmp_path / f"{JOURNAL}-wal").stat().st_size < 3_000_000
    await journal.close()
    followed.close()


async def test_followed_journal_that_is_replaced_says_so(tmp_path: Path) -> None:
    """A repair renames another file into its place: nothing more would ever come."""
    for name in ("one", "two"):
        journal = SqliteJournal.open(tmp_path / name, SystemClock())
        await journal.append(Batch(1, 1, BatchKind.COMMANDS, name.encode()))
        await journal.close()
    followed = FollowedJournal(tmp_path / "one")
    assert len(followed.take(10)) == 1
    (tmp_path / "two" / JOURNAL).replace(tmp_path / "one" / JOURNAL)
    with pytest.raises(JournalReplaced):
        followed.take(10)
    followed.close()


def test_followed_journal_needs_one(tmp_path: Path) -> None:
    """Where there is none, or an empty file, nothing is created."""
    with pytest.raises(JournalMissing):
        FollowedJournal(tmp_path)
    (tmp_path / JOURNAL).touch()
    with pytest.raises(JournalDamaged):
        FollowedJournal(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [JOURNAL]
