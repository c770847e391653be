"""``exchange`` on EXCHANGE_TEST_DATA; what it did there is in EXCHANGE_TEST_RECORD when it ends."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from exchange.cli import main
from tests.support.disk import installed
from tests.support.power import RecordingDisk

if __name__ == "__main__":
    directory = Path(os.environ["EXCHANGE_TEST_DATA"]).absolute()
    disk = RecordingDisk(directory)
    try:
        with installed(disk, directory):
            main()
    finally:
        Path(os.environ["EXCHANGE_TEST_RECORD"]).write_bytes(pickle.dumps(disk.record))
