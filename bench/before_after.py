"""Order entry of this tree against that of another checkout, in turns: what a change costs the plain path.

``python -m bench.before_after CHECKOUT``; the other program runs on this environment's packages.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.http_orders import order_source
from bench.load import LoadResult, drive
from bench.report import Figure, heading, show
from bench.servers import ALONE, running_exchange

CONNECTIONS: Final = 50


def measure(checkout: Path, synchronous: str, rounds: int, seconds: float) -> dict[str, list[LoadResult]]:
    """Results of both programs, taken in turns."""
    # Else the folder this runs in would come before the other checkout.
    other = {**ALONE, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(checkout.resolve())}
    results: dict[str, list[LoadResult]] = {"before": [], "after": []}
    with ExitStack() as stack:
        servers = {
            "before": stack.enter_context(running_exchange(synchronous, other)),
            "after": stack.enter_context(running_exchange(synchronous, ALONE)),
        }
        for number in range(rounds):
            # Who goes first changes, so that neither always follows the other.
            for name in sorted(servers, reverse=bool(number % 2)):
                server = servers[name]
                source = order_source(server)
                results[name].append(drive(server, source, connections=CONNECTIONS, seconds=seconds))
    return results


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args(arguments)
    heading("Order entry before and after", f"{CONNECTIONS} connections, half of the orders fill on entry")
    for synchronous in ("full", "off"):
        results = measure(given.checkout, synchronous, given.rounds, given.seconds)
        pairs = list(zip(results["before"], results["after"], strict=True))
        rates = [after.rate / before.rate for before, after in pairs]
        cpu = [after.cpu_per_request / before.cpu_per_request for before, after in pairs]
        show(Figure(f"synchronous={synchronous}: rate, after / before", rates, at_least=0.95))
        show(Figure("  the server's CPU per request, after / before", cpu, at_most=1.05))


if __name__ == "__main__":
    main()
