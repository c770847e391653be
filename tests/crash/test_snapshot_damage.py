"""Damage anywhere in a snapshot is passed over or has no effect: the journal beside it knows better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from exchange.app import build_core, replay_journal
from exchange.journal import snapshots
from exchange.journal.snapshots import HEADER_BYTES, snapshot_paths
from exchange.pipeline.snapshot import take_snapshot
from tests.support.saved_games import played_batches, write_game
from tests.support.scale import amount, chance, figures, limit_s, seeded
from tests.support.session import digest

MEBIBYTE: Final = 1_048_576
EVERY_BYTE: Final = 4 * MEBIBYTE
"""More than there are."""
FLIPS = amount(200, EVERY_BYTE)
TRUNCATIONS = amount(100, EVERY_BYTE)
COMMANDS = 60


class Patient:
    """A game with one snapshot near its end, to be damaged and healed."""

    def __init__(self, folder: Path) -> None:
        batches = played_batches(1, COMMANDS)
        write_game(folder, batches[:-1])
        assert take_snapshot(folder, build_core) is not None
        write_game(folder, batches[-1:])
        self._folder = folder
        (self._path,) = snapshot_paths(folder)
        self.content = self._path.read_bytes()
        self._expected = self._recovered()[0]

    def survives(self, damaged: bytes) -> bool:
        """Whether a start comes to the same state; False is for one that passed the snapshot over."""
        self._path.write_bytes(damaged)
        found, used = self._recovered()
        assert found == self._expected
        return used

    def _recovered(self) -> tuple[str, bool]:
        recovered = replay_journal(self._folder, snapshots=True)
        return digest(recovered.core, recovered.streams), bool(recovered.snapshot)


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A game that is whole."""
    return Patient(tmp_path)


def _places(size: int, count: int) -> Iterator[int]:
    """Every byte of the header, and ``count`` of the rest at even distances, or all there are."""
    yield from range(HEADER_BYTES)
    rest = size - HEADER_BYTES
    own = min(rest, count)
    yield from (HEADER_BYTES + number * rest // own for number in range(own))


@pytest.mark.timeout(limit_s(240))
def test_snapshot_flips_are_passed_over(patient: Patient) -> None:
    """One bit, in every byte of the header and all over the payload."""
    content, stream = patient.content, chance("snapshot flips")
    tried = used = 0
    for at in _places(len(content), FLIPS):
        with seeded("snapshot flip", at):
            flipped = content[at] ^ 1 << stream.randrange(8)
            used += patient.survives(content[:at] + bytes((flipped,)) + content[at + 1 :])
        tried += 1
    figures("snapshot flips", tried=tried, passed_over=tried - used)
    assert tried >= HEADER_BYTES + min(FLIPS, len(content) - HEADER_BYTES)
    assert used == 0
    assert patient.survives(content)


@pytest.mark.timeout(limit_s(240))
def test_snapshot_truncations_are_passed_over(patient: Patient) -> None:
    """Cut off anywhere, and with something behind its end."""
    content = patient.content
    for length in _places(len(content), TRUNCATIONS):
        assert not patient.survives(content[:length]), length
    assert not patient.survives(content + b"\0")


def test_snapshot_damage_counts_where_no_checksum_is_compared(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a program that trusts what it reads starts with another state."""
    content = patient.content
    digits = [at for at in range(HEADER_BYTES, len(content)) if content[at : at + 1].isdigit()]
    stored = content[HEADER_BYTES - snapshots._CHECKSUM_BYTES : HEADER_BYTES]
    monkeypatch.setattr(snapshots, "_checksum", lambda fields, payload: stored)
    wrong = 0
    for at in digits[:: max(1, len(digits) // 40)]:
        changed = b"1" if content[at : at + 1] != b"1" else b"2"
        try:
            patient.survives(content[:at] + changed + content[at + 1 :])
        except AssertionError:
            wrong += 1
    assert wrong > 0
