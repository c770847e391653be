from __future__ import annotations

import asyncio
from collections.abc import Callable

from exchange.journal.turns import FIRST_LOOK_S, LAST_LOOK_S, TURN_S, WriterTurns


class Timers:
    """Timers that go off when told, and the append that is in flight."""

    def __init__(self) -> None:
        self.in_flight: object | None = None
        self.slept: list[float] = []
        self.delays: list[float] = []
        self.due: list[Callable[[], None]] = []
        self.turns = WriterTurns(self.call_later, lambda: self.in_flight, self.slept.append)

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self.delays.append(delay)
        self.due.append(callback)
        return asyncio.TimerHandle(0, callback, (), asyncio.get_running_loop())

    def goes_off(self) -> None:
        self.due.pop()()


async def test_turns_quick_appends() -> None:
    """Appends that end in time cost no turn and share a timer, which ends with them."""
    timers = Timers()
    for _ in range(5):
        timers.in_flight = object()
        timers.turns.begin()
    assert timers.delays == [FIRST_LOOK_S]
    timers.in_flight = object()
    timers.goes_off()
    assert (timers.slept, timers.delays) == ([], [FIRST_LOOK_S, FIRST_LOOK_S])
    timers.in_flight = None
    timers.goes_off()
    assert (timers.slept, timers.due) == ([], [])


async def test_turns_slow_append() -> None:
    """One that lasts is given turns, ever more rarely; the next one is looked at afresh."""
    timers = Timers()
    timers.in_flight = object()
    timers.turns.begin()
    for _ in range(7):
        timers.goes_off()
    assert timers.slept == [TURN_S] * 7
    assert timers.delays == [0.001, 0.002, 0.004, 0.008, 0.016, LAST_LOOK_S, LAST_LOOK_S, LAST_LOOK_S]
    timers.in_flight = object()
    timers.goes_off()
    assert (len(timers.slept), timers.delays[-1]) == (7, FIRST_LOOK_S)


async def test_turns_begin_again() -> None:
    """After a pause the next append starts the timer anew."""
    timers = Timers()
    timers.in_flight = object()
    timers.turns.begin()
    timers.in_flight = None
    timers.goes_off()
    timers.in_flight = object()
    timers.turns.begin()
    assert len(timers.due) == 1


async def test_turns_stop() -> None:
    """Stopping leaves no timer behind, and stopping without one does nothing."""
    handles: list[asyncio.TimerHandle] = []

    def call_later(delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handles.append(asyncio.get_running_loop().call_later(delay, callback))
        return handles[-1]

    turns = WriterTurns(call_later, lambda: None)
    turns.stop()
    turns.begin()
    turns.stop()
    assert [handle.cancelled() for handle in handles] == [True]
