"""One commit of one row through the journal's writer: what a lone durable order cannot do without."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.load import SERVER_CORE, pin
from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.sqlite import SqliteJournal

COMMITS = 2_000
PAYLOAD = bytes(120)


async def _median_seconds() -> float:
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        journal = SqliteJournal.open(Path(folder), SystemClock())
        seconds = []
        for sequence in range(1, COMMITS + 1):
            began = time.perf_counter()
            await journal.append(Batch(sequence, sequence, BatchKind.COMMANDS, PAYLOAD))
            seconds.append(time.perf_counter() - began)
        await journal.close()
    return sorted(seconds)[COMMITS // 2]


def main() -> None:
    """Print the median in seconds, for the caller to read."""
    pin(SERVER_CORE)
    sys.stdout.write(f"{uvloop.run(_median_seconds())}\n")


if __name__ == "__main__":
    main()
