"""Has snapshots taken: by a child process, so that neither the loop nor the state of the server is touched.

The child comes to the state as a start would, from the last snapshot and the journal. It may fail or be slow:
the game goes on, and a start replays more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread
import msgspec

from exchange.base.bounds import SNAPSHOT_CHECK_S, SNAPSHOT_TIMEOUT_S
from exchange.config import SnapshotsConfig
from exchange.log import Logger

Command: TypeAlias = Sequence[str]


class SnapshotStatistics(msgspec.Struct, frozen=True):
    """Sequence of the newest snapshot, 0 for none, and how many could not be taken since the start."""

    sequence: int = 0
    failures: int = 0


class SnapshotKeeper:
    """Knows when a snapshot is due; ``command`` is what takes one."""

    def __init__(self, settings: SnapshotsConfig, command: Command, log: Logger) -> None:
        self._settings = settings
        self._command = command
        self._newest = 0
        self._tried = 0
        self._failures = 0
        self._log = log

    def statistics(self) -> SnapshotStatistics:
        return SnapshotStatistics(self._newest, self._failures)

    def found(self, sequence: int) -> None:
        """A start used the snapshot of ``sequence``, 0 for none."""
        self._newest = self._tried = sequence

    async def run(self, reached: Callable[[], int]) -> None:
        """Have one taken each ``every_records`` that the journal has ``reached``, until cancelled."""
        every = self._settings.every_records
        while every:
            await anyio.sleep(SNAPSHOT_CHECK_S)
            sequence = reached()
            if sequence - self._tried >= every:
                await self.take(sequence)

    async def at_stop(self, reached: int) -> None:
        """Have a last one taken where that saves the next start a replay."""
        enough = self._settings.at_stop_records
        if enough and reached - self._tried >= enough:
            await self.take(reached)

    async def take(self, reached: int) -> None:
        """Have one taken now. What goes wrong is logged; it is tried again after as many records."""
        self._tried = reached
        code, said = await _run(self._command)
        if code == 0:
            self._newest = reached
            self._log.info("snapshot taken", sequence=reached, said=said)
        else:
            self._failures += 1
            self._log.warning("no snapshot taken", exit_code=code, said=said)


def snapshot_command(data_dir: Path) -> Command:
    """The command line that takes a snapshot of the game in ``data_dir``."""
    return (
        *(sys.executable, "-m", "exchange", "snapshot"),
        *("--data", str(data_dir), "--parent", str(os.getpid())),
    )


async def _run(command: Command) -> tuple[int | None, str]:
    """Exit code and last words; None for a child that took too long and was killed."""
    # Started in a thread: there it is a vfork, which copies no page tables however large the server is.
    try:
        child = await anyio.to_thread.run_sync(_start, command)
    except OSError as error:
        return None, str(error)
    try:
        with anyio.move_on_after(SNAPSHOT_TIMEOUT_S):
            output, _ = await anyio.to_thread.run_sync(child.communicate, abandon_on_cancel=True)
            return child.returncode, output.strip()[-1_000:]
        return None, "it took too long"
    finally:
        if child.poll() is None:
            child.kill()


def _start(command: Command) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
