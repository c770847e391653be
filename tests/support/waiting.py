"""Waiting for a condition of an exchange in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 20.0


async def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Let the loop go on until ``condition`` holds; raises TimeoutError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not condition():
        if loop.time() > end:
            raise TimeoutError
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_later(0.001, turn.set_result, None)
        await turn
