"""``exchange`` that notes when each new order was matched, for whoever measures from there.

``python -m bench.stamped_server serve ...`` writes to the file that ``BENCH_STAMPS`` names, when it stops: a
line per order with its instrument, quantity and monotonic nanosecond. An order is known by its quantity.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path

from exchange.cli import main
from exchange.engine.venue import Venue
from exchange.model.commands import NewOrder, Record
from exchange.model.events import AnyVenueEvent

_stamps: list[tuple[str, int, int]] = []
_apply = Venue.apply


def _stamped(self: Venue, record: Record) -> list[AnyVenueEvent]:
    command = record.command
    if type(command) is NewOrder:
        _stamps.append((command.instrument_id, command.quantity, time.monotonic_ns()))
    return _apply(self, record)


def _write() -> None:
    lines = "".join(f"{name} {quantity} {at_ns}\n" for name, quantity, at_ns in _stamps)
    Path(os.environ["BENCH_STAMPS"]).write_text(lines)


if __name__ == "__main__":
    Venue.apply = _stamped  # type: ignore[method-assign]
    atexit.register(_write)
    main()
