"""Matching on recorded flows against a bare loop; then memory under cancels, and the longest single call.

A flow is decoded first, so that neither loop pays for it. Inside the measured loops there is, per message:

bare      one step of ``for``, the tuple of seven fields unpacked, and a call of an empty function with them
one       one step of ``for``, and a call of an empty function with the tuple: less than any engine can need
matching  one step of ``for``, the tuple unpacked, two comparisons to tell actions apart, and the call of
          Matcher.enter, Matcher.cancel or amend: what Venue.apply calls for the three commands of a flow

Matching makes every event that the venue reports, and drops it. The loops take turns in one process; of each
the best turn counts, in CPU time, so that the turns of other programs don't. Reports of recorded flows are
checked against their hashes first.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import thread_time_ns
from typing import Final, TypeAlias

import msgspec

from bench.flowgen import SHAPES, generate
from bench.flows import ACCOUNT, RECORDED, FlowPlayer, Message, read_flow
from exchange.base.streams import random_stream
from exchange.engine.amending import amend
from exchange.engine.book import Book
from exchange.engine.matching import Matcher, VenueCounters
from exchange.engine.venue import Venue
from exchange.model.commands import AmendOrder, AnyCommand, CancelOrder, NewOrder, Record, SetPhase
from exchange.model.presets import FLOW_INSTRUMENT, preset_rules
from exchange.model.types import OrderType, Phase, SelfTradePrevention, Side, TimeInForce

Call: TypeAlias = tuple[int, int, int, Side, int, int, bool]
"""Action (0 new, 1 cancel, 2 amend), sequence, order number, side, price, quantity, and whether it rests.

The quantity of an amend is the order's new total.
"""

GROWTH_ORDERS: Final = 1_000_000
RESTING: Final = 100_000
BUY, SELL = Side.BUY, Side.SELL


def _matcher() -> Matcher:
    return Matcher(Book("FLOW", 33_504), VenueCounters(), SelfTradePrevention.NONE)


# --- flows --------------------------------------------------------------------------------------------


def _nothing(
    action: int, sequence: int, number: int, side: Side, price: int, quantity: int, rests: bool
) -> None:
    pass


def _nothing_at_all(call: Call) -> None:
    pass


def _bare(calls: Sequence[Call]) -> int:
    start = thread_time_ns()
    for action, sequence, number, side, price, quantity, rests in calls:
        _nothing(action, sequence, number, side, price, quantity, rests)
    return thread_time_ns() - start


def _one(calls: Sequence[Call]) -> int:
    start = thread_time_ns()
    for call in calls:
        _nothing_at_all(call)
    return thread_time_ns() - start


def _matching(calls: Sequence[Call]) -> int:
    matcher = _matcher()
    enter, cancel = matcher.enter, matcher.cancel
    start = thread_time_ns()
    for action, sequence, number, side, price, quantity, rests in calls:
        if action == 0:
            enter(sequence, 1, side, price, quantity, rests)
        elif action == 1:
            cancel(1, number)
        else:
            amend(matcher, sequence, 1, number, quantity, price)
    return thread_time_ns() - start


def _decode(sequence: int, command: AnyCommand) -> Call:
    match command:
        case NewOrder(price_ticks=int(price), quantity=quantity):
            rests = command.time_in_force is not TimeInForce.IOC
            return 0, sequence, sequence, command.side, price, quantity, rests
        case CancelOrder():
            return 1, sequence, command.order_id, BUY, 0, 0, False
        case AmendOrder(quantity=int(total), price_ticks=int(price)):
            return 2, sequence, command.order_id, BUY, price, total, False
        case _:
            raise ValueError(command)


class Measured(msgspec.Struct, frozen=True):
    """One flow; nanoseconds per message."""

    name: str
    messages: int
    mix: str
    events: int
    trades: int
    bare: float
    one: float
    matching: float


def _measure_flow(name: str, messages: Sequence[Message], recorded: bool, rounds: int) -> Measured:
    player = FlowPlayer()
    lines = [line for message in messages for line in player.play(message)]
    if recorded and hashlib.sha256("\n".join(lines).encode()).hexdigest() != RECORDED[name]:
        raise SystemExit(f"{name}: the reports are not the recorded ones")
    calls = [_decode(sequence, command) for sequence, command in enumerate(player.commands, start=1)]
    loops: tuple[Callable[[Sequence[Call]], int], ...] = (_bare, _one, _matching)
    turns = [[loop(calls) for loop in loops] for _ in range(rounds)]
    kinds = Counter(call[0] for call in calls)
    mix = "/".join(f"{100 * kinds[kind] / len(calls):.0f}" for kind in range(3))
    best = [min(times) / len(calls) for times in zip(*turns, strict=True)]
    return Measured(name, len(calls), mix, len(lines), player.trades, *best)


def _flows() -> Iterator[tuple[str, Sequence[Message], bool]]:
    """Recorded flows where they are, else flows of the same shapes from a seed."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EXCHANGE_SHARED_DATA") or repository.parent / "shared" / "data")
    recorded = folder.is_dir()
    print("Recorded flows" if recorded else "Flows from a seed")
    for name in RECORDED:
        path = folder / f"flow_{name}.csv.gz"
        yield name, read_flow(path) if recorded else generate(SHAPES[name], 20_000, 1), recorded


def measure_flows(rounds: int) -> None:
    """One line per flow. What a loop costs that does nothing does not depend on the flow: its best counts."""
    flows = [_measure_flow(*flow, rounds) for flow in _flows()]
    bare, one = min(flow.bare for flow in flows), min(flow.one for flow in flows)
    print(f"CPU ns per message, best of {rounds} turns: bare loop {bare:.0f}, one argument {one:.0f}")
    print("flow         messages  n/c/a %   events   trades  matching  to bare   to one")
    for flow in flows:
        print(
            f"{flow.name:12} {flow.messages:8,} {flow.mix:>8} {flow.events:8,} {flow.trades:8,} "
            f"{flow.matching:9.0f}   1/{flow.matching / bare:<6.1f} 1/{flow.matching / one:.1f}"
        )
    print(f"worst flow: 1/{max(flow.matching for flow in flows) / bare:.1f} of the bare loop")


# --- memory -------------------------------------------------------------------------------------------


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_growth() -> None:
    """A million orders around the middle, 19 of 20 cancelled after a while, at random."""
    random = random_stream(1, "growth")
    matcher = _matcher()
    sides = (matcher.book.bids, matcher.book.asks)
    waiting: list[int] = []
    most_dead = 0.0
    before = _resident_mib()
    for number in range(1, GROWTH_ORDERS + 1):
        side = BUY if random.random() < 0.5 else SELL
        price = 33_504 - side.sign * random.randint(1, 500)
        matcher.enter(number, ACCOUNT, side, price, 1, True)
        if random.random() < 0.95:
            waiting.append(number)
        if len(waiting) > 2_000:
            place = random.randrange(2_000)
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
            matcher.cancel(ACCOUNT, waiting.pop())
        if number % 1_000 == 0:
            most_dead = max(most_dead, *(side.dead / len(side.queue) for side in sides))
    live = sum(len(side.queue) for side in sides)
    grown = _resident_mib() - before
    print(
        f"\n95 % cancels: {GROWTH_ORDERS:,} orders, {live:,} live at the end, grown by {grown:.1f} MiB"
        f" ({grown * 2**20 / live:.0f} bytes a live order);"
        f"\nat most {most_dead:.2f} dead entries per live one"
    )


# --- the longest call ---------------------------------------------------------------------------------


class Stopwatch:
    """Longest call so far, in CPU time."""

    def __init__(self) -> None:
        self.longest_ns = 0

    def __call__(self, call: Callable[..., object], *arguments: object) -> None:
        start = thread_time_ns()
        call(*arguments)
        self.longest_ns = max(self.longest_ns, thread_time_ns() - start)


def _cancels_deep(watch: Stopwatch) -> None:
    """All on one side: cancel within, enter anew, until the dead were swept out of it twice"""
    random = random_stream(2, "deep")
    matcher = _matcher()
    live = list(range(1, RESTING + 1))
    for number in live:
        matcher.enter(number, ACCOUNT, SELL, 33_504 + random.randint(0, 500), 5, True)
    for number in range(RESTING + 1, 3 * RESTING + 1_000):
        place = random.randrange(RESTING)
        watch(matcher.cancel, ACCOUNT, live[place])
        watch(matcher.enter, number, ACCOUNT, SELL, 33_504 + random.randint(0, 500), 5, True)
        live[place] = number


def _surfacing(watch: Stopwatch) -> None:
    """99,999 dead entries between the best order and the others: the best is cancelled"""
    matcher = _matcher()
    for number in range(1, 2 * RESTING + 1):
        matcher.enter(number, ACCOUNT, SELL, 33_504 + number, 5, True)
    for number in range(2, RESTING + 1):
        watch(matcher.cancel, ACCOUNT, number)
    watch(matcher.cancel, ACCOUNT, 1)


def _sweeps(watch: Stopwatch) -> None:
    """500 lots, the largest order of the default roles, take 500 orders at 100 prices"""
    matcher = _matcher()
    for number in range(1, RESTING + 1):
        matcher.enter(number, ACCOUNT, SELL, 33_504 + number // 5, 1, True)
    for number in range(RESTING + 1, RESTING + 101):
        watch(matcher.enter, number, ACCOUNT, BUY, 99_999, 500, False)


def _close(watch: Stopwatch) -> None:
    """Market close, once a day: every order is cancelled by one command"""
    venue = Venue(preset_rules("flow"))
    for number in range(1, RESTING + 1):
        side = (BUY, SELL)[number % 2]
        price = 33_504 - side.sign * (1 + number % 500)
        tif = TimeInForce.GTC
        order = NewOrder(ACCOUNT, FLOW_INSTRUMENT, side, OrderType.LIMIT, price, 1, tif, None, "")
        venue.apply(Record(number, 0, order))
    watch(venue.apply, Record(RESTING + 1, 0, SetPhase(Phase.CLOSED, "")))


def measure_longest() -> None:
    """The longest call of each load."""
    print(f"\nLongest single call with {RESTING:,} orders resting, ms of CPU:")
    for load in (_cancels_deep, _surfacing, _sweeps, _close):
        watch = Stopwatch()
        load(watch)
        print(f"{watch.longest_ns / 1e6:8.2f}  {load.__doc__}")


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    processor = models[0].partition(": ")[2] if models else platform.machine()
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {processor}, {os.cpu_count()} cores"
    )


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(_machine())
    measure_flows(options.rounds)
    measure_growth()
    measure_longest()


if __name__ == "__main__":
    main()
