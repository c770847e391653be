"""The lazy timer, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from exchange.api.transport.deadline import Deadline


class Timer:
    """What ``call_later`` returns."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock with timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []
        self.armed = 0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self.armed += 1
        self.timers.append(Timer(self.now + delay, callback))
        return self.timers[-1]

    def advance_to(self, moment: float) -> None:
        while due := [timer for timer in self.live() if timer.when <= moment]:
            timer = min(due, key=lambda each: each.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = moment

    def live(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]


def _deadline() -> tuple[Loop, Deadline, list[float]]:
    loop = Loop()
    passed: list[float] = []
    return loop, Deadline(cast(asyncio.AbstractEventLoop, loop), lambda: passed.append(loop.now)), passed


def test_deadline_passes_once_at_its_moment() -> None:
    """Set once, it passes once."""
    loop, deadline, passed = _deadline()
    deadline.set(5)
    loop.advance_to(104.9)
    assert passed == []
    loop.advance_to(200)
    assert passed == [105]


def test_deadline_moved_at_every_request_arms_one_timer() -> None:
    """A thousand requests within the idle time cost no timer each."""
    loop, deadline, passed = _deadline()
    for request in range(1_000):
        loop.advance_to(100 + request * 0.001)
        deadline.clear()
        deadline.set(5)
    assert loop.armed == 1
    loop.advance_to(200)
    assert passed == [100 + 0.999 + 5]
    assert loop.armed == 2


def test_deadline_moved_forward_passes_earlier() -> None:
    """A nearer moment does not wait for the timer of a further one."""
    loop, deadline, passed = _deadline()
    deadline.set(60)
    deadline.set(1)
    loop.advance_to(200)
    assert passed == [101]


def test_deadline_cleared_never_passes() -> None:
    """Nothing is due after clear, until it is set again."""
    loop, deadline, passed = _deadline()
    deadline.set(1)
    deadline.clear()
    loop.advance_to(150)
    assert passed == []
    deadline.set(1)
    loop.advance_to(200)
    assert passed == [151]


def test_deadline_cancelled_leaves_no_timer() -> None:
    """A closed connection is not kept alive by its timer."""
    loop, deadline, passed = _deadline()
    deadline.set(1)
    deadline.cancel()
    assert loop.live() == []
    loop.advance_to(200)
    assert passed == []


# Half a hundredth apart: which comes first of two moments closer than a timer's resolution is no rule.
_WAITS = st.integers(0, 1_000).map(lambda hundredths: hundredths / 100)
_DELAYS = st.integers(0, 1_000).map(lambda hundredths: hundredths / 100 + 0.005)


@given(st.lists(st.tuples(_WAITS, st.one_of(st.none(), _DELAYS))))
def test_deadline_passes_exactly_when_the_plain_rule_says(steps: list[tuple[float, float | None]]) -> None:
    """Against a model that re-arms its timer every time: same moments, within a timer's resolution."""
    loop, deadline, passed = _deadline()
    expected: list[float] = []
    due: float | None = None
    for wait, delay in steps:
        moment = loop.now + wait
        if due is not None and due <= moment:
            expected.append(due)
            due = None
        loop.advance_to(moment)
        if delay is None:
            deadline.clear()
            due = None
        else:
            deadline.set(delay)
            due = loop.now + delay
    loop.advance_to(loop.now + 100)
    if due is not None:
        expected.append(due)
    assert len(passed) == len(expected)
    assert all(abs(one - other) <= 0.0011 for one, other in zip(passed, expected, strict=True))
