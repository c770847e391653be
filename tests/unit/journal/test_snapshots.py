"""Snapshot files: whole or not at all, two of them, and no damage goes unnoticed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from exchange.base.bounds import SNAPSHOT_WRITE_BYTES, SNAPSHOTS_KEPT
from exchange.journal.files import SNAPSHOTS
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalDamaged, JournalError, JournalForeign, JournalLocked
from exchange.journal.snapshots import (
    HEADER_BYTES,
    Snapshot,
    SnapshotHead,
    read_snapshot,
    sequence_of,
    snapshot_paths,
    write_snapshot,
)

PAYLOAD = b"the state of a game"


def _head(sequence: int = 7) -> SnapshotHead:
    return SnapshotHead(sequence, 1_000, b"c" * 32, b"r" * 16, b"p" * 16, b"s" * 16)


def _accept(found: Snapshot) -> None:
    pass


def _write(folder: Path, sequence: int = 7, payload: bytes = PAYLOAD) -> Path:
    return write_snapshot(folder, _head(sequence), payload, _accept)


@pytest.mark.parametrize("payload", [b"", PAYLOAD, bytes(2 * SNAPSHOT_WRITE_BYTES + 1)])
def test_snapshot_reads_as_it_was_written(tmp_path: Path, payload: bytes) -> None:
    """Head and payload, whatever the size; the name is the sequence."""
    path = _write(tmp_path, 7, payload)
    assert read_snapshot(path) == Snapshot(_head(7), payload)
    assert (path.parent.name, sequence_of(path)) == (SNAPSHOTS, 7)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_snapshot_with_any_bit_flipped_is_refused(tmp_path: Path) -> None:
    """Every byte of header and payload."""
    path = _write(tmp_path)
    content = path.read_bytes()
    assert len(content) == HEADER_BYTES + len(PAYLOAD)
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        with pytest.raises((JournalDamaged, JournalForeign)):
            read_snapshot(path)


def test_snapshot_cut_anywhere_or_longer_is_refused(tmp_path: Path) -> None:
    """A torn file, an empty one, one with something behind its end, none at all."""
    path = _write(tmp_path)
    content = path.read_bytes()
    for torn in (*(content[:length] for length in range(len(content))), content + b"x"):
        path.write_bytes(torn)
        with pytest.raises(JournalDamaged):
            read_snapshot(path)
    path.unlink()
    with pytest.raises(JournalDamaged, match="can't be read"):
        read_snapshot(path)


def test_snapshot_under_another_name_is_refused(tmp_path: Path) -> None:
    """A copy does not become that of another sequence."""
    path = _write(tmp_path, 7)
    other = path.with_name(path.name.replace("7", "8"))
    path.rename(other)
    with pytest.raises(JournalDamaged, match="that of sequence 7"):
        read_snapshot(other)


def test_snapshots_are_kept_two_at_a_time(tmp_path: Path) -> None:
    """The newest; strange files beside them are let alone."""
    for sequence in (5, 20, 100, 1_000):
        _write(tmp_path, sequence)
    (tmp_path / SNAPSHOTS / "notes.txt").write_text("mine")
    assert [sequence_of(path) for path in snapshot_paths(tmp_path)] == [1_000, 100]
    assert SNAPSHOTS_KEPT == 2
    _write(tmp_path, 2_000)
    assert (tmp_path / SNAPSHOTS / "notes.txt").exists()


def test_snapshots_beyond_the_end_of_the_journal_go_first(tmp_path: Path) -> None:
    """After a loss was accepted, those of the lost tail must not push out the ones that hold."""
    for sequence in (10, 500, 600):
        _write(tmp_path, sequence)
    _write(tmp_path, 20)
    _write(tmp_path, 30)
    assert [sequence_of(path) for path in snapshot_paths(tmp_path)] == [30, 20]


def test_snapshot_that_is_not_verified_leaves_nothing(tmp_path: Path) -> None:
    """What ``verify`` raises comes through, and the older ones stay."""
    _write(tmp_path, 5)

    def refuse(found: Snapshot) -> None:
        assert found == Snapshot(_head(7), PAYLOAD)
        assert [sequence_of(path) for path in snapshot_paths(tmp_path)] == [5]
        raise msgspec.DecodeError("planted")

    with pytest.raises(msgspec.DecodeError, match="planted"):
        write_snapshot(tmp_path, _head(7), PAYLOAD, refuse)
    assert [path.name for path in (tmp_path / SNAPSHOTS).iterdir()] == ["0000000000000005.snapshot"]


def test_snapshot_clears_away_what_a_crash_left(tmp_path: Path) -> None:
    """An unfinished file is never read, and gone with the next."""
    folder = tmp_path / SNAPSHOTS
    folder.mkdir()
    (folder / "0000000000000006.snapshot.new").write_bytes(b"half")
    assert snapshot_paths(tmp_path) == []
    _write(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["0000000000000007.snapshot"]


def test_snapshots_are_written_one_at_a_time(tmp_path: Path) -> None:
    """A second process is turned away; one that died holds nobody up."""
    (tmp_path / SNAPSHOTS).mkdir()
    with DirectoryLock(tmp_path / SNAPSHOTS), pytest.raises(JournalLocked):
        _write(tmp_path)
    assert isinstance(JournalLocked(tmp_path), JournalError)
    _write(tmp_path)
