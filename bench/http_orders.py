"""Durable order entry over HTTP against a route that only decodes the same body and answers."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

from bench.load import LoadResult, RequestSource, Target, drive, post
from bench.report import Figure, heading, show
from bench.servers import order, running_echo, running_exchange

Results = dict[str, list[LoadResult]]
LONE_ORDERS = 300


def order_source(server: Target) -> RequestSource:
    """Orders for each connection, with the key of its team."""

    def requests(connection: int) -> Iterator[bytes]:
        key = server.keys[connection % len(server.keys)]
        for number in itertools.count():
            body = json.dumps(order(number, connection)).encode()
            yield post(server.url, "/exchange/orders", body, {"X-API-Key": key})

    return requests


def measure(connections: int, rounds: int, seconds: float) -> Results:
    """Results per server, taken in turns, so that a machine that drifts drifts for all."""
    results: Results = {"echo": [], "durable": [], "off": []}
    with ExitStack() as stack:
        servers = {
            "echo": stack.enter_context(running_echo()),
            "durable": stack.enter_context(running_exchange("full")),
            "off": stack.enter_context(running_exchange("off")),
        }
        for _ in range(rounds):
            for name, server in servers.items():
                source = order_source(server)
                results[name].append(drive(server, source, connections=connections, seconds=seconds))
    failures = sum(result.failures for each in results.values() for result in each)
    if failures:
        raise RuntimeError(f"{failures} requests were not answered 200")
    return results


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args(arguments)
    heading("HTTP order entry", "one order a request, half of them fill on entry, role with nine constraints")
    many = measure(50, given.rounds, given.seconds)
    _show_rates(many)
    show(Figure("50 connections, durable: rate / echo", _ratios(many, "durable"), at_least=0.45))
    show(Figure("  the same by the server's CPU per request", _cpu_ratios(many, "durable")))
    show(Figure("50 connections, durable: p99 / echo's p99", _ratios(many, "durable", 0.99), at_most=3.0))
    show(Figure("50 connections, durability off: rate / echo", _ratios(many, "off"), at_least=0.60))
    one = measure(1, given.rounds, given.seconds / 2)
    commit_s = _commit_seconds()
    _show_rates(one)
    print(f"  one-row commit through the same writer: p50 {commit_s * 1e6:,.0f} us")
    shares = [
        ours.percentile(0.5) / (2 * echo.percentile(0.5) + 1.5 * commit_s)
        for ours, echo in zip(one["durable"], one["echo"], strict=True)
    ]
    show(Figure("1 connection, durable: p50 / (2 echo's + 1.5 commits)", shares, at_most=1.0))
    show(Figure("1 connection, durability off: p50 / echo's p50", _ratios(one, "off", 0.5), at_most=2.5))
    print(
        f"  validation to answer, durability off: p50 {_validation_us():.0f} us (seed 004 asks for < 1,000)"
    )


def _ratios(results: Results, name: str, share: float | None = None) -> list[float]:
    def value(result: LoadResult) -> float:
        return result.rate if share is None else result.percentile(share)

    return [value(ours) / value(echo) for ours, echo in zip(results[name], results["echo"], strict=True)]


def _cpu_ratios(results: Results, name: str) -> list[float]:
    pairs = zip(results[name], results["echo"], strict=True)
    return [echo.cpu_per_request / ours.cpu_per_request for ours, echo in pairs]


def _show_rates(results: Results) -> None:
    for name, each in results.items():
        rate = statistics.median(result.rate for result in each)
        p50, p99 = (statistics.median(r.percentile(share) for r in each) * 1e6 for share in (0.5, 0.99))
        cpu = statistics.median(result.cpu_per_request for result in each) * 1e6
        times = f"p50 {p50:7,.0f} us   p99 {p99:7,.0f} us   CPU {cpu:5,.0f} us"
        print(f"  {name:8} {rate:8,.0f} requests/s   {times}")


def _commit_seconds() -> float:
    command = [sys.executable, "-m", "bench.commit"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _validation_us() -> float:
    """What the server itself says of the time from registration to the answer."""
    with running_exchange("off") as server:
        totals = [_lone_order_ms(server.url, server.keys[0], number) for number in range(LONE_ORDERS)]
    return statistics.median(totals) * 1e3


def _lone_order_ms(url: str, key: str, number: int) -> float:
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    body = json.dumps(order(number, 0)).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/exchange/orders", body, headers)) as answer:
        spans = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    return float(spans["total"])


if __name__ == "__main__":
    main()
