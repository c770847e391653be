"""The SQL projection: how fast it writes a finished game, and how far it is behind a running one."""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.load import Target
from bench.report import heading
from bench.servers import order, running_exchange
from exchange.app import build_core
from exchange.journal.batch import GENESIS, Batch, Head, seal
from exchange.journal.database import Row, create
from exchange.journal.files import files_in
from exchange.journal.follow import FollowedJournal
from exchange.journal.head import create as create_head
from exchange.journal.records import decode_batches, encode_batch
from exchange.model.commands import AnyCommand, CancelOrder, NewOrder, OpenGame, Record, RegisterTeam
from exchange.model.presets import preset_rules
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.projection.follower import Follower, FollowTerms
from exchange.projection.projector import Projector
from exchange.storage.database import database_url
from exchange.storage.store import Store

TEAMS = 20
PER_BATCH = 32
ORDERS_PER_REQUEST = 50
MIDDLE = 440_000


def game(records: int) -> Iterator[AnyCommand]:
    """Three orders for each cancel, half of the orders marketable, in one instrument."""
    chance = random.Random(1)
    yield OpenGame(preset_rules("small"))
    for team in range(1, TEAMS + 1):
        yield RegisterTeam(f"Team {team}", "market_maker", team.to_bytes(32, "big"), "r", team)
    orders: list[tuple[int, int]] = []
    for sequence in range(TEAMS + 2, records + 1):
        team = chance.randint(1, TEAMS)
        if orders and chance.random() < 0.25:
            owner, order_id = orders.pop(chance.randrange(max(0, len(orders) - 200), len(orders)))
            yield CancelOrder(owner, order_id, "SPX", "r")
            continue
        orders.append((team, sequence))
        side = chance.choice((Side.BUY, Side.SELL))
        price = MIDDLE + side.sign * chance.randint(-5, 5)
        limit, gtc = OrderType.LIMIT, TimeInForce.GTC
        yield NewOrder(team, "SPX", side, limit, price, chance.randint(1, 9), gtc, f"c{sequence}", "req_1")


def write_game(folder: Path, records: int) -> None:
    """The journal of a stopped server."""
    rows: list[Row] = []
    chain = GENESIS
    made = [Record(number, 10**15 + 200 * number, each) for number, each in enumerate(game(records), 1)]
    for first in range(0, len(made), PER_BATCH):
        batch: Batch = encode_batch(made[first : first + PER_BATCH])
        checksum, chain = seal(chain, batch)
        last = batch.last_sequence
        rows.append((batch.first_sequence, last, int(batch.kind), checksum, chain, batch.payload))
    create(files_in(folder).journal, rows)
    create_head(files_in(folder).head, Head(records, chain, clean=True))


def replay(folder: Path, records: int) -> None:
    """What a restart at the journal's end does before it writes anything."""
    projector = Projector(build_core, silent_until=records)
    with closing(FollowedJournal(folder)) as journal:
        for record in decode_batches(journal.take(records)):
            projector.take(record)


async def project(folder: Path, url: str | None) -> None:
    """All of it, into tables made anew."""
    store = Store(database_url(url, folder))
    try:
        await Follower(folder, store, build_core, FollowTerms(rebuild=True), lambda report: None).run()
    finally:
        await store.close()


def finished_game(records: int, urls: list[str | None]) -> None:
    """Print the rates of a game that is over."""
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as name:
        folder = Path(name)
        write_game(folder, records)
        with _measured("replay alone", records):
            replay(folder, records)
        for url in urls:
            with _measured(f"replayed and written, {_kind(url)}", records):
                asyncio.run(project(folder, url))


@contextmanager
def _measured(name: str, records: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {name:34} {records / wall:8,.0f} commands/s   CPU {cpu / records * 1e6:5,.0f} us per command")


def _kind(url: str | None) -> str:
    return "sqlite" if url is None else url.partition(":")[0]


class _Run(NamedTuple):
    """Times of the requests, samples of the lag, and how long the tables took to catch up in the end."""

    times: list[float]
    lags: list[tuple[int, float]]
    caught_up_s: float


async def _paced(target: Target, rate: int, seconds: float) -> _Run:
    times: list[float] = []
    lags: list[tuple[int, float]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(number: int) -> None:
            key = target.keys[number % len(target.keys)]
            body = {"orders": [order(number, number) for _ in range(ORDERS_PER_REQUEST)]}
            began = time.perf_counter()
            async with session.post(
                f"{target.url}/exchange/orders/batch", json=body, headers={"X-API-Key": key}
            ) as answer:
                if answer.status != 200:
                    raise RuntimeError(await answer.text())
            times.append(time.perf_counter() - began)

        async def lag() -> tuple[int, float]:
            async with session.get(f"{target.url}/health/ready") as answer:
                told = (await answer.json())["data"].get("checks", {}).get("projection", {})
                return told.get("lag_records", 0), told.get("lag_seconds", 0.0)

        interval_s, started = ORDERS_PER_REQUEST / rate, time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds / interval_s)):
                await asyncio.sleep(max(0.0, started + number * interval_s - time.perf_counter()))
                tasks.create_task(send(number))
                if number % int(0.5 / interval_s) == 0:
                    lags.append(await lag())
        ended = time.perf_counter()
        while (await lag())[0]:
            pass
        return _Run(times, lags, time.perf_counter() - ended)


def running_game(rate: int, seconds: float, urls: list[str | None]) -> None:
    """Print what a running server's orders and tables do at ``rate`` orders a second."""
    off = {"EXCHANGE_STORAGE__ENABLED": "false"}
    on = {"EXCHANGE_STORAGE__ENABLED": "true"}
    settings = [("without", off)]
    settings += [(_kind(url), on | ({} if url is None else {"EXCHANGE_STORAGE__URL": url})) for url in urls]
    for name, environment in settings:
        with running_exchange("full", environment) as target:
            run = asyncio.run(_paced(target, rate, seconds))
        ordered = sorted(run.times)
        p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
        records, longest = (max(column) for column in zip(*run.lags, strict=True))
        print(
            f"  {rate:,} orders/s, {name:12} batch: p50 {p50:6.1f} ms  p99 {p99:6.1f} ms   most behind"
            f" {records:7,} records, {longest:5.1f} s; in the end caught up in {run.caught_up_s:4.1f} s"
        )


def main(arguments: list[str] | None = None) -> None:
    """Print the figures. Databases named by their URL are measured beside the SQLite file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*", help="databases that may be overwritten")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args(arguments)
    heading(
        "SQL projection",
        "three orders for each cancel, half of them marketable; 50 in a batch at a time",
    )
    urls: list[str | None] = [None, *given.urls]
    finished_game(given.records, urls)
    running_game(given.rate, given.seconds, urls)


if __name__ == "__main__":
    main()
