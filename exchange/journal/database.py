"""The journal's SQLite file: its schema, how it is created, and the three ways it is opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

import apsw

from exchange.base.bounds import JOURNAL_WAL_KEPT_BYTES
from exchange.journal.files import JOURNAL, JournalFiles, sync
from exchange.journal.protocol import JournalDamaged, JournalError, JournalForeign

APPLICATION_ID: Final = int.from_bytes(b"EXJL", "big")
FORMAT: Final = 1
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_WRITE_AHEAD: Final = bytes((2, 2))

# The chain stands before the payload, so that reading it does not walk the payload's overflow pages.
SCHEMA: Final = (
    "CREATE TABLE batches (first_sequence INTEGER PRIMARY KEY, last_sequence INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, checksum INTEGER NOT NULL, chain BLOB NOT NULL, payload BLOB NOT NULL) STRICT"
)
INSERT: Final = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)"

Synchronous: TypeAlias = Literal["full", "normal", "off"]
Row: TypeAlias = tuple[int, int, int, int, bytes, bytes]
"""first_sequence, last_sequence, kind, checksum, chain, payload."""


def create(path: Path, rows: Iterable[Row] = ()) -> None:
    """A journal of ``rows`` at ``path``, whole or not at all: written beside it, synced, renamed."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    connection = apsw.Connection(str(unfinished))
    try:
        # Nothing is worth protecting before the rename, and the file is synced as a whole.
        connection.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}")
        connection.execute(SCHEMA)
        with connection:
            connection.executemany(INSERT, rows)
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def _check_header(path: Path) -> None:
    """Keep SQLite from an empty database: it would delete the log beside it, even when asked to read only."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise JournalDamaged(JOURNAL, f"it has {len(header)} bytes")
    if not header.startswith(_MAGIC):
        raise JournalForeign(f"{path} is not an SQLite database")
    if header[18:20] != _WRITE_AHEAD:
        raise JournalDamaged(JOURNAL, f"its versions are {header[18]} and {header[19]}, not those of a log")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise JournalForeign(f"{path} is the database of another program")
    version = int.from_bytes(header[60:64], "big")
    if version != FORMAT:
        raise JournalForeign(f"{path} has format {version}, this program reads and writes {FORMAT}")


def open_stopped(files: JournalFiles) -> apsw.Connection:
    """For a journal no server has open: reads the log too, locks nothing, creates and writes nothing.

    Raises JournalForeign, and JournalDamaged for a file too short to be a database.
    """
    _check_header(files.journal)
    if files.has_log():
        # Without locks there is no shared memory either, so the log's index is built in this process.
        connection = _open(files.journal, "mode=ro&vfs=unix-none", apsw.SQLITE_OPEN_READONLY)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    else:
        connection = _open(files.journal, "immutable=1", apsw.SQLITE_OPEN_READONLY)
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def open_live(path: Path) -> apsw.Connection:
    """For reading beside the writer, in this process or another one."""
    return _open(path, "mode=ro", apsw.SQLITE_OPEN_READONLY)


def open_followed(files: JournalFiles) -> apsw.Connection:
    """For another process than the writer's, whether or not one runs. Raises as ``open_stopped`` does."""
    _check_header(files.journal)
    connection = open_live(files.journal)
    connection.set_busy_timeout(1000)
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def open_writer(path: Path, synchronous: Synchronous) -> apsw.Connection:
    """For the one writer, which holds the directory's lock."""
    connection = _open(path, "mode=rw", apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(1000)
        connection.execute(
            f"PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0;"
            f" PRAGMA journal_size_limit = {JOURNAL_WAL_KEPT_BYTES}; PRAGMA cell_size_check = ON"
        ).fetchall()
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error:
        abandon(connection)
        raise
    return connection


def abandon(connection: apsw.Connection) -> None:
    """Close, the log as it is: moving it could make durable what was refused, or lose what was not."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close()


def _open(path: Path, options: str, mode: int) -> apsw.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    try:
        return apsw.Connection(uri, flags=mode | apsw.SQLITE_OPEN_URI)
    except apsw.Error as error:
        raise JournalError(f"{path} can't be opened: {error}") from error
