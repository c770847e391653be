"""An uncross of 100,000 orders in one instrument, and the longest that one slice of it holds the loop.

Two books: every order at one price, so that each trade is of two whole orders; and 2,000 prices with random
quantities, all crossing. ``match`` is the uncross alone, ``path`` the stages match, settle and publish around
it, in one event loop, with the longest turn of that loop. Orders are of 100 teams. CPU time.
"""

from __future__ import annotations

import asyncio
import gc
import platform
from collections.abc import Callable, Iterator
from itertools import chain
from time import perf_counter, thread_time
from typing import Final

from exchange.app import Exchange
from exchange.base.bounds import STAGE_BATCH
from exchange.base.clock import SystemClock
from exchange.base.entropy import SeededEntropy
from exchange.base.streams import random_stream
from exchange.config import Config, GameConfig, JournalConfig
from exchange.engine.venue import Venue
from exchange.journal.memory import MemoryJournal
from exchange.journal.records import encode_batch
from exchange.model.commands import AnyCommand, NewOrder, OpenGame, Record, RegisterTeam, SetPhase
from exchange.model.events import Traded
from exchange.model.presets import FLOW_INSTRUMENT, preset_rules
from exchange.model.types import OrderType, Phase, Side, TimeInForce

ORDERS: Final = 100_000
TEAMS: Final = 100
MIDDLE: Final = 33_504
BUY, SELL = Side.BUY, Side.SELL

Shape = Callable[[], Iterator[tuple[Side, int, int]]]


def one_price() -> Iterator[tuple[Side, int, int]]:
    """Half buys, half sells, of one lot at one price."""
    for number in range(ORDERS):
        yield (BUY, SELL)[number % 2], MIDDLE, 1


def many_prices() -> Iterator[tuple[Side, int, int]]:
    """Buys above and sells below the middle, at 1,000 prices a side."""
    random = random_stream(1, "auction")
    for number in range(ORDERS):
        offset, quantity = random.randrange(1_000), random.randrange(1, 100)
        yield (BUY, MIDDLE + offset, quantity) if number % 2 else (SELL, MIDDLE - offset, quantity)


def _called(shape: Shape) -> Venue:
    venue = Venue(preset_rules("flow"))
    venue.apply(Record(1, 0, SetPhase(Phase.PRE_OPEN, "bench")))
    for sequence, order in enumerate(_orders(shape), 2):
        venue.apply(Record(sequence, 0, order))
    return venue


def _orders(shape: Shape) -> Iterator[NewOrder]:
    kind, lasting = OrderType.LIMIT, TimeInForce.GTC
    for number, (side, price, quantity) in enumerate(shape()):
        account = number // 2 % TEAMS + 1
        yield NewOrder(account, FLOW_INSTRUMENT, side, kind, price, quantity, lasting, None, "")


def _uncross(venue: Venue) -> tuple[float, float, int]:
    """Seconds in all, of the longest slice, and the number of trades."""
    record = Record(ORDERS + 2, 0, SetPhase(Phase.OPENING_AUCTION, "bench"))
    steps, longest, trades = venue.steps(record), 0.0, 0
    gc.collect()
    started = before = thread_time()
    for events in steps:
        now = thread_time()
        longest, before = max(longest, now - before), now
        trades += sum(type(event) is Traded for event in events)
        before = thread_time()
    return thread_time() - started, max(longest, thread_time() - before), trades


async def _path(shape: Shape) -> tuple[float, float]:
    """Seconds until the last event is settled and published, and of the longest turn of the loop."""
    rules = preset_rules("flow")
    commands: Iterator[AnyCommand] = chain(
        [OpenGame(rules)],
        (RegisterTeam(f"T{team}", "player", b"%32d" % team, "", team) for team in range(1, TEAMS + 1)),
        [SetPhase(Phase.PRE_OPEN, "bench")],
        _orders(shape),
    )
    journal = MemoryJournal(random_stream(1, "journal"))
    records = [Record(sequence, 0, command) for sequence, command in enumerate(commands, 1)]
    for first in range(0, len(records), STAGE_BATCH):
        await journal.append(encode_batch(records[first : first + STAGE_BATCH]))
    config = Config(game=GameConfig(preset="flow"), journal=JournalConfig(restart_grace_s=0))
    entropy = SeededEntropy(1)
    exchange = Exchange(config, journal, clock=SystemClock(), entropy=entropy, admin_key="bench")
    await exchange.start()
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(exchange.run())
        started = before = perf_counter()
        exchange.path.submit_system(SetPhase(Phase.OPENING_AUCTION, "bench"))
        exchange.stop()
        longest = 0.0
        while not running.done():
            await asyncio.sleep(0)
            now = perf_counter()
            longest, before = max(longest, now - before), now
    gc.unfreeze()
    return perf_counter() - started, longest


def main() -> None:
    """Print the table."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {ORDERS:,} orders")
    heads = ("trades", "match ms", "longest slice", "path ms", "longest turn", "indicative")
    print(f"{'book':<14}" + "".join(f"{head:>15}" for head in heads))
    for shape in (one_price, many_prices):
        totals = []
        for _ in range(3):
            venue = _called(shape)
            started = thread_time()
            venue.indicative(FLOW_INSTRUMENT)
            indicative = thread_time() - started
            totals.append((*_uncross(venue), indicative))
        total, longest, trades, indicative = min(totals)
        path, turn = asyncio.run(_path(shape))
        times = (total, longest, path, turn, indicative)
        print(f"{shape.__name__:<14}{trades:>15,}" + "".join(f"{each * 1e3:>15.1f}" for each in times))


if __name__ == "__main__":
    main()
