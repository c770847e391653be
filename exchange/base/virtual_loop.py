"""An event loop without a clock of its own: when nothing is ready, time jumps to the next timer.

No socket, thread, signal or process exists here. Whoever needs nothing but tasks, timers, queues and futures
runs as fast as the machine computes, and the same program does the same at the same times on every run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from exchange.base import bounds

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

RESOLUTION_S: Final = 1e-6
"""Timers closer together than this are due at once, in the order of their times. Far above the rounding of
times that are centuries.
"""


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: on a real loop this would wait for ever."""


class Livelock(RuntimeError):
    """Something is always ready and time stands still: on a real loop this would spin for ever."""


class NotVirtual(RuntimeError):
    """Something asked for what virtual time has none of: a thread."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Time is in seconds since the loop was made. Runs to the end, or raises Deadlock or Livelock."""

    # BaseEventLoop's own, named here because they are no part of its public face.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._time_s = 0.0
        self._clock_resolution = RESOLUTION_S
        self._selector = _Timers(self._jump)

    def time(self) -> float:
        return self._time_s

    def call_between(self, place: float, callback: Callable[[], object]) -> None:
        """Run ``callback`` soon, between what is ready by now: 0 is before all of it, 1 after.

        Each ready callback is a task's step from one await to the next, so this is a moment at an await.
        """
        handle = asyncio.Handle(callback, (), self)
        self._ready.insert(round(place * len(self._ready)), handle)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise NotVirtual(f"{func!r} would run in a thread")

    # --- what BaseEventLoop leaves to its subclasses ---------------------------------------------

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _jump(self) -> None:
        # Exactly to the timer: adding up differences would round, and never arrive.
        self._time_s = max(self._time_s, self._scheduled[0].when())


class _Timers:
    """In the place of a selector: waiting is what makes time pass."""

    def __init__(self, jump: Callable[[], None]) -> None:
        self._jump = jump
        self._turns = 0

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise Deadlock("nothing is ready and no timer is set: everything waits for something else")
        self._turns += 1
        if timeout_s > 0:
            self._jump()
            self._turns = 0
        elif self._turns > bounds.TURNS_AT_ONE_MOMENT:
            raise Livelock(f"no time has passed for {self._turns:,} turns of the loop")
        return []


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in virtual time, to its end. Raises Deadlock or Livelock where real time would hang."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
