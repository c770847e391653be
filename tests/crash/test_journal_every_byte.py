"""Damage anywhere in a large journal, its log and its head is refused or has no effect."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.files import HEAD, JOURNAL
from exchange.journal.protocol import JournalError
from exchange.journal.sqlite import SqliteJournal
from tests.crash.test_journal_damage import WAL, batches_in, survives
from tests.support.scale import amount, chance, figures, limit_s
from tests.unit.journal.places import batch, crashed_image, fill

MEBIBYTE = 1_048_576
EVERY_BYTE = 4 * MEBIBYTE
"""More than there are."""
FLIPS = amount(1_400, EVERY_BYTE)
TRUNCATIONS = amount(300, EVERY_BYTE)
BATCHES = 260
CHECKPOINTED = 140
RECORDS_BYTES = 1_200
COMMITS = amount(300, 10_000)
FILES = (JOURNAL, WAL, HEAD)


@pytest.fixture
async def image(tmp_path: Path) -> Path:
    """What a crash left, more than 1 MiB of it: half in the database, half in the log, all known to head."""
    directory = tmp_path / "image"
    await crashed_image(directory, BATCHES, checkpointed=CHECKPOINTED, size=RECORDS_BYTES)
    assert sum(_size(directory, name) for name in FILES) > MEBIBYTE
    return directory


def _size(directory: Path, name: str) -> int:
    return (directory / name).stat().st_size


def _places(directory: Path, count: int) -> Iterator[tuple[str, int]]:
    """``count`` bytes at even distances over all files, and some of each; every byte if there are no more."""
    total = sum(_size(directory, name) for name in FILES)
    for name in FILES:
        size = _size(directory, name)
        own = min(size, max(count // 20, count * size // total + 1))
        for number in range(own):
            yield name, number * size // own


class _Patient:
    """A copy of ``image`` that is damaged and, as long as that is refused, healed again."""

    def __init__(self, image: Path, directory: Path) -> None:
        self._image = image
        self._directory = directory
        self._expected: list[Batch] = batches_in(image)
        self._copy()

    async def survives(self, name: str, at: int, damaged: bytes) -> bool:
        """With ``damaged`` from ``at`` on; False when it is refused and nothing was written then."""
        path = self._directory / name
        healthy = _exchange(path, at, damaged)
        if await survives(self._directory, self._expected):
            shutil.rmtree(self._directory)
            self._copy()
            return True
        assert _exchange(path, at, healthy) == damaged
        return False

    def _copy(self) -> None:
        shutil.copytree(self._image, self._directory)


def _exchange(path: Path, at: int, content: bytes) -> bytes:
    """Put ``content`` in place of as many bytes, or of all that follow if it is empty; give those."""
    with path.open("r+b") as file:
        file.seek(at)
        before = file.read(len(content) or -1)
        file.seek(at)
        file.write(content)
        if not content:
            file.truncate()
        return before


@pytest.mark.timeout(limit_s(240))
async def test_journal_flips_all_over(tmp_path: Path, image: Path) -> None:
    """One bit, at even distances all over the three files or in every byte of them."""
    patient = _Patient(image, tmp_path / "patient")
    content = {name: (image / name).read_bytes() for name in FILES}
    stream = chance("flips")
    tried = refused = 0
    for name, at in _places(image, FLIPS):
        bit = stream.randrange(8)
        with _named(f"bit {bit} of byte {at} of {name}"):
            refused += not await patient.survives(name, at, bytes((content[name][at] ^ 1 << bit,)))
        tried += 1
    figures("flips", tried=tried, refused=refused, without_effect=tried - refused)
    assert tried >= min(FLIPS, MEBIBYTE)
    assert tried // 4 < refused < tried


@pytest.mark.timeout(limit_s(240))
async def test_journal_truncations_all_over(tmp_path: Path, image: Path) -> None:
    """Each file cut off at lengths all over it, or at every one."""
    patient = _Patient(image, tmp_path / "patient")
    tried = refused = 0
    for name, length in _places(image, TRUNCATIONS):
        with _named(f"{name} cut to {length} bytes"):
            refused += not await patient.survives(name, length, b"")
        tried += 1
    figures("truncations", tried=tried, refused=refused, without_effect=tried - refused)
    assert tried >= min(TRUNCATIONS, MEBIBYTE)
    assert tried // 2 < refused


@contextmanager
def _named(case: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(case)
        raise


async def test_journal_truncations_without_head(tmp_path: Path, image: Path) -> None:
    """The control: compared with a head that knows nothing, cut logs go unnoticed."""
    journal = SqliteJournal.open(tmp_path / "empty", SystemClock())
    unnoticed = 0
    for number in range(20):
        directory = shutil.copytree(image, tmp_path / f"{number}")
        os.truncate(directory / WAL, _size(image, WAL) * number // 20)
        shutil.copy(tmp_path / "empty" / HEAD, directory / HEAD)
        try:
            opened = SqliteJournal.open(directory, SystemClock())
        except JournalError:
            continue
        unnoticed += opened.last_sequence < 3 * BATCHES
        await opened.close()
    await journal.close()
    assert unnoticed == 20


async def test_journal_head_is_younger_than_100_ms(tmp_path: Path) -> None:
    """How long ago the oldest batch was acknowledged that head does not know: what may be lost unnoticed."""
    journal = SqliteJournal.open(tmp_path, SystemClock())
    acknowledged: list[tuple[int, float]] = []
    ages: list[float] = []
    oldest = 0
    for _ in range(COMMITS):
        await fill(journal, 1)
        acknowledged.append((journal.last_sequence, time.perf_counter()))
        while oldest < len(acknowledged) and acknowledged[oldest][0] <= journal.statistics().head_sequence:
            oldest += 1
        if oldest < len(acknowledged):
            ages.append(time.perf_counter() - acknowledged[oldest][1])
    await journal.append(batch(journal.last_sequence + 1))
    await journal.close()
    ages.sort()
    figures("head", median_age_s=ages[len(ages) // 2], oldest_s=ages[-1])
    assert ages[len(ages) * 9 // 10] < 0.1
