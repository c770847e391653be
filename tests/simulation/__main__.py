"""Run seeds by hand: ``python -m tests.simulation --seed 17``, or many: ``--seeds 500 --steps 2000``."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import structlog

from tests.simulation.world import Report, SimulationFailed, simulate

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--steps", type=int, default=2_000, help="of each")
    parser.add_argument("--verbose", action="store_true", help="with the exchange's own log")
    given = parser.parse_args()
    if not given.verbose:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    total, started_s = Report(), time.perf_counter()
    for seed in range(given.seed, given.seed + given.seeds):
        try:
            total.add(simulate(seed, given.steps))
        except SimulationFailed as failure:
            sys.exit(str(failure))
    seconds = time.perf_counter() - started_s
    sys.stdout.write(
        f"{total}\n{total.steps:,} steps in {seconds:.1f} s, {total.steps / seconds:,.0f} a second\n"
    )
