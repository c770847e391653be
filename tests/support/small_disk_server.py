"""``exchange`` on a disk that is full soon: no file may grow beyond EXCHANGE_TEST_DISK_BYTES."""

from __future__ import annotations

import os
import resource
import signal

from exchange.cli import main

if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = int(os.environ["EXCHANGE_TEST_DISK_BYTES"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main()
