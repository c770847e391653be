"""Between the journal and its files: a test sees, changes or refuses each operation before the disk has it.

SQLite's files pass through an apsw VFS that is made the default; what the journal does through ``os`` (head,
renames, flushes) through functions put in place of those. No product code knows of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from unittest import mock

import apsw

if TYPE_CHECKING:
    from typing_extensions import Buffer

Result = TypeVar("Result")
Step: TypeAlias = Literal["truncate", "sync", "rename", "link", "unlink"]
_DIRECTORY = "."


class Disk:
    """Does what it is asked to. Files are known by their names in one directory, which itself is called "."

    Called from the journal's threads. To refuse is to raise OSError, of which SQLite gets its own kind.
    """

    def write(self, name: str, data: bytes, offset: int, perform: Callable[[bytes], int]) -> int:
        """Bytes written; ``perform`` writes what it is given at ``offset``."""
        return perform(data)

    def step(self, step: Step, name: str, other: str | int, perform: Callable[[], Result]) -> Result:
        """Anything else. ``other`` is the size a file is cut to, or the second name of a rename or link."""
        return perform()


@contextmanager
def installed(disk: Disk, directory: Path) -> Iterator[None]:
    """``directory`` is on ``disk``; every other place is as ever."""
    vfs = _Vfs(disk, directory)
    with ExitStack() as undo:
        undo.callback(vfs.unregister)
        for name, function in _functions(disk, directory).items():
            undo.enter_context(mock.patch.object(os, name, function))
        yield


def _functions(disk: Disk, directory: Path) -> dict[str, Callable[..., Any]]:
    # Taken before they are replaced.
    pwrite, fsync, unlink = os.pwrite, os.fsync, os.unlink

    def new_pwrite(descriptor: int, data: bytes, offset: int) -> int:
        name = _name_of(directory, os.readlink(f"/proc/self/fd/{descriptor}"))
        if name is None:
            return pwrite(descriptor, data, offset)
        written = disk.write(name, bytes(data), offset, lambda kept: pwrite(descriptor, kept, offset))
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DSYNC:
            disk.step("sync", name, "", lambda: None)
        return written

    def new_fsync(descriptor: int) -> None:
        name = _name_of(directory, os.readlink(f"/proc/self/fd/{descriptor}"))
        if name is None:
            return fsync(descriptor)
        return disk.step("sync", name, "", lambda: fsync(descriptor))

    def new_unlink(path: Any) -> None:
        name = _name_of(directory, path)
        if name is None:
            return unlink(path)
        return disk.step("unlink", name, "", lambda: unlink(path))

    def two_names(step: Step, function: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def renamed(source: Any, target: Any) -> None:
            name, other = _name_of(directory, source), _name_of(directory, target)
            if name is None or other is None:
                return function(source, target)
            return disk.step(step, name, other, lambda: function(source, target))

        return renamed

    return {
        "pwrite": new_pwrite,
        "fsync": new_fsync,
        "unlink": new_unlink,
        "rename": two_names("rename", os.rename),
        "link": two_names("link", os.link),
    }


def _name_of(directory: Path, path: Any) -> str | None:
    path = Path(os.path.abspath(path))
    if path == directory:
        return _DIRECTORY
    return path.name if path.parent == directory and path.name.startswith(("journal.db", "head")) else None


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, directory: Path) -> None:
        super().__init__("observed", "unix", makedefault=True)
        self._disk = disk
        self._directory = directory

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        known = _name_of(self._directory, path)
        if known is None:
            return apsw.VFSFile("unix", name, flags)
        return _File(self._disk, known, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        known = _name_of(self._directory, filename)
        if known is None:
            super().xDelete(filename, syncdir)
            return
        with _sqlite_errors():
            self._disk.step("unlink", known, "", lambda: super(_Vfs, self).xDelete(filename, False))
            if syncdir:
                self._disk.step("sync", _DIRECTORY, "", lambda: None)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, known: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        # SQLite flushes the directory with the first flush of a log, and of nothing else.
        self._syncs_directory = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("unix", name, flags)
        self._disk = disk
        self._name = known

    def xWrite(self, data: Buffer, offset: int) -> None:  # noqa: N802 - SQLite's name
        whole = bytes(data)

        def perform(kept: bytes) -> int:
            super(_File, self).xWrite(kept, offset)
            return len(kept)

        with _sqlite_errors():
            if self._disk.write(self._name, whole, offset, perform) < len(whole):
                # What SQLite's own layer makes of a short write.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        with _sqlite_errors():
            self._disk.step("truncate", self._name, newsize, lambda: super(_File, self).xTruncate(newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        with _sqlite_errors():
            self._disk.step("sync", self._name, "", lambda: super(_File, self).xSync(flags))
            if self._syncs_directory:
                self._syncs_directory = False
                self._disk.step("sync", _DIRECTORY, "", lambda: None)


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = apsw.FullError if error.errno == errno.ENOSPC else apsw.IOError
        raise kind(str(error)) from error
