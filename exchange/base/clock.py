"""Where time comes from. Rules never ask for it: it arrives in the command."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock in microseconds since 1970 UTC, and a monotonic one in nanoseconds for durations."""

    def now_us(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_ns(self) -> int:
        return time.perf_counter_ns()


class ManualClock:
    """A clock that stands still until it is advanced; both readings move together."""

    def __init__(self, start_us: int = 1_704_067_200_000_000) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def monotonic_ns(self) -> int:
        return self._now_us * 1000

    def advance(self, seconds: float) -> None:
        """Move time by ``seconds``; a negative value is a wall clock set back."""
        self._now_us += round(seconds * 1_000_000)
