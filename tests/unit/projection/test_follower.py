"""The follower on real databases: the same rows however often it was interrupted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from exchange.app import build_core
from exchange.journal.batch import BatchKind
from exchange.journal.records import encode_batch
from exchange.model.commands import AnyCommand, DisableTeam, Record, Void
from exchange.model.types import Side
from exchange.projection.follower import Follower, FollowTerms
from exchange.projection.projector import ReplayStopped
from exchange.storage.changes import Changes, Offset
from exchange.storage.database import database_url
from exchange.storage.errors import OffsetMoved, OtherJournal, StorageError, StorageUnavailable
from exchange.storage.progress import ProjectionReport, ProjectionState
from exchange.storage.store import Store
from exchange.storage.types import day_of
from tests.support.databases import Database
from tests.support.floor import new_order
from tests.support.projected import played, project, write_journal


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


async def test_follower_refuses_tables_of_another_journal(tmp_path: Path, database: Database) -> None:
    """Another game, or the same one cut before the offset: a clear refusal, and a rebuild makes it good."""
    batches = await played()
    write_journal(tmp_path / "data", batches)
    write_journal(tmp_path / "cut", batches[:-3])
    write_journal(tmp_path / "other", await played(seed=8))
    await project(tmp_path / "data", database)
    for name in ("cut", "other"):
        with pytest.raises(OtherJournal, match="exchange project --rebuild"):
            await project(tmp_path / name, database)
    await project(tmp_path / "cut", database, rebuild=True)
    reached = await project(tmp_path / "data", database)
    assert reached.sequence == batches[-1].last_sequence


async def test_store_refuses_a_second_writer(tmp_path: Path, database: Database) -> None:
    """Who does not know the newest offset writes nothing."""
    store = Store(database_url(database.url, tmp_path))
    first, second = Offset(5, 5, "5" * 64), Offset(7, 7, "7" * 64)
    await store.prepare()
    await store.write(Changes(), Offset(), first)
    with pytest.raises(OffsetMoved):
        await store.write(Changes(), Offset(), second)
    assert await store.offset() == first
    await store.close()


async def test_follower_halts_where_the_server_does_and_goes_on_after_the_void(
    tmp_path: Path, database: Database
) -> None:
    """Everything before a command that fails is in the tables; once it is voided, everything after it too."""
    batches = await played(60)
    last = batches[-1].last_sequence
    fails: AnyCommand = DisableTeam(999_999, True, "no such team", "r")
    follows: AnyCommand = new_order(1, Side.BUY, instrument_id="SPX", price_ticks=440_000, request_id="late")
    time_us = 2_000_000_000_000_000
    commands = (new_order(1, Side.BUY, instrument_id="SPX", price_ticks=440_000), fails, follows)
    tail = encode_batch([Record(last + number, time_us, each) for number, each in enumerate(commands, 1)])
    write_journal(tmp_path / "data", [*batches, tail])
    for _ in range(2):
        with pytest.raises(ReplayStopped, match=f"sequence {last + 2} "):
            await project(tmp_path / "data", database)
        before = await database.content()
        assert [row[0] for row in before["orders"]][-1] == last + 1
        assert (await database.offset())[1:3] == (last + 1, last)
    void = encode_batch([Record(last + 4, time_us, Void(last + 2, "a test"))], BatchKind.VOID)
    write_journal(tmp_path / "data", [*batches, tail, void])
    assert (await project(tmp_path / "data", database)).sequence == last + 4
    after = await database.content()
    assert [row[0] for row in after["orders"]][-2:] == [last + 1, last + 3]
    assert [row[2] for row in after["audit"]][-2:] == ["voided", "void"]
    await project(tmp_path / "data", database, rebuild=True)
    assert await database.content() == after


class _LostAnswer(Store):
    """The first transaction is through, and nobody hears of it."""

    lost = False

    async def write(self, changes: Changes, before: Offset, after: Offset) -> None:
        await super().write(changes, before, after)
        if not self.lost:
            self.lost = True
            raise StorageUnavailable("the connection broke after the commit")


async def test_follower_asks_what_became_of_a_transaction_before_it_repeats_it(
    tmp_path: Path, database: Database
) -> None:
    """A commit whose answer was lost is not made twice."""
    batches = await played(60)
    write_journal(tmp_path / "data", batches)
    store = _LostAnswer(database_url(database.url, tmp_path))
    reports: list[ProjectionReport] = []
    follower: Follower

    def report(told: ProjectionReport) -> None:
        reports.append(told)
        if told.sequence == batches[-1].last_sequence:
            follower.stop()

    follower = Follower(tmp_path / "data", store, build_core, FollowTerms(follow=True, poll_s=0.01), report)
    assert (await follower.run()).sequence == batches[-1].last_sequence
    await store.close()
    assert ProjectionState.WAITING in {told.state for told in reports}
    content = await database.content()
    await project(tmp_path / "data", database, rebuild=True)
    assert content == await database.content()


async def test_store_partitions_by_day_up_to_a_bound(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day has its own, days beyond the bound share the last; every row is found again."""
    monkeypatch.setattr("exchange.storage.partitions.MAX_PARTITIONS", 3)
    store = Store(database_url(database.url, tmp_path))
    await store.prepare()
    last = Offset()
    for number in range(1, 6):
        changes, here = Changes(), Offset(number, number, f"{number:064}")
        changes.add("trades", _trade(number, number * 86_400_000_000))
        await store.write(changes, last, here)
        last = here
    await store.close()
    rows = (await database.content())["trades"]
    assert [row[:2] for row in rows] == [(number, date(1970, 1, 1 + number)) for number in range(1, 6)]
    if database.kind == "postgresql":
        counts = await database.query("SELECT tableoid, COUNT(*) FROM trades GROUP BY tableoid ORDER BY 2")
        assert [row[1] for row in counts] == [1, 1, 3]
    elif database.kind == "mariadb":
        counts = await database.query("SELECT COUNT(*) FROM trades PARTITION (p_rest)")
        assert counts == [(3,)]


def _trade(number: int, timestamp_us: int) -> dict[str, object]:
    ids = {f"{side}_{what}_id": 1 for side in ("buy", "sell") for what in ("order", "team")}
    amounts = {"price_ticks": 1, "price": 1, "quantity": 1, "value": 1}
    return {
        **ids,
        **amounts,
        "trade_id": number,
        "day": day_of(timestamp_us),
        "sequence": number,
        "auction_id": None,
        "instrument_id": "SPX",
        "traded_at": timestamp_us,
        "taker_side": "buy",
    }


async def test_store_says_what_the_database_refused(tmp_path: Path) -> None:
    """A server that is not there, a database that is not there, a driver that is not there."""
    for url in ("postgresql://postgres@127.0.0.1:1/x", "mysql://root@127.0.0.1:1/x"):
        store = Store(database_url(url, tmp_path))
        with pytest.raises(StorageUnavailable, match=url.partition(":")[0]):
            await store.prepare()
        await store.close()
    with pytest.raises(StorageError, match="no driver for oracle"):
        database_url("oracle://x", tmp_path)


async def test_store_keeps_amounts_of_any_size_exactly(tmp_path: Path, database: Database) -> None:
    """Sums beyond 64 bits, negative ones and small ones come back as they were; SQL sees decimals."""
    store = Store(database_url(database.url, tmp_path))
    await store.prepare()
    amounts = [0, -1, 123_456, -(10**25), 2**63 - 1, -(2**63), 2**63]
    changes = Changes()
    for number, amount in enumerate(amounts):
        row = {"team_id": number, "name": "Ä 😀", "role": "r", "disabled": False}
        changes.add("teams", {**row, "registered_at": 1_700_000_000_123_456, "cash": amount, "fees": 0})
    await store.write(changes, Offset(), Offset(1, 1, "1" * 64))
    await store.write(changes, Offset(1, 1, "1" * 64), Offset(2, 2, "2" * 64))
    await store.close()
    rows = (await database.content())["teams"]
    assert [row[5] for row in rows] == amounts
    assert {(row[1], row[4]) for row in rows} == {("Ä 😀", 1_700_000_000_123_456)}
    shown = await database.query("SELECT cash FROM teams WHERE team_id = 2")
    assert str(shown[0][0]) == "12.3456"
