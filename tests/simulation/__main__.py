"""Run seeds by hand: ``python -m tests.simulation --seed 17``, or many: ``--seeds 500 --steps 2000``.

Prints what happened as JSON; exit code 1 and how to see it again for the first seed that fails.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from contextlib import nullcontext

import msgspec
import structlog

from tests.simulation.planted import BY_NAME, planted
from tests.simulation.report import Report, SimulationFailed
from tests.simulation.world import simulate


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--steps", type=int, default=2_000, help="of each")
    parser.add_argument("--plant", metavar="NAME", choices=BY_NAME, help="with this bug in the exchange")
    parser.add_argument("--verbose", action="store_true", help="with the exchange's own log")
    given = parser.parse_args()
    if not given.verbose:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
            logger_factory=structlog.ReturnLoggerFactory(),
        )
    total, started_s = Report(), time.perf_counter()
    with planted(BY_NAME[given.plant]) if given.plant else nullcontext():
        for seed in range(given.seed, given.seed + given.seeds):
            try:
                total.add(simulate(seed, given.steps, given.plant))
            except SimulationFailed as failure:
                sys.exit(str(failure))
    seconds = time.perf_counter() - started_s
    told = msgspec.to_builtins(total) | {"steps_per_s": round(total.steps / seconds)}
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


if __name__ == "__main__":
    main()
