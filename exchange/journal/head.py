"""The head file: how far the journal reached, kept beside it because SQLite drops a damaged tail silently.

Two slots, written in turn, so that a torn write leaves the other one. A slot is magic, format, clean,
counter, sequence, chain and a CRC-32 of these.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from exchange.journal.batch import Head
from exchange.journal.files import sync
from exchange.journal.protocol import JournalDamaged, JournalForeign

_MAGIC: Final = b"EXHD"
_FORMAT: Final = 1
_SLOT: Final = struct.Struct("<4sHB1xQQ32s")
_CRC: Final = struct.Struct("<I")
# One page each: no write to the one can tear the other.
_SLOT_BYTES: Final = 4096
_SLOTS: Final = 2


class HeadFile:
    """Reads and writes the slots; every write is on the disk when it returns. Not safe across threads."""

    def __init__(self, path: Path, counter: int) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC)
        self._counter = counter

    def write(self, head: Head) -> None:
        """Overwrite the older slot."""
        self._counter += 1
        slot = _encode(head, self._counter)
        written = os.pwrite(self._descriptor, slot, (self._counter % _SLOTS) * _SLOT_BYTES)
        if written != len(slot):
            raise OSError(f"head: wrote {written} of {len(slot)} bytes")

    def close(self) -> None:
        os.close(self._descriptor)


def begin(path: Path, head: Head) -> HeadFile:
    """Open the head file for a run, creating it if need be, with ``head`` in both slots.

    In both, so that losing one slot later can't bring back the clean stop of an earlier run.
    """
    if not path.exists():
        create(path, head)
    _, counter = _newest(path)
    file = HeadFile(path, counter)
    try:
        for _ in range(_SLOTS):
            file.write(head)
    except OSError:
        file.close()
        raise
    return file


def create(path: Path, head: Head) -> None:
    """A new head file holding ``head``, in place of whatever was there."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_bytes(
        b"".join(_encode(head, counter).ljust(_SLOT_BYTES, b"\0") for counter in range(_SLOTS))
    )
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def read(path: Path) -> Head | None:
    """The newest intact slot, None without a file. Raises JournalDamaged, JournalForeign."""
    if not path.exists():
        return None
    return _newest(path)[0]


def _newest(path: Path) -> tuple[Head, int]:
    content = path.read_bytes()
    slots = [_decode(content[at : at + _SLOT_BYTES]) for at in range(0, _SLOTS * _SLOT_BYTES, _SLOT_BYTES)]
    intact = [slot for slot in slots if slot is not None]
    if not intact:
        raise JournalDamaged(path.name, "neither slot is intact")
    return max(intact, key=lambda slot: slot[1])


def _encode(head: Head, counter: int) -> bytes:
    fields = _SLOT.pack(_MAGIC, _FORMAT, head.clean, counter, head.sequence, head.chain)
    return fields + _CRC.pack(zlib.crc32(fields))


def _decode(slot: bytes) -> tuple[Head, int] | None:
    if len(slot) < _SLOT.size + _CRC.size:
        return None
    fields = slot[: _SLOT.size]
    if _CRC.unpack_from(slot, _SLOT.size) != (zlib.crc32(fields),):
        return None
    magic, version, clean, counter, sequence, chain = _SLOT.unpack(fields)
    if magic != _MAGIC or version != _FORMAT:
        raise JournalForeign(f"head has format {version} of {magic!r}, this program reads {_FORMAT}")
    return Head(sequence, chain, bool(clean)), counter
