"""Snapshot files: a state and the place in the journal that it is the state of. The state is opaque here.

A file is a header of fixed size and the payload. Whole or not at all, synced, then renamed to its name, which
is its sequence. Nothing in a file is trusted before its checksum, and none whose chain the journal lacks.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from exchange.base.bounds import SNAPSHOT_WRITE_BYTES, SNAPSHOTS_KEPT
from exchange.journal.files import SNAPSHOTS, sync
from exchange.journal.lock import DirectoryLock
from exchange.journal.protocol import JournalDamaged, JournalForeign

_MAGIC: Final = b"EXSN"
_FORMAT: Final = 1
_FIELDS: Final = struct.Struct("<4sH2xQQQ32s16s16s16s")
_CHECKSUM_BYTES: Final = 32
HEADER_BYTES: Final = _FIELDS.size + _CHECKSUM_BYTES
_SUFFIX: Final = ".snapshot"
_UNFINISHED: Final = ".new"
_DIGITS: Final = 16


class SnapshotHead(Struct, frozen=True):
    """What a snapshot is of. ``chain`` is the journal's after ``sequence``, the end of one of its batches.

    ``rules``, ``code`` and ``state_hash`` are digests of 16 bytes: of the game's rules, of the program that
    made it, and of the state.
    """

    sequence: int
    timestamp_us: int
    chain: bytes
    rules: bytes
    code: bytes
    state_hash: bytes


class Snapshot(Struct, frozen=True):
    """One file, read and verified."""

    head: SnapshotHead
    payload: bytes


def snapshot_paths(data_dir: Path) -> list[Path]:
    """The snapshot files of a game, newest first."""
    return sorted((data_dir / SNAPSHOTS).glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}"), reverse=True)


def sequence_of(path: Path) -> int:
    """As the name of a snapshot file tells it."""
    return int(path.name.removesuffix(_SUFFIX))


def read_snapshot(path: Path) -> Snapshot:
    """Read and verify one file. Raises JournalDamaged, JournalForeign for the format of another program."""
    return _read(path, sequence_of(path))


def write_snapshot(
    data_dir: Path, head: SnapshotHead, payload: bytes, verify: Callable[[Snapshot], None]
) -> Path:
    """Write, read again, ``verify`` what was read, and only then give it its name; keeps the newest ones.

    One at a time for each game: raises JournalLocked, and JournalDamaged, OSError or what ``verify`` raises;
    then nothing is left and the older ones stay.
    """
    folder = data_dir / SNAPSHOTS
    folder.mkdir(exist_ok=True)
    path = folder / f"{head.sequence:0{_DIGITS}}{_SUFFIX}"
    unfinished = path.with_name(path.name + _UNFINISHED)
    with DirectoryLock(folder):
        try:
            for left in folder.glob(f"*{_UNFINISHED}"):
                left.unlink()
            _write(unfinished, head, payload)
            verify(_read(unfinished, head.sequence))
            unfinished.rename(path)
            sync(folder)
        finally:
            unfinished.unlink(missing_ok=True)
        _prune(data_dir, head.sequence)
    sync(data_dir)
    return path


def _prune(data_dir: Path, newest: int) -> None:
    # One beyond the end of the journal is of a tail that was given up: it must not push out a good one.
    paths = snapshot_paths(data_dir)
    beyond = [path for path in paths if sequence_of(path) > newest]
    for path in (*beyond, *paths[len(beyond) :][SNAPSHOTS_KEPT:]):
        path.unlink()


def _read(path: Path, sequence: int) -> Snapshot:
    try:
        with path.open("rb") as file:
            header, payload = file.read(HEADER_BYTES), file.read()
    except OSError as error:
        raise JournalDamaged(path.name, f"it can't be read: {error.strerror}") from error
    if len(header) < HEADER_BYTES:
        raise JournalDamaged(path.name, f"it has {len(header)} bytes")
    fields = header[: _FIELDS.size]
    magic, version, found, timestamp_us, length, *digests = _FIELDS.unpack(fields)
    if magic != _MAGIC:
        raise JournalDamaged(path.name, "it does not begin as a snapshot does")
    if header[_FIELDS.size :] != _checksum(fields, payload):
        raise JournalDamaged(path.name, "its checksum is not the one that was written")
    if version != _FORMAT:
        raise JournalForeign(f"{path.name} has format {version}, this program reads {_FORMAT}")
    if (found, length) != (sequence, len(payload)):
        raise JournalDamaged(path.name, f"it is that of sequence {found}, with {length} bytes")
    return Snapshot(SnapshotHead(found, timestamp_us, *digests), payload)


def _write(path: Path, head: SnapshotHead, payload: bytes) -> None:
    fields = _FIELDS.pack(
        *(_MAGIC, _FORMAT, head.sequence, head.timestamp_us, len(payload)),
        *(head.chain, head.rules, head.code, head.state_hash),
    )
    view = memoryview(payload)
    with path.open("xb") as file:
        file.write(fields + _checksum(fields, payload))
        # Flushed in pieces: one flush of it all would hold up the commits of the journal beside it.
        for first in range(0, len(payload), SNAPSHOT_WRITE_BYTES):
            file.write(view[first : first + SNAPSHOT_WRITE_BYTES])
            file.flush()
            os.fdatasync(file.fileno())
        file.flush()
        os.fsync(file.fileno())


def _checksum(fields: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(fields)
    digest.update(payload)
    return digest.digest()
