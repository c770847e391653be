"""Games with every kind of command, as journals in a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from exchange.app import build_core
from exchange.journal.batch import GENESIS, Batch, Head, seal
from exchange.journal.database import Row, create
from exchange.journal.files import files_in
from exchange.journal.head import create as create_head
from exchange.projection.follower import Follower, FollowTerms
from exchange.storage.changes import Offset
from exchange.storage.database import database_url
from exchange.storage.store import Store
from tests.support.databases import Database
from tests.support.floor import floor
from tests.support.session import ROLES, Session


async def played(commands: int = 400, seed: int = 7) -> list[Batch]:
    """The journal of a random session over all kinds of commands."""
    async with floor(roles=ROLES, preset="small") as running:
        await Session(running, seed).play(commands)
        await running.stop()
        return list(running.journal.read())


def write_journal(data_dir: Path, batches: Iterable[Batch]) -> None:
    """The journal of a server that has stopped."""
    data_dir.mkdir(parents=True, exist_ok=True)
    rows = list(_rows(batches))
    files = files_in(data_dir)
    create(files.journal, rows)
    last = (rows[-1][1], rows[-1][4]) if rows else (0, GENESIS)
    create_head(files.head, Head(*last, clean=True))


async def project(data_dir: Path, database: Database, *, rebuild: bool = False) -> Offset:
    """Once to the end of the journal."""
    store = Store(database_url(database.url, data_dir))
    try:
        terms = FollowTerms(rebuild=rebuild)
        follower = Follower(data_dir, store, build_core, terms, lambda report: None)
        reached = await follower.run()
        if follower.halted is not None:
            raise follower.halted
        return reached
    finally:
        await store.close()


def _rows(batches: Iterable[Batch]) -> Iterator[Row]:
    chain = GENESIS
    for batch in batches:
        checksum, chain = seal(chain, batch)
        yield batch.first_sequence, batch.last_sequence, int(batch.kind), checksum, chain, batch.payload
