from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from exchange.journal.batch import GENESIS, Head
from exchange.journal.head import begin, create, read
from exchange.journal.protocol import JournalDamaged, JournalForeign

SLOT_BYTES = 4096
FIRST = Head(0, GENESIS, clean=False)
SECOND = Head(7, bytes([7]) * 32, clean=False)
LAST = Head(9, bytes([9]) * 32, clean=True)


def test_head_missing(tmp_path: Path) -> None:
    """Without a file there is no head."""
    assert read(tmp_path / "head") is None


def test_head_newest(tmp_path: Path) -> None:
    """The last one written is read, whichever slot it is in, by the next run too."""
    path = tmp_path / "head"
    file = begin(path, FIRST)
    assert read(path) == FIRST
    for head in (SECOND, LAST, SECOND, LAST):
        file.write(head)
        assert read(path) == head
    file.close()
    assert read(path) == LAST
    begin(path, SECOND).close()
    assert read(path) == SECOND


def test_head_size(tmp_path: Path) -> None:
    """The file never grows."""
    path = tmp_path / "head"
    file = begin(path, FIRST)
    for _ in range(5):
        file.write(LAST)
    file.close()
    assert path.stat().st_size == 2 * SLOT_BYTES
    assert [found.name for found in tmp_path.iterdir()] == ["head"]


def test_head_torn_write(tmp_path: Path) -> None:
    """A write cut off after any number of bytes leaves the head before it, or the new one."""
    path = tmp_path / "head"
    file = begin(path, FIRST)
    file.write(SECOND)
    before = path.read_bytes()
    file.write(LAST)
    file.close()
    after = path.read_bytes()
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    for at in changed:
        path.write_bytes(after[:at] + before[at:])
        assert read(path) == SECOND
    path.write_bytes(after[: changed[-1] + 1] + before[changed[-1] + 1 :])
    assert read(path) == LAST


def test_head_one_slot_damaged(tmp_path: Path) -> None:
    """Losing the newest slot of a running journal brings back an older head, never an earlier clean stop."""
    path = tmp_path / "head"
    file = begin(path, FIRST)
    file.write(LAST)
    file.close()
    begin(path, Head(9, LAST.chain, clean=False)).close()
    content = path.read_bytes()
    for slot in range(2):
        damaged = bytearray(content)
        damaged[slot * SLOT_BYTES + 20] ^= 1
        path.write_bytes(damaged)
        assert read(path) == Head(9, LAST.chain, clean=False)


@pytest.mark.parametrize("content", [b"", b"x" * 100, bytes(2 * SLOT_BYTES)])
def test_head_both_slots_damaged(tmp_path: Path, content: bytes) -> None:
    """With no slot left there is nothing to trust."""
    path = tmp_path / "head"
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="neither slot"):
        read(path)


def test_head_replaced(tmp_path: Path) -> None:
    """A new head file takes the place of a damaged one."""
    path = tmp_path / "head"
    path.write_bytes(b"")
    create(path, SECOND)
    assert read(path) == SECOND


def test_head_newer_format(tmp_path: Path) -> None:
    """A head of a newer version is not taken for a damaged one."""
    path = tmp_path / "head"
    create(path, FIRST)
    content = bytearray(path.read_bytes())
    for at in (0, SLOT_BYTES):
        struct.pack_into("<H", content, at + 4, 2)
        struct.pack_into("<I", content, at + 56, zlib.crc32(content[at : at + 56]))
    path.write_bytes(content)
    with pytest.raises(JournalForeign, match="format 2"):
        read(path)
