"""Copies of a game that a new server can start from, taken while the server runs.

A backup is a folder, or the same as one tar file: the journal, a head of its own, the snapshots, and a
manifest with the digest of each file. It holds no key of an operator: a restored game is given a new one.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import apsw
import msgspec
from msgspec.structs import replace

from exchange import __version__
from exchange.base.bounds import BACKUP_PAGES, MAX_MANIFEST_BYTES
from exchange.journal.batch import Head
from exchange.journal.files import HEAD, JOURNAL, SNAPSHOTS, JournalFiles, files_in, sync
from exchange.journal.head import create as create_head
from exchange.journal.head import read as read_head
from exchange.journal.protocol import JournalDamaged, JournalError, JournalForeign, JournalMissing
from exchange.journal.snapshots import read_snapshot, snapshot_paths
from exchange.journal.stopped import connect_beside
from exchange.journal.survey import Survey, survey

MANIFEST: Final = "backup.json"
TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")
_FORMAT: Final = 1

CopyProgress: TypeAlias = Callable[[int, int], None]
"""Told the pages of the journal that are copied, and how many there are."""


class BackupRefused(Exception):
    """Something is there that would be overwritten, or the backup is none; the message says which."""


class FileDigest(msgspec.Struct, frozen=True):
    """One file of a backup."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds. Everything acknowledged up to ``sequence``; ``clean`` if no server was running."""

    format: int
    version: str
    made_at_us: int
    sequence: int
    chain: str
    clean: bool
    files: dict[str, FileDigest]


def back_up(
    data_dir: Path, to: Path, now_us: int, progress: CopyProgress = lambda done, total: None
) -> Manifest:
    """Copy the game in ``data_dir`` to ``to``, a new folder or tar file, and verify the copy.

    A running server goes on meanwhile: what it acknowledged before the call is in the copy. Raises
    BackupRefused, JournalError, OSError; then nothing is left at ``to``.
    """
    if to.exists():
        raise BackupRefused(f"{to} exists; nothing is overwritten")
    with _workplace(to) as folder:
        # In this order: a snapshot or head that is older than the journal is right, a newer one is not.
        head = read_head(files_in(data_dir).head)
        if head is None or not files_in(data_dir).journal.exists():
            raise JournalMissing(f"there is no journal in {data_dir}")
        _copy_snapshots(data_dir, folder)
        _copy_journal(data_dir, folder, progress)
        found = _give_head(folder, head)
        manifest = _manifest(folder, found, now_us)
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        _sync_all(folder)
        _publish(folder, to)
    return manifest


def restore(source: Path, data_dir: Path) -> Manifest:
    """Put a backup, folder or tar file, where there is no game yet, and verify it.

    Raises BackupRefused, JournalError, OSError; then ``data_dir`` is as it was.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise BackupRefused(f"{data_dir} is not empty; nothing is overwritten")
    with _workplace(data_dir) as folder:
        _unpack(source, folder)
        manifest = verify_backup(folder)
        (folder / MANIFEST).unlink()
        _sync_all(folder)
        folder.rename(data_dir)
        sync(data_dir.parent)
    return manifest


def verify_backup(folder: Path) -> Manifest:
    """Every digest, the whole journal and its head. Raises BackupRefused, JournalError."""
    manifest = _read_manifest(folder)
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise JournalDamaged(name, "it is not what was backed up")
    found = _require_sound(files_in(folder))
    if (found.last_sequence, found.chain.hex()) != (manifest.sequence, manifest.chain):
        raise JournalDamaged(JOURNAL, f"it ends at {found.last_sequence}, {manifest.sequence} was backed up")
    return manifest


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder beside ``target``, and so on the same disk; gone at the end unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_snapshots(data_dir: Path, folder: Path) -> None:
    (folder / SNAPSHOTS).mkdir()
    for path in snapshot_paths(data_dir):
        copy = folder / SNAPSHOTS / path.name
        try:
            shutil.copyfile(path, copy)
            read_snapshot(copy)
        except FileNotFoundError:
            continue  # a newer one has taken its place since
        except (JournalDamaged, JournalForeign):
            copy.unlink()


def _copy_journal(data_dir: Path, folder: Path, progress: CopyProgress) -> None:
    try:
        with (
            connect_beside(data_dir) as source,
            closing(apsw.Connection(str(folder / JOURNAL))) as target,
        ):
            # Within one transaction the source stands still for us, whatever the server appends meanwhile.
            source.execute("BEGIN")
            source.execute("SELECT max(first_sequence) FROM batches").fetchall()
            with target.backup("main", source, "main") as copying:
                while not copying.done:
                    copying.step(BACKUP_PAGES)
                    progress(copying.page_count - copying.remaining, copying.page_count)
    except apsw.Error as error:
        raise JournalError(f"the journal can't be copied: {error}") from error


def _give_head(folder: Path, original: Head) -> Survey:
    """Hold the copy against the head of the original, then give it one of its own."""
    files = files_in(folder)
    create_head(files.head, replace(original, clean=False))
    found = _require_sound(files)
    clean = original.clean and original.sequence == found.last_sequence
    create_head(files.head, Head(found.last_sequence, found.chain, clean))
    return replace(found, head=read_head(files.head))


def _require_sound(files: JournalFiles) -> Survey:
    found = survey(files)
    if found.problems:
        raise found.problems[0]
    return found


def _manifest(folder: Path, found: Survey, now_us: int) -> Manifest:
    names = [JOURNAL, HEAD, *(f"{SNAPSHOTS}/{path.name}" for path in snapshot_paths(folder))]
    return Manifest(
        format=_FORMAT,
        version=__version__,
        made_at_us=now_us,
        sequence=found.last_sequence,
        chain=found.chain.hex(),
        clean=found.head is not None and found.head.clean,
        files={name: _digest(folder / name) for name in names},
    )


def _read_manifest(folder: Path) -> Manifest:
    try:
        content = (folder / MANIFEST).read_bytes()[:MAX_MANIFEST_BYTES]
        manifest = msgspec.json.decode(content, type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupRefused(f"this is no backup: {MANIFEST}: {error}") from error
    if manifest.format != _FORMAT:
        raise BackupRefused(f"the backup has format {manifest.format}, this program reads {_FORMAT}")
    wrong = [name for name in manifest.files if not _is_ours(name)]
    if wrong or not {JOURNAL, HEAD} <= manifest.files.keys():
        raise BackupRefused(f"this is no backup of a game: {', '.join(wrong) or 'the journal is not in it'}")
    return manifest


def _is_ours(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    return name in (JOURNAL, HEAD) or (folder == SNAPSHOTS and last.endswith(".snapshot"))


def _digest(path: Path) -> FileDigest:
    with path.open("rb") as file:
        return FileDigest(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _is_tar(path: Path) -> bool:
    return path.name.endswith(TAR_SUFFIXES)


def _publish(folder: Path, to: Path) -> None:
    if not _is_tar(to):
        folder.rename(to)
    else:
        packed = folder / "packed"
        with tarfile.open(packed, "w" if to.suffix == ".tar" else "w:gz") as archive:
            for name in (MANIFEST, JOURNAL, HEAD, SNAPSHOTS):
                archive.add(folder / name, name)
        sync(packed)
        packed.rename(to)
    sync(to.parent)


def _unpack(source: Path, folder: Path) -> None:
    (folder / SNAPSHOTS).mkdir()
    if source.is_dir():
        for name in (MANIFEST, *_read_manifest(source).files):
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        return
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                # By name and plain files only: an archive may hold anything.
                if member.isfile() and (member.name == MANIFEST or _is_ours(member.name)):
                    _extract(archive, member, folder / member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupRefused(f"{source} is no backup: {error}") from error


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)
