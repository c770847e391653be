"""Recovery from snapshots: the same state as a replay of all, and none is used that does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from exchange.app import build_core, replay_journal
from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.protocol import JournalMissing
from exchange.journal.records import decode_batch, encode_batch
from exchange.journal.repair import accept_loss
from exchange.journal.snapshots import snapshot_paths
from exchange.journal.sqlite import SqliteJournal
from exchange.model.commands import Configuration, NewOrder, NoteConfiguration, Record, Void
from exchange.pipeline import recovery, snapshot
from exchange.pipeline.recovery import Recovered, SnapshotUnfit, note_operator_act
from exchange.pipeline.snapshot import look_at_snapshots, take_snapshot
from exchange.pipeline.state import load_state
from tests.support.saved_games import played_batches, write_game
from tests.support.session import digest

BATCHES = played_batches(1)
OTHERS = played_batches(2)
HALF = len(BATCHES) // 2


def _two_snapshots(folder: Path) -> None:
    """A game with a snapshot after each half, and the last batch after both."""
    write_game(folder, BATCHES[:HALF])
    assert take_snapshot(folder, build_core) is not None
    write_game(folder, BATCHES[HALF:-1])
    assert take_snapshot(folder, build_core) is not None
    write_game(folder, BATCHES[-1:])


def _from_snapshots(folder: Path, until: int | None = None) -> Recovered:
    return replay_journal(folder, until=until, snapshots=True)


def _check_same(found: Recovered, folder: Path, until: int | None = None) -> None:
    whole = replay_journal(folder, until=until)
    assert whole.snapshot == 0
    assert digest(found.core, found.streams) == digest(whole.core, whole.streams)


def test_recovery_from_a_snapshot_is_that_of_the_whole_journal(tmp_path: Path) -> None:
    """The newest is taken; only what came after is replayed; state and streams are the same."""
    _two_snapshots(tmp_path)
    found = _from_snapshots(tmp_path)
    assert found.snapshot == BATCHES[-2].last_sequence
    assert found.records == BATCHES[-1].last_sequence - found.snapshot
    assert found.passed_over == ()
    _check_same(found, tmp_path)


def test_recovery_until_takes_the_nearest_snapshot_before(tmp_path: Path) -> None:
    """Between the two the older, before both none, at a snapshot's own sequence that one."""
    _two_snapshots(tmp_path)
    newer, older = BATCHES[-2].last_sequence, BATCHES[HALF - 1].last_sequence
    for until, expected in ((newer, newer), (newer - 1, older), (older, older), (older - 1, 0)):
        found = _from_snapshots(tmp_path, until)
        assert found.snapshot == expected
        assert found.core.admission.last_sequence == until
        _check_same(found, tmp_path, until)


def test_snapshot_is_taken_from_the_one_before(tmp_path: Path) -> None:
    """Only the tail is replayed for it; where there is none, none is taken."""
    _two_snapshots(tmp_path)
    taken = take_snapshot(tmp_path, build_core)
    assert taken is not None
    assert (taken.based_on, taken.replayed) == (
        BATCHES[-2].last_sequence,
        BATCHES[-1].last_sequence - BATCHES[-2].last_sequence,
    )
    assert taken.state_hash == replay_journal(tmp_path).core.state_hash()
    assert take_snapshot(tmp_path, build_core) is None


def test_snapshot_needs_a_game(tmp_path: Path) -> None:
    """No journal, and one without records."""
    with pytest.raises(JournalMissing):
        take_snapshot(tmp_path, build_core)
    write_game(tmp_path, [])
    with pytest.raises(JournalMissing, match="no game"):
        take_snapshot(tmp_path, build_core)


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", [1, 2])
def test_recovery_passes_over_damaged_snapshots(tmp_path: Path, damaged: int) -> None:
    """To the older one, and then to the whole journal; each is named with what is wrong."""
    _two_snapshots(tmp_path)
    paths = snapshot_paths(tmp_path)
    for path in paths[:damaged]:
        _damage(path)
    found = _from_snapshots(tmp_path)
    assert found.snapshot == (BATCHES[HALF - 1].last_sequence if damaged == 1 else 0)
    assert [why.partition(":")[0] for why in found.passed_over] == [path.name for path in paths[:damaged]]
    assert all("checksum" in why for why in found.passed_over)
    _check_same(found, tmp_path)


def _passed_over(tmp_path: Path, batches: Sequence[Batch], wanted: str) -> None:
    """A snapshot of another game, put into that of ``batches``, is not used."""
    write_game(tmp_path / "other", BATCHES)
    take_snapshot(tmp_path / "other", build_core)
    write_game(tmp_path / "game", batches)
    (tmp_path / "other" / "snapshots").rename(tmp_path / "game" / "snapshots")
    found = _from_snapshots(tmp_path / "game")
    assert found.snapshot == 0
    (why,) = found.passed_over
    assert wanted in why
    _check_same(found, tmp_path / "game")


def test_recovery_passes_over_the_snapshot_of_another_journal(tmp_path: Path) -> None:
    """The same rules, and even the same last sequence, but another chain."""
    _passed_over(tmp_path, OTHERS, "another journal")


def test_recovery_passes_over_a_snapshot_beyond_the_end(tmp_path: Path) -> None:
    """The journal is that of the snapshot, and was cut before it."""
    _passed_over(tmp_path, BATCHES[:-1], "another journal")


def test_recovery_passes_over_the_snapshot_of_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version with other rules replays everything by them."""
    write_game(tmp_path, BATCHES)
    take_snapshot(tmp_path, build_core)
    monkeypatch.setattr(recovery, "code_digest", lambda: b"x" * 16)
    found = _from_snapshots(tmp_path)
    assert found.snapshot == 0
    assert "another version" in found.passed_over[0]


def test_recovery_passes_over_the_snapshot_of_other_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal begins with its rules, so this is a chain of another game too: named for what it is."""
    write_game(tmp_path, BATCHES)
    take_snapshot(tmp_path, build_core)
    monkeypatch.setattr(recovery, "rules_digest", lambda rules: b"x" * 16)
    assert "other rules" in _from_snapshots(tmp_path).passed_over[0]


def test_recovery_passes_over_a_snapshot_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a service makes of it: the journal knows better."""
    write_game(tmp_path, BATCHES)
    take_snapshot(tmp_path, build_core)

    def fail(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(recovery, "load_state", fail)
    found = _from_snapshots(tmp_path)
    assert "planted" in found.passed_over[0]
    _check_same(found, tmp_path)


async def _void(folder: Path, sequence: int) -> None:
    journal = SqliteJournal.open(folder, SystemClock())
    await note_operator_act(journal, Void(sequence, "test"), SystemClock())
    await journal.close()


def test_recovery_passes_over_a_snapshot_that_holds_what_was_voided_since(tmp_path: Path) -> None:
    """The voided order is in the newer one; the older one, from before that order, is used."""
    _two_snapshots(tmp_path)
    records = [record for batch in BATCHES[HALF:-1] for record in decode_batch(batch)]
    order = next(record.sequence for record in records if isinstance(record.command, NewOrder))
    asyncio.run(_void(tmp_path, order))
    found = _from_snapshots(tmp_path)
    assert found.snapshot == BATCHES[HALF - 1].last_sequence
    assert "voided" in found.passed_over[0]
    assert found.core.register.get(order) is None
    _check_same(found, tmp_path)
    assert take_snapshot(tmp_path, build_core) is not None
    assert _from_snapshots(tmp_path).records == 0


def test_recovery_after_an_accepted_loss_passes_over_the_lost_tail(tmp_path: Path) -> None:
    """The newer snapshot knows what was given up: not even when the journal has grown past it again."""
    _two_snapshots(tmp_path)
    (tmp_path / "head").unlink()
    kept, newer = BATCHES[HALF].last_sequence, BATCHES[-2].last_sequence
    accept_loss(tmp_path, kept, "test", 0)
    time_us = decode_batch(BATCHES[-1])[-1].timestamp_us
    note = NoteConfiguration(Configuration("1", "", "{}"))
    for grown in ([], [Record(sequence, time_us, note) for sequence in range(kept + 1, newer + 1)]):
        if grown:
            write_game(tmp_path, [encode_batch(grown)])
        found = _from_snapshots(tmp_path)
        assert found.snapshot == BATCHES[HALF - 1].last_sequence
        assert "another journal" in found.passed_over[0]
        _check_same(found, tmp_path)


def test_recovery_that_fails_stands_before_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind a snapshot; and of a game that does not replay no snapshot is taken."""
    _two_snapshots(tmp_path)
    last = BATCHES[-1].last_sequence

    def poisoned(core: object, record: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("exchange.pipeline.core.Core.replay", poisoned)
    found = _from_snapshots(tmp_path)
    assert found.failure is not None
    assert found.failure.sequence == BATCHES[-2].last_sequence + 1 <= last
    assert found.core.admission.last_sequence == found.snapshot == BATCHES[-2].last_sequence
    with pytest.raises(SnapshotUnfit, match="replay fails"):
        take_snapshot(tmp_path, build_core)


def test_snapshot_that_loads_to_another_state_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that forgets something when it is loaded is found out before anyone relies on it."""
    write_game(tmp_path, BATCHES)

    def forgetful(payload: bytes, *others: object) -> None:
        load_state(payload, *others)  # type: ignore[arg-type]
        others[0].ledger.load({0: others[0].ledger.snapshot()[0]})  # type: ignore[attr-defined]

    monkeypatch.setattr(snapshot, "load_state", forgetful)
    with pytest.raises(SnapshotUnfit, match="another state"):
        take_snapshot(tmp_path, build_core)
    assert snapshot_paths(tmp_path) == []


def test_look_at_snapshots_tells_each_one(tmp_path: Path) -> None:
    """Newest first, with what is wrong with it."""
    _two_snapshots(tmp_path)
    _damage(snapshot_paths(tmp_path)[1])
    newer, older = look_at_snapshots(tmp_path)
    assert (newer.sequence, newer.problem) == (BATCHES[-2].last_sequence, None)
    assert newer.state_hash == replay_journal(tmp_path, until=newer.sequence).core.state_hash()
    assert older.state_hash is None
    assert older.problem is not None
