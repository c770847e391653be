"""One process at a time: an advisory lock on the data directory itself, gone with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from exchange.journal.protocol import JournalLocked, JournalMissing


class DirectoryLock:
    """Held from construction to ``release``. ``shared`` admits other readers, never a writer."""

    def __init__(self, data_dir: Path, *, shared: bool = False) -> None:
        try:
            self._descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise JournalMissing(f"{data_dir} is not a directory") from error
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise JournalLocked(data_dir) from error

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
