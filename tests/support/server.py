"""The server as its users start it: a process of its own, on a free port, with an empty data folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import NamedTuple

START_SECONDS = 30
STOP_SECONDS = 20
_READY = re.compile(r"exchange ready on (\S+) ")


class Server(NamedTuple):
    """A running server."""

    url: str
    admin_key: str
    process_id: int


@contextmanager
def running_server(data: Path, *arguments: str) -> Iterator[Server]:
    """``exchange serve`` until leaving; what it logged is in ``data``/server.log."""
    command = [sys.executable, "-m", "exchange", "serve", "--port", "0", "--data", str(data), *arguments]
    data.mkdir(parents=True, exist_ok=True)
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        try:
            url = _wait_ready(process, data / "server.log")
            yield Server(url, (data / "admin.key").read_text().strip(), process.pid)
        finally:
            _stop(process)


def _wait_ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    late = Timer(START_SECONDS, process.kill)
    late.start()
    try:
        for line in process.stdout:
            ready = _READY.match(line)
            if ready is not None:
                return ready[1]
    finally:
        late.cancel()
    raise AssertionError(f"the server did not start: {log.read_text()}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
