"""What the journal stores: batches of contiguous sequences, each sealed by a checksum and a hash chain."""

from __future__ import annotations

import hashlib
import struct
import zlib
from enum import IntEnum
from typing import Final

from msgspec import Struct

GENESIS: Final = bytes(32)
"""The chain before the first batch."""

_HEADER: Final = struct.Struct("<QQB")


class BatchKind(IntEnum):
    """What the records of a batch are; the journal only tells them apart."""

    COMMANDS = 0
    VOID = 1
    AUDIT = 2


class Batch(Struct, frozen=True, gc=False):
    """One group commit. Sequences start at 1; ``payload`` is opaque to the journal."""

    first_sequence: int
    last_sequence: int
    kind: BatchKind
    payload: bytes


class Head(Struct, frozen=True):
    """How far the journal is known to reach: last sequence, chain there, and whether it was closed."""

    sequence: int
    chain: bytes
    clean: bool


def seal(chain: bytes, batch: Batch) -> tuple[int, bytes]:
    """The CRC-32 of header and payload, and SHA-256 of the chain so far, header and payload.

    The header is first_sequence, last_sequence (u64) and kind (u8), little-endian.
    """
    header = _HEADER.pack(batch.first_sequence, batch.last_sequence, batch.kind)
    checksum = zlib.crc32(batch.payload, zlib.crc32(header))
    return checksum, hashlib.sha256(chain + header + batch.payload).digest()
