"""Durable order entry over one WebSocket with 64 in flight, against the HTTP echo and a WebSocket echo."""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack

from bench.http_orders import order_source
from bench.load import LoadResult, drive
from bench.report import Figure, heading, show
from bench.servers import TEAMS, TWO_SIDED, order, running_echo, running_exchange
from bench.socket_load import drive_socket, frame

IN_FLIGHT = 64


def _orders() -> Iterator[bytes]:
    for number in itertools.count():
        # Sides alternate: the team trades with itself, which the bench's rules allow.
        side = TEAMS // 2 * (number % 2)
        request = {"id": number, "method": "order.new", "params": order(number, side)}
        yield frame(json.dumps(request).encode())


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args(arguments)
    heading("WebSocket order entry", f"one socket, {IN_FLIGHT} in flight, half of the orders fill on entry")
    results: dict[str, list[LoadResult]] = {"http echo": [], "socket echo": [], "durable": []}
    with ExitStack() as stack:
        echo = stack.enter_context(running_echo())
        server = stack.enter_context(running_exchange(role=TWO_SIDED))
        for _ in range(given.rounds):
            http = drive(echo, order_source(echo), connections=50, seconds=given.seconds)
            results["http echo"].append(http)
            for name, target in (("socket echo", echo), ("durable", server)):
                results[name].append(
                    drive_socket(target, _orders(), in_flight=IN_FLIGHT, seconds=given.seconds)
                )
    for name, each in results.items():
        rate = statistics.median(result.rate for result in each)
        cpu = statistics.median(result.cpu_per_request for result in each) * 1e6
        print(f"  {name:12} {rate:8,.0f} requests/s   CPU {cpu:5,.0f} us")
    for name, aim in (("http echo", 0.5), ("socket echo", None)):
        pairs = list(zip(results["durable"], results[name], strict=True))
        show(Figure(f"durable: rate / {name}", [a.rate / b.rate for a, b in pairs], at_least=aim))
        cpu_ratios = [b.cpu_per_request / a.cpu_per_request for a, b in pairs]
        show(Figure("  the same by the server's CPU per request", cpu_ratios))


if __name__ == "__main__":
    main()
