"""Games on the disk, for whoever reads, copies or damages them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.sqlite import SqliteJournal
from tests.support.floor import floor
from tests.support.session import ROLES, Session

COMMANDS = 120


@cache
def played_batches(seed: int, commands: int = COMMANDS) -> tuple[Batch, ...]:
    """The journal of a random session."""
    return asyncio.run(_play(seed, commands))


async def _play(seed: int, commands: int) -> tuple[Batch, ...]:
    async with floor(preset="small", roles=ROLES) as running:
        await Session(running, seed).play(commands)
        await running.stop()
        return tuple(running.journal.read())


def write_game(data_dir: Path, batches: Iterable[Batch], *, clean: bool = True) -> None:
    """Make ``data_dir`` the folder of a stopped game, or let the one there go on."""
    asyncio.run(_write(data_dir, batches, clean))


async def _write(data_dir: Path, batches: Iterable[Batch], clean: bool) -> None:
    journal = SqliteJournal.open(data_dir, SystemClock(), synchronous="off")
    for batch in batches:
        await journal.append(batch)
    await journal.close(clean=clean)
