"""Power cuts: a disk that notes every operation, and what it may hold when the power goes at any of them.

Nothing that was not flushed is sure. Each such write, sector by sector, each cut of a file and each new name
in the directory may be there or not, in any combination: worse than ext4, and what POSIX allows.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from tests.support.disk import Disk, Result, Step

Loss: TypeAlias = Literal["all", "none", "tail", "any", "garbage"]
LOSSES: Final[tuple[Loss, ...]] = ("all", "none", "tail", "any", "garbage")
"""What becomes of unflushed operations: all are lost; none is; they arrive in order until one tears; any of
them may be lost; or that, with rubbish in new space where nothing arrived."""

SECTORS: Final = (16, 512, 4096)
"""Bytes that arrive together or not at all. No disk is as bad as the first."""


class Write(Struct, frozen=True):
    file: int
    data: bytes
    offset: int


class Truncate(Struct, frozen=True):
    file: int
    size: int


class Flush(Struct, frozen=True):
    """Of one file, or of the directory if None."""

    file: int | None


class Rename(Struct, frozen=True):
    """Puts ``file`` under ``name``, away from ``before`` if that is given; None takes the name away."""

    name: str
    file: int | None
    before: str | None = None


class Told(Struct, frozen=True):
    """Up to where the run had handed batches over, and up to where they were acknowledged."""

    sent: int
    acknowledged: int


Operation: TypeAlias = Write | Truncate | Flush | Rename | Told


class Record(Struct):
    """``before`` is what the directory held; ``times_ns`` are monotonic, one for each operation."""

    before: dict[str, bytes]
    operations: list[Operation]
    times_ns: list[int]


class RecordingDisk(Disk):
    """Notes what happens in its order, and lets it pass; but for flushes, which the record alone needs."""

    def __init__(self, directory: Path) -> None:
        before = {path.name: path.read_bytes() for path in directory.iterdir()}
        self.record = Record(before, [], [])
        self._directory = directory
        self._files = {name: number for number, name in enumerate(before)}
        self._made = len(self._files)
        self._lock = threading.Lock()

    def told(self, sent: int, acknowledged: int) -> None:
        """To be called before a batch is handed over and after it was acknowledged."""
        with self._lock:
            self._note(Told(sent, acknowledged))

    def write(self, name: str, data: bytes, offset: int, perform: Callable[[bytes], int]) -> int:
        with self._lock:
            self._note(Write(self._file(name), data, offset))
        return perform(data)

    def step(self, step: Step, name: str, other: str | int, perform: Callable[[], Result]) -> Result:
        if step == "sync":
            self._flush(name)
            return None  # type: ignore[return-value]  # no flush returns anything
        with self._lock:
            match step, other:
                case "truncate", int(size):
                    self._note(Truncate(self._file(name), size))
                case "unlink", _:
                    self._files.pop(name, None)
                    self._note(Rename(name, None))
                case "link", str(second):
                    self._files[second] = self._file(name)
                    self._note(Rename(second, self._files[second]))
                case _, str(second):
                    self._files[second] = self._file(name)
                    del self._files[name]
                    self._note(Rename(second, self._files[second], name))
        return perform()

    def _flush(self, name: str) -> None:
        path = self._directory / name
        with self._lock:
            if path.is_dir():
                self._note(Flush(None))
                return
            if name not in self._files:
                # Written by something that does not pass through here, until now.
                self._note(Write(self._file(name), path.read_bytes(), 0))
            self._note(Flush(self._file(name)))

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = self._made
            self._note(Rename(name, self._made))
            self._made += 1
        return self._files[name]

    def _note(self, operation: Operation) -> None:
        self.record.operations.append(operation)
        self.record.times_ns.append(time.monotonic_ns())


class Remains(Struct):
    """What is on the disk for sure, and what is under way to it."""

    names: dict[str, int]
    content: dict[int, bytearray]
    unflushed: dict[int, list[Write | Truncate]]
    renames: list[Rename]
    told: Told

    def take(self, operation: Operation) -> None:
        match operation:
            case Write(file=file) | Truncate(file=file):
                self.unflushed.setdefault(file, []).append(operation)
            case Rename():
                self.renames.append(operation)
            case Told():
                self.told = operation
            case Flush(file=None):
                for rename in self.renames:
                    _rename(self.names, rename)
                self.renames.clear()
            case Flush(file=int(file)):
                for each in self.unflushed.pop(file, ()):
                    _apply(self.content.setdefault(file, bytearray()), each)


def remains(record: Record, operations: int) -> Remains:
    """After the first ``operations`` of a run."""
    names = {name: number for number, name in enumerate(record.before)}
    content = {names[name]: bytearray(data) for name, data in record.before.items()}
    found = Remains(names, content, {}, [], Told(0, 0))
    for operation in record.operations[:operations]:
        found.take(operation)
    return found


def cut(record: Record, operations: int, loss: Loss, chance: random.Random, directory: Path) -> Told:
    """Make ``directory`` what the disk holds when the power goes after so many operations."""
    found = remains(record, operations)
    sector = chance.choice(SECTORS)
    for file, unflushed in found.unflushed.items():
        content = found.content.setdefault(file, bytearray())
        durable = len(content)
        _lose(content, unflushed, loss, chance, sector)
        if loss == "garbage":
            _spoil(content, durable, chance, sector)
    for rename in found.renames:
        if loss == "none" or (loss != "all" and chance.random() < 0.5):
            _rename(found.names, rename)
    directory.mkdir()
    for name, number in found.names.items():
        if name.endswith("-shm"):
            continue
        (directory / name).write_bytes(found.content.get(number, b""))
    if chance.random() < 0.3:
        # Shared memory is never flushed: anything may be found in it.
        (directory / "journal.db-shm").write_bytes(chance.randbytes(32_768))
    return found.told


def _lose(
    content: bytearray, unflushed: list[Write | Truncate], loss: Loss, chance: random.Random, sector: int
) -> None:
    if loss == "all":
        return
    kept = chance.randrange(len(unflushed) + 1) if loss == "tail" else len(unflushed)
    for at, operation in enumerate(unflushed):
        if loss == "none" or (loss == "tail" and at < kept):
            _apply(content, operation)
        elif loss != "tail" or at == kept:
            _tear(content, operation, chance, sector)


def _tear(content: bytearray, operation: Write | Truncate, chance: random.Random, sector: int) -> None:
    if isinstance(operation, Truncate):
        if chance.random() < 0.5:
            _apply(content, operation)
        return
    end = operation.offset + len(operation.data)
    at = operation.offset
    while at < end:
        until = min(end, (at // sector + 1) * sector)
        if chance.random() < 0.5:
            data = operation.data[at - operation.offset : until - operation.offset]
            _apply(content, Write(operation.file, data, at))
        at = until


def _spoil(content: bytearray, durable: int, chance: random.Random, sector: int) -> None:
    for at in range(durable, len(content), sector):
        until = min(at + sector, len(content))
        if not any(content[at:until]):
            content[at:until] = chance.randbytes(until - at)


def _apply(content: bytearray, operation: Write | Truncate) -> None:
    if isinstance(operation, Truncate):
        del content[operation.size :]
        content.extend(bytes(operation.size - len(content)))
        return
    end = operation.offset + len(operation.data)
    content.extend(bytes(max(0, end - len(content))))
    content[operation.offset : end] = operation.data


def _rename(names: dict[str, int], rename: Rename) -> None:
    if rename.before is not None and names.pop(rename.before, None) is None:
        return
    if rename.file is None:
        names.pop(rename.name, None)
    else:
        names[rename.name] = rename.file
