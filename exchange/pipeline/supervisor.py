"""Starts the tasks, restarts those that may be, and lets the stages drain in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from exchange.log import Logger
from exchange.metrics import Metrics

RESTART_FIRST_S: Final = 0.1
RESTART_LONGEST_S: Final = 10.0


async def restarted(name: str, run: Callable[[], Awaitable[None]], log: Logger, metrics: Metrics) -> None:
    """Run ``run`` until it returns; after an exception again, with a delay that doubles up to 10 s."""
    delay_s = RESTART_FIRST_S
    while True:
        try:
            await run()
            return
        except Exception:
            metrics.task_restarts.labels(name).inc()
            log.exception("task failed, restarting", task=name, delay_s=delay_s)
        await anyio.sleep(delay_s)
        delay_s = min(delay_s * 2, RESTART_LONGEST_S)


async def every(interval_s: float, act: Callable[[], object]) -> None:
    """Call ``act`` each ``interval_s`` seconds, for ever."""
    while True:
        await anyio.sleep(interval_s)
        act()


async def watch_loop_lag(metrics: Metrics, interval_s: float = 0.1) -> None:
    """Measure how late the event loop wakes a timer."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval_s
        await anyio.sleep(interval_s)
        metrics.loop_lag_seconds.observe(max(0.0, loop.time() - due))
