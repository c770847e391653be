"""The flow as this process: its own event loop, a server if none is given, and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import uvloop

from exchange.flow.recording import Recording
from exchange.flow.session import Outcome, Settings, play_flow
from exchange.process import ServerProcess, running

PRESET: Final = "flow"
SYNCHRONOUS: Final = "EXCHANGE_JOURNAL__SYNCHRONOUS"


def run_flow(
    url: str | None, recording: Recording, settings: Settings, progress: Callable[[int], None]
) -> Outcome | None:
    """Play on ``url``, without one on a server started for it; None when SIGINT or SIGTERM came.

    Raises what :func:`~exchange.flow.session.play_flow` raises, and ServerDidNotStart.
    """
    return uvloop.run(_run(url, recording, settings, progress))


async def _run(
    url: str | None, recording: Recording, settings: Settings, progress: Callable[[int], None]
) -> Outcome | None:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, scope.cancel)
        if url is not None:
            return await play_flow(url, recording, settings, progress)
        async with _own_server() as own_url:
            return await play_flow(own_url, recording, settings, progress)
    return None


@asynccontextmanager
async def _own_server() -> AsyncIterator[str]:
    # Nothing of this game is kept, so that waiting for the disk would only cost time.
    synchronous = os.environ.get(SYNCHRONOUS, "normal")
    with tempfile.TemporaryDirectory(prefix="exchange-flow-") as folder:
        server = ServerProcess(
            Path(folder) / "game",
            ("--preset", PRESET),
            environment={SYNCHRONOUS: synchronous, "EXCHANGE_STORAGE__ENABLED": "false"},
            own_group=True,
        )
        async with running(server):
            yield server.url
