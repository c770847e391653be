"""``python -m bench``: every figure in one run, or those named on the command line."""

from __future__ import annotations

import subprocess
import sys

from bench.report import machine

SECTIONS = (
    "http_orders",
    "socket_orders",
    "matching",
    "auction",
    "fanout",
    "market_data",
    "coordination",
    "projection",
    "recovery",
)


def main() -> None:
    """Each section in a process of its own: they pin themselves to cores."""
    print(f"machine: {machine()}")
    print("server on one core, client on the other; every ratio is of two things measured in this run")
    for section in sys.argv[1:] or SECTIONS:
        if section not in SECTIONS:
            raise SystemExit(f"no section {section}; there are {', '.join(SECTIONS)}")
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", f"bench.{section}"], check=True)


if __name__ == "__main__":
    main()
