"""docs/operations.md against the code."""

from __future__ import annotations

import random
import re
from pathlib import Path

from exchange.app import Exchange
from exchange.base.clock import ManualClock
from exchange.base.entropy import SeededEntropy
from exchange.config import load_config
from exchange.journal.memory import MemoryJournal

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


async def test_operations_page_lists_every_metric() -> None:
    """The table has the metrics that a running server exposes, no more and no fewer."""
    journal = MemoryJournal(random.Random(1))
    exchange = Exchange(
        load_config(None, {}, {"game.preset": "flow"}),
        journal,
        clock=ManualClock(),
        entropy=SeededEntropy(1),
        admin_key="k",
    )
    await exchange.start()
    exposed = set(re.findall(r"^# TYPE (\S+)", exchange.metrics.exposition().decode(), flags=re.MULTILINE))
    exposed = {name for name in exposed if not name.endswith("_created")}
    told = set(re.findall(r"^\| `(exchange_\w+)`", PAGE.read_text(), flags=re.MULTILINE))
    assert told == exposed
