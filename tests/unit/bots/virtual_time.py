"""Hours in seconds: a loop whose time jumps to the next timer whenever nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_US = 1_704_067_200_000_000


class _JumpingSelector(selectors.DefaultSelector):
    """In place of waiting for the next timer, the time is set to it."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that no timer will bring")
        self.skipped_s += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing outside the process may be waited for."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.skipped_s


class LoopClock:
    """The time of the loop as a clock of the exchange."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_us(self) -> int:
        return START_US + round(self._loop.time() * 1e6)

    def monotonic_ns(self) -> int:
        return round(self._loop.time() * 1e9)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """The result of ``main``, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
