"""The follower on real databases: the same rows however often it was interrupted."""

from __future__ import annotations

from pathlib import Path

from exchange.app import build_core
from exchange.projection.follower import Follower, FollowTerms
from exchange.storage.changes import Offset
from exchange.storage.database import database_url
from exchange.storage.store import Store
from tests.support.databases import Database
from tests.support.games import played, write_journal


async def project(data_dir: Path, database: Database, *, rebuild: bool = False) -> Offset:
    """Once to the end of the journal."""
    store = Store(database_url(database.url, data_dir))
    try:
        terms = FollowTerms(rebuild=rebuild)
        return await Follower(data_dir, store, build_core, terms, lambda report: None).run()
    finally:
        await store.close()


async def test_follower_in_pieces_ends_as_at_once(tmp_path: Path, database: Database) -> None:
    """Stopped and started again along the journal, the tables equal those of a rebuild at once."""
    batches = await played()
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    write_journal(whole, batches)
    for end in range(1, len(batches), max(1, len(batches) // 6)):
        write_journal(pieces, batches[:end])
        await project(pieces, database)
    reached = await project(whole, database)
    assert reached.sequence == batches[-1].last_sequence
    in_pieces = await database.content()
    await project(whole, database, rebuild=True)
    assert in_pieces == await database.content()
    assert all(in_pieces[name] for name in in_pieces if name != "news")
