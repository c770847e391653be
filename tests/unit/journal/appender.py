"""A process that appends until it is stopped. Arguments: directory, seed, and optionally a limit in bytes.

It prints the last sequence of each batch once that is acknowledged, one per line. With a limit on the size of
its files it prints ``failed SEQUENCE`` for each of three appends after the disk has refused one, and ends.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from pathlib import Path

import uvloop

from exchange.base.clock import SystemClock
from exchange.journal.protocol import JournalFailed
from exchange.journal.sqlite import SqliteJournal
from tests.unit.journal.places import batch


def tell(line: str) -> None:
    """Straight to the pipe: what was told is told even if the process ends in this very moment."""
    os.write(1, line.encode() + b"\n")


async def append_for_ever(directory: Path, stream: random.Random) -> None:
    """Batches of 1 to 60 records of 20 to 200 bytes."""
    journal = SqliteJournal.open(directory, SystemClock())
    tell(f"open {journal.last_sequence}")
    while True:
        records, size = stream.randint(1, 60), stream.randint(20, 200)
        try:
            await journal.append(batch(journal.last_sequence + 1, records, size=size))
        except JournalFailed:
            break
        tell(str(journal.last_sequence))
    for _ in range(3):
        failed = journal.append(batch(journal.last_sequence + 1))
        assert isinstance(failed.exception(), JournalFailed)
        tell(f"failed {journal.last_sequence + 1}")
    await journal.close()


def main(directory: str, seed: str, limit: str | None = None) -> None:
    """Append, or end with the error that stopped it."""
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    uvloop.run(append_for_ever(Path(directory), random.Random(int(seed))))


if __name__ == "__main__":
    main(*sys.argv[1:])
