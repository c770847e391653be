"""The demonstration as this process: a server as its child, bots on its own event loop, signals."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

import anyio
import msgspec
import uvloop
from rich.console import Console

from exchange.api.transport.listener import bind
from exchange.base.clock import SystemClock
from exchange.client import ExchangeError
from exchange.demo.cast import CAST
from exchange.demo.meter import Meter
from exchange.demo.screen import Screen
from exchange.demo.troupe import Troupe, engage
from exchange.process import ServerDidNotStart, ServerProcess, running

PRESET: Final = "small"
SEED: Final = 1
WATCH_S: Final = 0.25
"""How often the demonstration looks whether its server lives."""
STOP_TIMEOUT_S: Final = 5.0
"""For bots to end and for orders to be cancelled, each; what takes longer is cut off."""

_LOG: Final = logging.getLogger("exchange.demo")


class DemoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``seconds`` is None to go on until a signal. ``port`` is given way on when it is busy."""

    seconds: float | None = None
    keep: bool = False
    port: int = 8000
    data: Path = Path("data")


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended: ``failure`` is None for a clean stop, ``left`` are orders still open, None if unknown."""

    failure: str | None = None
    left: int | None = None
    began: bool = True


def run_demo(settings: DemoSettings, console: Console) -> str | None:
    """Until SIGINT, SIGTERM or the end of its time; what failed, None for a clean stop."""
    made_parent = not settings.data.exists()
    settings.data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=settings.data))
    clock = SystemClock()
    screen = Screen(console, Meter(), lambda: clock.monotonic_ns() / 1e9)
    with _logging_to(folder / "bots.log"):
        ending = uvloop.run(_run(settings, screen, folder))
    kept = settings.keep or ending.failure is not None
    if not kept:
        shutil.rmtree(folder)
        if made_parent and not any(settings.data.iterdir()):
            settings.data.rmdir()
    if ending.began:
        screen.summary(ending.left, f"data kept in {folder}" if kept else "data removed")
    return ending.failure and f"{ending.failure}; logs are in {folder}"


async def _run(settings: DemoSettings, screen: Screen, folder: Path) -> Ending:
    return await Demo(settings, screen, folder).run()


class Demo:
    """One performance, with its data in ``folder``."""

    def __init__(self, settings: DemoSettings, screen: Screen, folder: Path) -> None:
        self._seconds = settings.seconds
        self._screen = screen
        self._starting = anyio.CancelScope()
        self._stopping = anyio.Event()
        self._server = ServerProcess(
            folder / "game",
            ("--preset", PRESET),
            port=_free(settings.port),
            log=folder / "server.log",
            own_group=True,
        )

    async def run(self) -> Ending:
        """Start, play, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            async with AsyncExitStack() as stack:
                with self._starting:
                    await stack.enter_async_context(running(self._server))
                    troupe = await engage(
                        self._server.url, self._server.admin_key, CAST, self._screen.meter, SEED
                    )
                if self._starting.cancelled_caught:
                    return Ending(began=False)
                left = await self._play(troupe)
        except (ServerDidNotStart, ExchangeError) as error:
            return Ending(failure=str(error), began=False)
        return Ending(failure=self._server_failure(), left=left)

    def _stop(self) -> None:
        self._starting.cancel()
        self._stopping.set()

    async def _play(self, troupe: Troupe) -> int | None:
        self._screen.announce(self._server.url, troupe)
        try:
            await self._perform(troupe)
            if self._server.exit_code is None:
                with anyio.move_on_after(STOP_TIMEOUT_S):
                    return await troupe.cancel_orders()
        except ExchangeError as error:
            _LOG.error("orders could not be cancelled: %s", error)
        finally:
            with anyio.move_on_after(STOP_TIMEOUT_S, shield=True):
                await troupe.close()
        return None

    async def _perform(self, troupe: Troupe) -> None:
        ended = anyio.Event()

        async def perform() -> None:
            await troupe.perform()
            ended.set()
            self._stopping.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(perform)
            tasks.start_soon(self._watch_server)
            tasks.start_soon(self._show, troupe)
            with anyio.move_on_after(self._seconds):
                await self._stopping.wait()
            troupe.stop()
            if self._server.exit_code is None:
                with anyio.move_on_after(STOP_TIMEOUT_S):
                    await ended.wait()
            tasks.cancel_scope.cancel()

    async def _watch_server(self) -> None:
        while True:
            await anyio.sleep(WATCH_S)
            if self._server.exit_code is not None:
                self._stopping.set()
                return

    async def _show(self, troupe: Troupe) -> None:
        with self._screen.running():
            while True:
                await anyio.sleep(self._screen.interval_s)
                self._screen.refresh(troupe)

    def _server_failure(self) -> str | None:
        code = self._server.exit_code
        return None if code == 0 else f"the server ended with exit code {code}"


def _free(port: int) -> int:
    try:
        bind("127.0.0.1", port).close()
    except OSError:
        return 0
    return port


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    # What bots have to say would tear the live display apart.
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
