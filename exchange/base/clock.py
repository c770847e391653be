"""Where time comes from. Rules never ask for it: it arrives in the command."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

GAME_START_US: Final = 1_704_067_200_000_000
"""2024-01-01 00:00:00 UTC: where clocks that are not the machine's begin."""


class Clock(Protocol):
    """Wall clock in microseconds since 1970 UTC, and a monotonic one in nanoseconds for durations."""

    def now_us(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    # Read ten times for each order: without a frame of Python around it.
    monotonic_ns = staticmethod(time.perf_counter_ns)


class ManualClock:
    """A clock that stands still until it is advanced; both readings move together."""

    def __init__(self, start_us: int = GAME_START_US) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def monotonic_ns(self) -> int:
        return self._now_us * 1000

    def advance(self, seconds: float) -> None:
        """Move time by ``seconds``; a negative value is a wall clock set back."""
        self._now_us += round(seconds * 1_000_000)


class LoopClock:
    """The time of an event loop, for one that runs in virtual time; the wall clock begins at ``start_us``."""

    def __init__(self, loop_time_s: Callable[[], float], start_us: int = GAME_START_US) -> None:
        self._loop_time_s = loop_time_s
        self._start_us = start_us

    def now_us(self) -> int:
        return self._start_us + round(self._loop_time_s() * 1_000_000)

    def monotonic_ns(self) -> int:
        return round(self._loop_time_s() * 1_000_000_000)
