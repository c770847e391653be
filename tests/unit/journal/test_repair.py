from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from exchange.base.clock import SystemClock
from exchange.journal import repair
from exchange.journal.batch import GENESIS, BatchKind, seal
from exchange.journal.check import check
from exchange.journal.files import HEAD, JOURNAL, REPAIRED
from exchange.journal.protocol import (
    JournalBoundary,
    JournalDamaged,
    JournalFailed,
    JournalForeign,
    JournalIntact,
    JournalLocked,
    JournalMissing,
)
from exchange.journal.repair import LossReport, accept_loss
from exchange.journal.sqlite import SqliteJournal
from tests.unit.journal.places import batch, batches, crashed_image, fill

WAL = f"{JOURNAL}-wal"
NOW_US = 1_704_067_200_000_000


def chain_after(count: int) -> str:
    """The chain after ``count`` batches, in hex."""
    chain = GENESIS
    for each in batches(count):
        chain = seal(chain, each)[1]
    return chain.hex()


def lose_tail(data: Path) -> None:
    """The log vanishes: the journal ends before head."""
    (data / WAL).unlink()


def damage_middle(data: Path) -> None:
    """The third batch holds something else, in the database and in each copy of its page in the log."""
    for path in data.glob(f"{JOURNAL}*"):
        content = path.read_bytes()
        assert b"7-9;" in content
        path.write_bytes(content.replace(b"7-9;", b"7-8;"))


def lose_head(data: Path) -> None:
    """The journal itself is whole."""
    (data / HEAD).unlink()


def empty_database(data: Path) -> None:
    """The database vanishes, its log does not."""
    (data / JOURNAL).write_bytes(b"")


def lose_database(data: Path) -> None:
    """Only log and head are left."""
    (data / JOURNAL).unlink()


CASES = [
    pytest.param(lose_tail, 5, 15, 24, id="tail"),
    pytest.param(lose_tail, 3, 15, 24, id="tail, more given up"),
    pytest.param(damage_middle, 2, 6, 24, id="middle"),
    pytest.param(lose_head, 8, 24, None, id="head"),
    pytest.param(lose_database, 0, 0, 24, id="database"),
    pytest.param(empty_database, 0, 0, 24, id="database empty"),
]


@pytest.mark.parametrize(("damage", "kept", "verified", "head"), CASES)
async def test_repair(
    tmp_path: Path, damage: Callable[[Path], None], kept: int, verified: int, head: int | None
) -> None:
    """The facts are told, all that was there is put aside, and the journal goes on from what was kept."""
    data = tmp_path / "data"
    await crashed_image(data, 8, checkpointed=5)
    damage(data)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    problems = check(data).problems

    report = accept_loss(data, kept * 3, "the disk was swapped", NOW_US)

    assert report == LossReport(
        after=kept * 3,
        chain=chain_after(kept),
        verified_last=verified,
        head_sequence=head,
        problems=problems,
        set_aside=tuple(
            name
            for original, name in (
                (JOURNAL, "journal.db.damaged-1"),
                (WAL, "journal.db.damaged-1-wal"),
                (HEAD, "head.damaged-1"),
            )
            if original in before
        ),
        reason="the disk was swapped",
        at_us=NOW_US,
    )
    aside = {WAL: "journal.db.damaged-1-wal", JOURNAL: "journal.db.damaged-1", HEAD: "head.damaged-1"}
    for name, content in before.items():
        assert (data / aside[name]).read_bytes() == content
    assert sorted({path.name for path in data.iterdir()} - set(aside.values())) == [HEAD, JOURNAL]

    journal = SqliteJournal.open(data, SystemClock())
    assert (journal.last_sequence, journal.was_clean) == (kept * 3, False)
    await journal.append(batch(kept * 3 + 1, kind=BatchKind.AUDIT))
    await journal.close()
    assert check(data).problems == ()
    for name, content in before.items():
        assert (data / aside[name]).read_bytes() == content


async def test_repair_twice(tmp_path: Path) -> None:
    """Each loss keeps its own evidence."""
    data = tmp_path / "data"
    await crashed_image(data, 4)
    await SqliteJournal.open(data, SystemClock()).close()
    damage_middle(data)
    accept_loss(data, 6, "first", NOW_US)
    lose_head(data)
    report = accept_loss(data, 3, "second", NOW_US)
    assert report.set_aside == ("journal.db.damaged-2",)
    assert {path.name for path in data.glob("*.damaged-*")} >= {
        "journal.db.damaged-1",
        "journal.db.damaged-2",
    }


@pytest.mark.parametrize(
    ("after", "below", "above"),
    [(4, 3, 6), (5, 3, 6), (7, 6, 9), (16, 15, None), (24, 15, None), (99, 15, None)],
)
async def test_repair_boundary(tmp_path: Path, after: int, below: int, above: int | None) -> None:
    """A cut inside a batch, or past what can be read, is refused naming where it can be; nothing changes."""
    data = tmp_path / "data"
    await crashed_image(data, 8, checkpointed=5)
    lose_tail(data)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(JournalBoundary, match=f"after {after}: choose {below}") as caught:
        accept_loss(data, after, "a reason", NOW_US)
    assert (caught.value.below, caught.value.above) == (below, above)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


async def test_repair_intact(tmp_path: Path) -> None:
    """A journal that is not damaged loses nothing, also when the option is left in the start script."""
    data = tmp_path / "data"
    await crashed_image(data, 4, checkpointed=2)
    with pytest.raises(JournalIntact, match="intact up to 12"):
        accept_loss(data, 6, "a reason", NOW_US)
    assert check(data).last_sequence == 12


async def test_repair_refused(tmp_path: Path) -> None:
    """Without a reason, without a journal, beside a running server, for another version."""
    with pytest.raises(ValueError, match="reason"):
        accept_loss(tmp_path, 0, " ", NOW_US)
    with pytest.raises(JournalMissing):
        accept_loss(tmp_path / "absent", 0, "a reason", NOW_US)
    journal = SqliteJournal.open(tmp_path, SystemClock())
    await fill(journal, 1)
    with pytest.raises(JournalLocked):
        accept_loss(tmp_path, 0, "a reason", NOW_US)
    await journal.close()
    connection = apsw.Connection(str(tmp_path / JOURNAL))
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(JournalForeign, match="format 9"):
        accept_loss(tmp_path, 0, "a reason", NOW_US)


STEPS = ("_set_aside", "create", "create_head", "sync")


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("damage", "kept", "verified", "head"), CASES)
async def test_repair_interrupted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
    kept: int,
    verified: int,
    head: int | None,
    step: str,
    finished: bool,
) -> None:
    """Interrupted before or after any step it is refused still; run again it tells the same facts."""
    data = tmp_path / "data"
    await crashed_image(data, 8, checkpointed=5)
    damage(data)
    whole = tmp_path / "whole"
    shutil.copytree(data, whole)
    expected = accept_loss(whole, kept * 3, "a reason", NOW_US)
    original = getattr(repair, step)

    def interrupted(*arguments: object) -> object:
        if finished:
            original(*arguments)
        raise OSError("the power went")

    monkeypatch.setattr(repair, step, interrupted)
    with pytest.raises(JournalFailed, match="power"):
        accept_loss(data, kept * 3, "a reason", NOW_US)
    monkeypatch.undo()
    with pytest.raises(JournalDamaged):
        SqliteJournal.open(data, SystemClock())
    assert accept_loss(data, kept * 3, "a reason", NOW_US) == expected
    assert not (data / REPAIRED).exists()
    assert check(data).last_sequence == kept * 3
