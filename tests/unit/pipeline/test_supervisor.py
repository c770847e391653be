"""What restarts tasks, calls at intervals and watches the loop; in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.pipeline.supervisor import RESTART_LONGEST_S, every, restarted, watch_loop_lag


class Enough(BaseException):
    """Ends what would go on for ever; not an Exception, so that nothing catches it."""


class Sleeper:
    """Stands in for ``anyio.sleep``: notes the seconds and ends after ``turns``."""

    def __init__(self, turns: int = 1_000) -> None:
        self.seconds: list[float] = []
        self._turns = turns

    async def __call__(self, seconds: float) -> None:
        if len(self.seconds) == self._turns:
            raise Enough
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    """Time that passes at once."""
    sleeper = Sleeper(12)
    monkeypatch.setattr("exchange.pipeline.supervisor.anyio.sleep", sleeper)
    return sleeper


class Task:
    """Fails ``failures`` times, then returns."""

    def __init__(self, failures: int) -> None:
        self.runs = 0
        self._failures = failures

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise RuntimeError("planted")


def _restarts(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("exchange_task_restarts_total", {"task": "t"})


async def test_restarted_runs_once_what_returns(sleeper: Sleeper) -> None:
    """The end of a task is the end."""
    task, metrics = Task(0), Metrics()
    await restarted("t", task.run, get_logger("test"), metrics)
    assert (task.runs, sleeper.seconds, _restarts(metrics)) == (1, [], None)


async def test_restarted_doubles_its_delay_up_to_the_longest(sleeper: Sleeper) -> None:
    """0.1 s at first, 10 s at most; each failure is logged with its delay, and counted."""
    task, metrics = Task(9), Metrics()
    with capture_logs() as log:
        await restarted("t", task.run, get_logger("test"), metrics)
    assert sleeper.seconds == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, RESTART_LONGEST_S, RESTART_LONGEST_S]
    assert [(entry["task"], entry["delay_s"]) for entry in log] == [("t", each) for each in sleeper.seconds]
    assert (task.runs, _restarts(metrics)) == (10, 9)


async def test_restarted_lets_a_cancellation_through(sleeper: Sleeper) -> None:
    """Only failures are restarted: who cancels the task is not made to wait."""
    started = asyncio.Event()

    async def run() -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(restarted("t", run, get_logger("test"), Metrics()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sleeper.seconds == []


async def test_every_acts_after_each_interval(sleeper: Sleeper) -> None:
    """First the interval, then the act, for ever."""
    calls: list[int] = []
    with pytest.raises(Enough):
        await every(30.0, lambda: calls.append(len(sleeper.seconds)))
    assert sleeper.seconds == [30.0] * 12
    assert calls == list(range(1, 13))


class LateLoop:
    """Its timers of 0.1 s wake up after ``after_s``."""

    def __init__(self, *after_s: float) -> None:
        self._after_s = iter(after_s)
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        try:
            self._now_s += next(self._after_s)
        except StopIteration:
            raise Enough from None


async def test_watch_loop_lag_measures_how_late_the_loop_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Awake after 0.15 s in place of 0.1 is 50 ms late; too early is not negative."""
    loop, metrics = LateLoop(0.15, 0.05, 0.1), Metrics()
    monkeypatch.setattr("exchange.pipeline.supervisor.anyio.sleep", loop.sleep)
    monkeypatch.setattr("exchange.pipeline.supervisor.asyncio.get_running_loop", lambda: loop)
    with pytest.raises(Enough):
        await watch_loop_lag(metrics)
    value = metrics.registry.get_sample_value
    assert value("exchange_loop_lag_seconds_count") == 3
    assert value("exchange_loop_lag_seconds_sum") == pytest.approx(0.05)
