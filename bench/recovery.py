"""From start to ready: a game with many open orders and a tail of commands after its last snapshot.

``exchange serve`` is started on a journal made for it and timed until its ready line, with the snapshot and
without it. Memory is what the process has then. ``BENCH_ORDERS`` and ``BENCH_TAIL`` change the amounts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import uvloop

from bench.report import Figure, heading, show
from exchange.app import build_core
from exchange.base.bounds import STAGE_BATCH
from exchange.base.clock import SystemClock
from exchange.base.streams import random_stream
from exchange.config import load_config
from exchange.journal.records import encode_batch
from exchange.journal.sqlite import SqliteJournal
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    NewOrder,
    OpenGame,
    Record,
    RegisterTeam,
)
from exchange.model.presets import FLOW_INSTRUMENT
from exchange.model.rules import GameRules
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.pipeline.snapshot import take_snapshot
from exchange.process import ServerProcess

ORDERS: Final = int(os.environ.get("BENCH_ORDERS", "200_000"))
TAIL: Final = int(os.environ.get("BENCH_TAIL", "100_000"))
TEAMS: Final = 100
MIDDLE: Final = 33_504
AIM_S: Final = 10.0
QUIET: Final = {"EXCHANGE_SNAPSHOTS__EVERY_RECORDS": "0"}
"""The server takes none of its own."""

BUY, SELL = Side.BUY, Side.SELL


def _opening(config_rules: GameRules) -> Iterator[AnyCommand]:
    """A game with ORDERS at rest, at 1,000 prices a side."""
    yield OpenGame(config_rules)
    for team in range(1, TEAMS + 1):
        yield RegisterTeam(f"T{team}", "player", b"%32d" % team, "", team)
    random = random_stream(1, "recovery")
    for number in range(ORDERS):
        side, offset = (BUY, -1 - random.randrange(1_000)) if number % 2 else (SELL, random.randrange(1_000))
        yield _order(number, side, MIDDLE + offset, random.randrange(1, 100))


def _tail(random: Random, last_order: int) -> Iterator[AnyCommand]:
    """Orders near the middle, half of which trade; cancels and amends of any order."""
    for number in range(ORDERS, ORDERS + TAIL):
        choice, order_id = random.random(), random.randrange(TEAMS + 2, last_order + 1)
        account = (order_id - TEAMS - 2) % TEAMS + 1
        if choice < 0.5:
            side = (BUY, SELL)[number % 2]
            yield _order(number, side, MIDDLE + random.randint(-5, 5), random.randrange(1, 100))
        elif choice < 0.85:
            yield CancelOrder(account, order_id, FLOW_INSTRUMENT, "bench-request")
        else:
            yield AmendOrder(
                account, order_id, FLOW_INSTRUMENT, random.randrange(1, 50), None, "bench-request"
            )


def _order(number: int, side: Side, price_ticks: int, quantity: int) -> NewOrder:
    return NewOrder(
        number % TEAMS + 1,
        FLOW_INSTRUMENT,
        side,
        OrderType.LIMIT,
        price_ticks,
        quantity,
        TimeInForce.GTC,
        f"bench-{number:012}-0123456789abcdef",
        "bench-request",
    )


async def _append(folder: Path, commands: Iterable[AnyCommand]) -> int:
    """Journal ``commands`` in batches as the server does; the last sequence."""
    journal = SqliteJournal.open(folder, SystemClock(), synchronous="off")
    now_us, waiting = SystemClock().now_us(), iter(commands)
    while batch := list(islice(waiting, STAGE_BATCH)):
        first = journal.last_sequence + 1
        await journal.append(encode_batch([Record(first + n, now_us, each) for n, each in enumerate(batch)]))
    await journal.close()
    return journal.last_sequence


class _Ready(NamedTuple):
    """From start to the ready line: seconds, those of them on a core, and MiB of memory then."""

    seconds: float
    cpu_s: float
    memory_mib: float


def _ready(folder: Path) -> _Ready:
    started = time.perf_counter()
    with ServerProcess(folder, ["--preset", "flow"], environment=QUIET) as server:
        seconds = time.perf_counter() - started
        assert "READ-ONLY" not in server.ready_line, server.ready_line
        ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        pages = Path(f"/proc/{server.pid}/statm").read_text().split()[1]
    cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return _Ready(seconds, cpu_s, int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20)


def _told(what: str, ready: _Ready) -> None:
    print(f"  {what:58} {ready.seconds:5.1f} s, {ready.cpu_s:.1f} s of a core, {ready.memory_mib:.0f} MiB")


def main() -> None:
    """Print the section."""
    rules = load_config(None, {}, {"game.preset": "flow"}).rules()
    heading("recovery", f"{ORDERS:,} open orders of {TEAMS} teams, a tail of {TAIL:,} commands")
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as name:
        folder = Path(name) / "game"
        last = uvloop.run(_append(folder, _opening(rules)))
        whole = _ready(folder)
        started, on_core = time.perf_counter(), time.process_time()
        taken = take_snapshot(folder, build_core)
        made_s, made_cpu_s = time.perf_counter() - started, time.process_time() - on_core
        assert taken is not None
        loaded = _ready(folder)
        uvloop.run(_append(folder, _tail(random_stream(2, "recovery"), last)))
        ready = [_ready(folder) for _ in range(3)]
    show(Figure("snapshot and tail, over 10 s", [each.seconds / AIM_S for each in ready], at_most=1))
    show(Figure("the same, of a core", [each.cpu_s / AIM_S for each in ready], at_most=1))
    show(Figure("snapshot over replay of the orders, of a core", [loaded.cpu_s / whole.cpu_s], at_most=1))
    _told("the orders, replayed", whole)
    _told("the orders, from their snapshot", loaded)
    _told("snapshot and tail", min(ready))
    size = f"{taken.payload_bytes / 2**20:.0f} MiB"
    print(f"  the snapshot: {size}, made and verified in {made_s:.1f} s, {made_cpu_s:.1f} s of a core")


if __name__ == "__main__":
    main()
