"""``exchange`` on a disk that refuses: EXCHANGE_TEST_FAULT is the fault, EXCHANGE_TEST_DATA the folder.

When it strikes, the moment (monotonic, ns) is written to EXCHANGE_TEST_STRUCK.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from exchange.cli import main
from tests.support.disk import installed
from tests.support.faults import FailingDisk, Fault


def _struck() -> None:
    Path(os.environ["EXCHANGE_TEST_STRUCK"]).write_text(str(time.monotonic_ns()))


if __name__ == "__main__":
    fault = msgspec.json.decode(os.environ["EXCHANGE_TEST_FAULT"], type=Fault)
    with installed(FailingDisk(fault, _struck), Path(os.environ["EXCHANGE_TEST_DATA"]).absolute()):
        main()
