"""An eager task runs to its first wait, goes on when that is done, and tells how it ended."""

import asyncio
from typing import Any

from exchange.base.eager_task import EagerTask
from tests.support.stages import until


class _Ran:
    """What a coroutine did, and the tasks that run it."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.running: set[EagerTask] = set()
        self.failures: list[Exception] = []

    def start(self, future: "asyncio.Future[Any] | None" = None) -> EagerTask:
        return EagerTask(self._work(future), self.running, self.failures.append)

    async def _work(self, future: "asyncio.Future[Any] | None") -> None:
        self.steps.append("begun")
        try:
            if future is not None:
                self.steps.append(await future)
            await asyncio.sleep(0)
            self.steps.append("ended")
        except asyncio.CancelledError:
            self.steps.append("cancelled")
            raise


async def test_eager_task_begins_before_it_is_returned() -> None:
    """No turn of the loop passes before the first wait."""
    ran = _Ran()
    task = ran.start()
    assert ran.steps == ["begun"]
    assert ran.running == {task}
    await asyncio.sleep(0)
    assert ran.steps == ["begun", "ended"]
    assert not ran.running


async def test_eager_task_goes_on_one_turn_after_what_it_awaits_is_done() -> None:
    """As many turns as an asyncio.Task takes, on every version of Python."""
    ran = _Ran()
    future = asyncio.get_running_loop().create_future()
    ran.start(future)
    future.set_result(7)
    assert ran.steps == ["begun"]
    await asyncio.sleep(0)
    assert ran.steps == ["begun", 7]


async def test_eager_task_does_not_wait_for_what_is_done() -> None:
    """An answer that is known costs no turn."""
    ran = _Ran()
    future = asyncio.get_running_loop().create_future()
    future.set_result(7)
    ran.start(future)
    assert ran.steps == ["begun", 7]


async def test_eager_task_raises_in_the_coroutine_what_its_future_raises() -> None:
    """What nobody catches is given to ``failed``, and the task has ended."""
    ran = _Ran()
    future = asyncio.get_running_loop().create_future()
    ran.start(future)
    error = ValueError("no")
    future.set_exception(error)
    await asyncio.sleep(0)
    assert ran.failures == [error]
    assert not ran.running


async def test_eager_task_is_cancelled_where_it_waits() -> None:
    """The coroutine sees CancelledError; that is no failure."""
    ran = _Ran()
    task = ran.start(asyncio.get_running_loop().create_future())
    assert task.cancel()
    await asyncio.sleep(0)
    assert ran.steps == ["begun", "cancelled"]
    assert not ran.running
    assert not ran.failures


async def test_eager_task_awaits_tasks() -> None:
    """Whatever asyncio can wake it from."""
    ran = _Ran()
    ran.start(asyncio.create_task(asyncio.sleep(0, "slept")))
    await until(lambda: not ran.running)
    assert ran.steps == ["begun", "slept", "ended"]
