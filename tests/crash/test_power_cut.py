"""Power cuts at any operation of a journal's life: what was acknowledged is there, in order, once."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from exchange.base.clock import SystemClock
from exchange.journal import keeper, writer
from exchange.journal.batch import Batch
from exchange.journal.check import check
from exchange.journal.database import Synchronous
from exchange.journal.files import files_in
from exchange.journal.protocol import JournalBehindHead, JournalIntact
from exchange.journal.repair import LossReport, accept_loss
from exchange.journal.sqlite import SqliteJournal
from tests.support.disk import installed
from tests.support.power import LOSSES, Loss, Record, RecordingDisk, cut
from tests.support.scale import amount, chance, figures, limit_s, seeded
from tests.unit.journal.places import batch, crashed_image

CUTS = amount(1_000, 20_000)
CUTS_PER_LIFE = 50
LIVES = 4
"""Of one journal, each from what a power cut left of the life before."""
APPENDS = 30
REPAIR_CUTS = amount(100, 2_000)


@pytest.fixture(autouse=True)
def _busy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head is written all the time, and the log moved into the database every few batches."""
    monkeypatch.setattr(keeper, "HEAD_DELAY_S", 0.0)
    monkeypatch.setattr(writer, "JOURNAL_CHECKPOINT_PAGES", 12)


async def _life(
    directory: Path, stream: random.Random, written: list[Batch], synchronous: Synchronous = "full"
) -> Record:
    """A journal that is opened, filled and closed, twice. ``written`` gets every batch handed over."""
    disk = RecordingDisk(directory)
    with installed(disk, directory):
        for _ in range(2):
            last = written[-1].last_sequence if written else 0
            disk.told(last, last)
            journal = SqliteJournal.open(directory, SystemClock(), synchronous=synchronous)
            for _ in range(APPENDS):
                records, size = stream.randint(1, 40), stream.choice((24, 24, 200, 800))
                written.append(batch(journal.last_sequence + 1, records, size=size))
                disk.told(written[-1].last_sequence, journal.last_sequence)
                await journal.append(written[-1])
                disk.told(journal.last_sequence, journal.last_sequence)
            await journal.close()
    return disk.record


async def _survivors(
    directory: Path, written: list[Batch], record: Record, stream: random.Random, loss: Loss
) -> list[Batch]:
    """What a cut leaves in ``directory``: all that was acknowledged, only what was sent. It goes on."""
    told = cut(record, stream.randint(1, len(record.operations)), loss, stream, directory)
    journal = SqliteJournal.open(directory, SystemClock())
    found = list(journal.read())
    assert found == written[: len(found)]
    assert told.acknowledged <= journal.last_sequence <= told.sent
    following = batch(journal.last_sequence + 1, 2)
    await journal.append(following)
    await journal.close()
    report = check(directory)
    assert (report.problems, report.last_sequence) == ((), following.last_sequence)
    return [*found, following]


@pytest.mark.timeout(limit_s(300))
async def test_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Whatever arrived of what was not flushed, in any order, torn or not; and again and again."""
    left: list[Batch] = []
    operations = 0
    for life in range(CUTS // CUTS_PER_LIFE or 1):
        directory = tmp_path / f"life-{life}"
        if life % LIVES == 0:
            directory.mkdir()
            left = []
        written = list(left)
        with seeded("power cut", life) as stream:
            record = await _life(directory, stream, written)
            operations += len(record.operations)
            image = tmp_path / "cut"
            for _ in range(CUTS_PER_LIFE):
                shutil.rmtree(image, ignore_errors=True)
                left = await _survivors(image, written, record, stream, stream.choice(LOSSES))
        shutil.rmtree(directory)
        if (life + 1) % LIVES:
            image.rename(tmp_path / f"life-{life + 1}")
    figures("power cuts", cuts=CUTS, lives=life + 1, operations=operations)


@pytest.mark.timeout(limit_s(120))
async def test_power_cut_with_synchronous_normal_loses(tmp_path: Path) -> None:
    """The control: where commits are not flushed, what is asked above does not hold, and that is seen."""
    stream = chance("power cut", "normal")
    written: list[Batch] = []
    (tmp_path / "life").mkdir()
    record = await _life(tmp_path / "life", stream, written, "normal")
    lost = 0
    for number in range(30):
        try:
            await _survivors(tmp_path / f"cut-{number}", written, record, stream, "all")
        except (AssertionError, JournalBehindHead):
            lost += 1
    assert lost >= 5


@pytest.mark.parametrize("loss", LOSSES)
async def test_power_cut_after_a_clean_stop(tmp_path: Path, loss: Loss) -> None:
    """Once ``close`` has returned there is nothing left to lose."""
    stream = chance("power cut", "closed", loss)
    written: list[Batch] = []
    (tmp_path / "life").mkdir()
    record = await _life(tmp_path / "life", stream, written)
    cut(record, len(record.operations), loss, stream, tmp_path / "cut")
    report = check(tmp_path / "cut")
    assert (report.problems, report.clean) == ((), True)
    assert report.last_sequence == written[-1].last_sequence


def _again(directory: Path, after: int) -> LossReport | None:
    """The repair as the operator runs it once more after the cut; None when it had come to its end."""
    try:
        return accept_loss(directory, after, "a test", 2)
    except JournalIntact:
        return None


def _evidence(directory: Path) -> set[bytes]:
    return {path.read_bytes() for path in directory.glob("*.damaged-*")}


@pytest.mark.timeout(limit_s(120))
async def test_power_cut_during_a_repair(tmp_path: Path) -> None:
    """A repair that was cut off is refused or done; run again it tells the same and keeps the same."""
    whole = tmp_path / "whole"
    await crashed_image(whole, 12, checkpointed=4, size=200)
    os.truncate(files_in(whole).log, files_in(whole).log.stat().st_size // 2)
    damaged = {path.read_bytes() for path in whole.iterdir()}
    directory = shutil.copytree(whole, tmp_path / "repaired")
    disk = RecordingDisk(directory)
    with installed(disk, directory):
        first = accept_loss(directory, 9, "a test", 1)
    record = disk.record
    outcomes = set()
    for number in range(REPAIR_CUTS):
        image = tmp_path / f"cut-{number}"
        with seeded("repair", number) as stream:
            at = stream.randint(number % 2 * len(record.operations), len(record.operations))
            cut(record, at, stream.choice(LOSSES), stream, image)
            refused = check(image).problems != ()
            second = _again(image, 9)
            outcomes.add((refused, at == len(record.operations)))
            assert refused == (second is not None)
            if second is not None:
                assert (second.verified_last, second.head_sequence) == (first.verified_last, 36)
                assert first.problems[0] in second.problems
            assert _evidence(image) == damaged
            journal = SqliteJournal.open(image, SystemClock())
            assert [each.last_sequence for each in journal.read()] == [3, 6, 9]
            await journal.close()
    assert {(True, False), (False, True)} <= outcomes
    assert (True, True) not in outcomes
