"""Order flows from a seed, in the format of the recorded ones, for whoever lacks those.

    python -m bench.flowgen FOLDER [--orders 20000] [--seed 1]

writes ``flow_<name>.csv.gz`` for each shape. Nine orders in ten are withdrawn before they trade; a fifth is
amended first, always upwards; one in seven is immediate-or-cancel.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from bench.flows import Message, write_flow
from exchange.base.streams import random_stream
from exchange.model.types import Side

MID_TICKS: Final = 33_504
IMMEDIATE, AMENDED, CANCELLED = 0.15, 0.2, 0.965


class Shape(msgspec.Struct, frozen=True):
    """What makes one flow unlike another; times are counted in orders.

    ``lifetime`` is the mean time until an order is cancelled, ``away_ticks`` the mean distance of its price
    from the middle, ``aggressive`` the share of orders priced through the middle, ``jitter_ticks`` how far
    apart orders take the middle to be, and ``crash`` the part of it that is lost around half-time.
    """

    lifetime: float
    away_ticks: float
    aggressive: float
    jitter_ticks: float = 0.0
    crash: float = 0.0


SHAPES: Final = {
    "normal": Shape(lifetime=0.4, away_ticks=100, aggressive=0.1, jitter_ticks=10),
    "static": Shape(lifetime=500, away_ticks=6, aggressive=0.0),
    "flash_crash": Shape(lifetime=0.4, away_ticks=100, aggressive=0.1, jitter_ticks=10, crash=0.05),
    "overlapping": Shape(lifetime=800, away_ticks=120, aggressive=0.4, jitter_ticks=10),
}


def generate(shape: Shape, orders: int, seed: int) -> list[Message]:
    """Messages of ``orders`` new orders with their amends and cancels; the same for the same arguments."""
    random = random_stream(seed, "flow")
    numbers = random.sample(range(1, orders + 1), orders)
    timed = [
        (at, place, message)
        for place, number in enumerate(numbers)
        for at, message in _order(random, shape, number, place, orders)
    ]
    timed.sort(key=lambda each: each[:2])
    return [msgspec.structs.replace(message, seq=seq) for seq, (_, _, message) in enumerate(timed)]


def _order(
    random: Random, shape: Shape, number: int, place: int, orders: int
) -> Iterator[tuple[float, Message]]:
    side = random.choice((Side.BUY, Side.SELL))
    away = max(1, round(random.expovariate(1 / shape.away_ticks)))
    if random.random() < shape.aggressive:
        away = -away
    price = _middle(random, shape, place, orders) - away * side.sign
    quantity, immediate = random.randint(1, 100), random.random() < IMMEDIATE
    yield place, Message(0, "new", number, side, price, quantity, immediate)
    if immediate:
        return
    ends = place + random.expovariate(1 / shape.lifetime)
    if random.random() < AMENDED:
        raised = quantity + random.randint(1, 10)
        nearer = price + random.choice((-1, 0, 1))
        yield random.uniform(place, ends), Message(0, "amend", number, side, nearer, raised)
    if random.random() < CANCELLED:
        yield ends, Message(0, "cancel", number)


def _middle(random: Random, shape: Shape, place: int, orders: int) -> int:
    jitter = random.gauss(0, shape.jitter_ticks)
    fallen = min(1.0, max(0.0, 10 * (place / orders - 0.45)))
    return round(MID_TICKS * (1 - shape.crash * fallen) + jitter)


def main() -> None:
    """Write one file per shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        messages = generate(shape, options.orders, options.seed)
        path = options.folder / f"flow_{name}.csv.gz"
        write_flow(path, messages)
        print(f"{path}: {len(messages):,} messages")


if __name__ == "__main__":
    main()
