"""A deadline that moves with every request and is hardly ever reached."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from math import inf

from exchange.base.bounds import TIMER_TICK_S


class Deadline:
    """Calls ``expired`` once when the moment last set has passed.

    Moving it costs an assignment: the timer stays where it is and, when it fires early, arms itself again.
    """

    __slots__ = ("_armed_for", "_expired", "_loop", "_timer", "_when")

    def __init__(self, loop: AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._when = inf
        self._armed_for = inf
        self._timer: TimerHandle | None = None

    def set(self, delay_s: float) -> None:
        """Let it pass ``delay_s`` from now, whatever was set before."""
        when = self._when = self._loop.time() + delay_s
        if when < self._armed_for:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(when, delay_s)

    def clear(self) -> None:
        """Nothing is due until it is set again."""
        self._when = inf

    def cancel(self) -> None:
        """Nothing is due any more, and no timer keeps its owner alive."""
        self._when = self._armed_for = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float, delay_s: float) -> None:
        self._armed_for = when
        self._timer = self._loop.call_later(max(delay_s, TIMER_TICK_S), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._armed_for = inf
        if self._when == inf:
            return
        left_s = self._when - self._loop.time()
        if left_s > 0:
            self._arm(self._when, left_s)
        else:
            self._when = inf
            self._expired()
