"""A disk that refuses one operation, and then every one like it or none."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from tests.support.disk import Disk, Result, Step

Kind: TypeAlias = Literal["EIO", "ENOSPC", "short"]
ON_WRITE: Final[tuple[Kind, ...]] = ("EIO", "ENOSPC", "short")
ON_SYNC: Final[tuple[Kind, ...]] = ("EIO", "ENOSPC")
FILES: Final = ("journal.db-wal", "journal.db", "head")


class Fault(Struct, frozen=True):
    """The ``at``-th write or sync of ``file`` fails; if ``lasting`` all after it do too."""

    step: str
    file: str
    kind: Kind
    at: int
    lasting: bool


def any_fault(stream: random.Random, file: str, at: int) -> Fault:
    """A random one of this file, at random one of the next ``at`` operations."""
    # Head is flushed by its write, so that a write is all that can fail.
    step = "write" if file == "head" else stream.choice(("write", "sync"))
    kind = stream.choice(ON_WRITE if step == "write" else ON_SYNC)
    return Fault(step, file, kind, stream.randint(1, at), stream.random() < 0.5)


class FailingDisk(Disk):
    """``failed_ns`` is the monotonic time of the first refusal, 0 before it."""

    def __init__(self, fault: Fault, struck: Callable[[], None] = lambda: None) -> None:
        self.failed_ns = 0
        self._fault = fault
        self._struck = struck
        self._left = fault.at

    def write(self, name: str, data: bytes, offset: int, perform: Callable[[bytes], int]) -> int:
        if not self._strikes("write", name):
            return perform(data)
        if self._fault.kind == "short":
            return perform(data[: len(data) // 2])
        raise self._error()

    def step(self, step: Step, name: str, other: str | int, perform: Callable[[], Result]) -> Result:
        if self._strikes(step, name):
            raise self._error()
        # The power stays on here: to flush takes time and changes nothing.
        return None if step == "sync" else perform()  # type: ignore[return-value]  # no flush returns anything

    def _strikes(self, step: str, name: str) -> bool:
        if (step, name) != (self._fault.step, self._fault.file):
            return False
        self._left -= 1
        if self._left == 0:
            self.failed_ns = time.monotonic_ns()
            self._struck()
        return self._left == 0 or (self._left < 0 and self._fault.lasting)

    def _error(self) -> OSError:
        number = errno.ENOSPC if self._fault.kind == "ENOSPC" else errno.EIO
        return OSError(number, os.strerror(number))
