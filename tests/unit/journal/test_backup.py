"""Backups: verified copies, from a running journal too; restoring overwrites nothing and trusts nothing."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import msgspec
import pytest

from exchange.app import build_core, replay_journal
from exchange.base.clock import SystemClock
from exchange.journal.backup import (
    MANIFEST,
    BackupRefused,
    FileDigest,
    Manifest,
    back_up,
    restore,
    verify_backup,
)
from exchange.journal.check import check
from exchange.journal.files import HEAD, JOURNAL
from exchange.journal.protocol import JournalBehindHead, JournalDamaged, JournalError, JournalMissing
from exchange.journal.snapshots import snapshot_paths
from exchange.journal.sqlite import SqliteJournal
from exchange.pipeline.snapshot import take_snapshot
from tests.support.saved_games import played_batches, write_game
from tests.unit.journal.places import batch, fill, head_caught_up

BATCHES = played_batches(1)
LAST = BATCHES[-1].last_sequence
TARGETS = ("folder", "file.tar", "file.tar.gz", "file.tgz")


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """A stopped game with a snapshot."""
    folder = tmp_path / "game"
    write_game(folder, BATCHES)
    take_snapshot(folder, build_core)
    return folder


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", TARGETS)
def test_backup_and_restore_give_the_same_game(game: Path, tmp_path: Path, target: str) -> None:
    """Journal, head and snapshots, byte for byte where they are files of ours; the state is the same."""
    (game / "admin.key").write_text("itg_secret_of_the_operator\n")
    manifest = back_up(game, tmp_path / target, 5)
    assert (manifest.sequence, manifest.made_at_us, manifest.clean) == (LAST, 5, True)
    assert restore(tmp_path / target, tmp_path / "again") == manifest
    assert _names(tmp_path / "again") == _names(game) - {"admin.key"}
    assert check(tmp_path / "again") == check(game)
    found = replay_journal(tmp_path / "again", snapshots=True)
    assert (found.snapshot, found.passed_over) == (LAST, ())
    assert found.core.state_hash() == replay_journal(game).core.state_hash()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("target", ["folder", "file.tar"])
async def test_backup_of_a_running_journal_has_what_was_durable(tmp_path: Path, target: str) -> None:
    """Also what is in the log alone; the server goes on, and the copy is one that was not stopped."""
    journal = SqliteJournal.open(tmp_path / "game", SystemClock())
    await fill(journal, 40, size=2_000)
    manifest = back_up(tmp_path / "game", tmp_path / target, 0)
    assert (manifest.sequence, manifest.clean) == (journal.last_sequence, False)
    await journal.append(batch(journal.last_sequence + 1, 5))
    await journal.close()
    restore(tmp_path / target, tmp_path / "again")
    copy = SqliteJournal.open(tmp_path / "again", SystemClock())
    assert (copy.last_sequence, copy.was_clean) == (manifest.sequence, False)
    assert list(copy.read()) == list(journal.read())[:-1]
    await copy.close()


def test_backup_overwrites_nothing(game: Path, tmp_path: Path) -> None:
    """Neither a folder nor a file, not even an empty one."""
    (tmp_path / "there").mkdir()
    (tmp_path / "file.tar").touch()
    for target in ("there", "file.tar"):
        with pytest.raises(BackupRefused, match="nothing is overwritten"):
            back_up(game, tmp_path / target, 0)


def test_backup_needs_a_journal(tmp_path: Path) -> None:
    """A mistyped folder is named, and no target is made."""
    with pytest.raises(JournalMissing):
        back_up(tmp_path / "absent", tmp_path / "backup", 0)
    assert list(tmp_path.iterdir()) == []


def test_backup_of_a_damaged_journal_is_refused(game: Path, tmp_path: Path) -> None:
    """A copy of damage is no backup: it is named, and nothing is left."""
    content = bytearray((game / JOURNAL).read_bytes())
    content[content.rindex(b"session")] ^= 1
    (game / JOURNAL).write_bytes(content)
    with pytest.raises(JournalDamaged):
        back_up(game, tmp_path / "backup", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["game"]


async def test_backup_notices_a_journal_that_ends_before_its_head(tmp_path: Path) -> None:
    """The head of the original is what the copy is held against."""
    journal = SqliteJournal.open(tmp_path / "long", SystemClock())
    await fill(journal, 5)
    await head_caught_up(journal)
    await journal.close()
    short = SqliteJournal.open(tmp_path / "short", SystemClock())
    await fill(short, 4)
    await short.close()
    shutil.copy(tmp_path / "long" / HEAD, tmp_path / "short" / HEAD)
    with pytest.raises(JournalBehindHead):
        back_up(tmp_path / "short", tmp_path / "backup", 0)


def test_backup_leaves_out_a_damaged_snapshot(game: Path, tmp_path: Path) -> None:
    """The journal has everything; a snapshot that would be passed over is not worth keeping."""
    (path,) = snapshot_paths(game)
    path.write_bytes(path.read_bytes()[:-1])
    assert set(back_up(game, tmp_path / "backup", 0).files) == {JOURNAL, HEAD}


def test_backup_tells_its_progress(game: Path, tmp_path: Path) -> None:
    """Pages done, of all pages."""
    told: list[tuple[int, int]] = []
    back_up(game, tmp_path / "backup", 0, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0


def test_restore_overwrites_nothing(game: Path, tmp_path: Path) -> None:
    """An empty folder may be there, another game not."""
    back_up(game, tmp_path / "backup", 0)
    with pytest.raises(BackupRefused, match="not empty"):
        restore(tmp_path / "backup", game)
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "backup", tmp_path / "empty")
    assert check(tmp_path / "empty").problems == ()


@pytest.mark.parametrize("name", [JOURNAL, HEAD, "snapshots"])
def test_restore_refuses_what_is_not_what_was_backed_up(game: Path, tmp_path: Path, name: str) -> None:
    """A bit anywhere in any file; the file is named, and no folder is made."""
    back_up(game, tmp_path / "backup", 0)
    path = tmp_path / "backup" / name
    path = path if path.is_file() else next(path.iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match=path.name):
        restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_restore_refuses_a_journal_put_in_place_of_another(game: Path, tmp_path: Path) -> None:
    """Digests that were made to fit: the manifest's own sequence and chain do not."""
    back_up(game, tmp_path / "backup", 0)
    write_game(tmp_path / "other", BATCHES[:-1])
    back_up(tmp_path / "other", tmp_path / "others", 0)
    mine = verify_backup(tmp_path / "backup")
    theirs = verify_backup(tmp_path / "others")
    forged = msgspec.structs.replace(mine, files=theirs.files)
    (tmp_path / "others" / MANIFEST).write_bytes(msgspec.json.encode(forged))
    with pytest.raises(JournalDamaged, match="was backed up"):
        restore(tmp_path / "others", tmp_path / "again")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08 cut off"])
def test_restore_refuses_what_is_no_backup(tmp_path: Path, content: bytes) -> None:
    """Other files, empty folders, nothing at all."""
    (tmp_path / "file.tar").write_bytes(content)
    (tmp_path / "empty").mkdir()
    for source in ("file.tar", "empty", "absent"):
        with pytest.raises(BackupRefused):
            restore(tmp_path / source, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "snapshots/../../outside.snapshot", "notes"])
def test_restore_takes_no_other_names(game: Path, tmp_path: Path, name: str) -> None:
    """An archive with more in it gives nothing more; a manifest that names it is refused."""
    back_up(game, tmp_path / "file.tar", 0)
    with tarfile.open(tmp_path / "file.tar", "a") as archive:
        info = tarfile.TarInfo(name)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"bad"))
    restore(tmp_path / "file.tar", tmp_path / "again")
    assert _names(tmp_path / "again") == _names(game)
    assert not (tmp_path / "outside").exists()
    back_up(game, tmp_path / "backup", 0)
    manifest = verify_backup(tmp_path / "backup")
    more = msgspec.structs.replace(manifest, files=manifest.files | {name: FileDigest(3, "")})
    (tmp_path / "backup" / MANIFEST).write_bytes(msgspec.json.encode(more))
    with pytest.raises(BackupRefused, match="no backup of a game"):
        restore(tmp_path / "backup", tmp_path / "others")


def test_restore_refuses_the_format_of_a_newer_program(game: Path, tmp_path: Path) -> None:
    """Named, not guessed at."""
    back_up(game, tmp_path / "backup", 0)
    path = tmp_path / "backup" / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, format=2)))
    with pytest.raises(BackupRefused, match="format 2"):
        restore(tmp_path / "backup", tmp_path / "again")
    assert issubclass(JournalDamaged, JournalError)
