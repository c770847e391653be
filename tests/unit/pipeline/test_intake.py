"""Intake registers and offers, or refuses at once; what it took is answered within its time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exchange.base.clock import ManualClock
from exchange.config import CoordinationConfig
from exchange.model.answers import OrderAnswer
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.channel import OrderQueue
from exchange.pipeline.health import Health
from exchange.pipeline.intake import Intake
from exchange.pipeline.messages import Submission
from exchange.pipeline.responses import OrderResponseService, PendingRequest, ResponseStatus, Wait
from tests.support.stages import Bench, order

ANSWER = OrderAnswer(1, 0, "X")


def _intake(bench: Bench, capacity: int = 100) -> Intake:
    bench.orders = OrderQueue(capacity)
    return Intake(bench.orders, bench.responses, bench.health)


def test_intake_puts_a_command_with_its_place_for_an_answer(bench: Bench) -> None:
    """One submission on the queue, for the request that is now pending."""
    command = order()
    pending = _intake(bench).submit(command, "r", 3, Wait.MATCHING)
    assert isinstance(pending, PendingRequest)
    assert (pending.request_id, pending.account, pending.wait) == ("r", 3, Wait.MATCHING)
    submission = bench.orders.queue.get_nowait()
    assert isinstance(submission, Submission)
    assert (submission.command, submission.pending) == (command, pending)


@pytest.mark.parametrize("state", ["starting", "draining", "halted", "failed"])
def test_intake_takes_nothing_unless_running(bench: Bench, state: str) -> None:
    """The refusal of that state; no place is used up, nothing is queued."""
    bench.health = Health()
    moves: dict[str, Any] = {
        "starting": lambda: None,
        "draining": bench.health.drain,
        "halted": lambda: bench.health.halt("a bug"),
        "failed": lambda: bench.health.fail("no disk"),
    }
    moves[state]()
    refusal = _intake(bench).submit(order(), "r", 1)
    assert refusal == bench.health.refusal()
    assert bench.responses.statistics().registered == 0
    assert bench.orders.queue.empty()


def test_intake_refuses_at_once_when_the_queue_is_full(bench: Bench) -> None:
    """503 with a time to wait; the place for the answer is given back and the refusal can be looked up."""
    intake = _intake(bench, capacity=2)
    for _ in range(2):
        assert isinstance(intake.submit(order(), "r", 1), PendingRequest)
    refusal = intake.submit(order(), "late", 1)
    assert isinstance(refusal, Refusal)
    assert (refusal.category, refusal.code) == (Category.UNAVAILABLE, Code.OVERLOADED)
    assert refusal.retry_after_ms is not None
    assert bench.orders.queue.qsize() == 2
    assert bench.responses.statistics().pending == 2
    found = bench.responses.status_of(1, "late")
    assert found is not None
    assert (found.status, found.answer) == (ResponseStatus.COMPLETED, refusal)


def test_intake_refuses_at_once_when_too_many_wait(bench: Bench) -> None:
    """The bound on answers holds before the one of the queue, which stays as it was."""
    config = CoordinationConfig(max_pending_requests=1)
    bench.responses = OrderResponseService(config, bench.clock, bench.log, bench.metrics)
    intake = _intake(bench)
    assert isinstance(intake.submit(order(), "r", 1), PendingRequest)
    refusal = intake.submit(order(), "r", 1)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.OVERLOADED
    assert bench.orders.queue.qsize() == 1


async def test_intake_execute_waits_for_the_answer(bench: Bench) -> None:
    """Submit and wait in one."""
    executing = asyncio.create_task(_intake(bench).execute(order(), "r", 1))
    submission = await bench.orders.queue.get()
    assert submission is not None
    assert submission.pending is not None
    bench.responses.complete(submission.pending, ANSWER)
    assert await executing is ANSWER


async def test_intake_answer_in_the_turn_of_the_timeout_wins(bench: Bench) -> None:
    """A timer that runs before the one who waits has woken changes nothing: the answer stands."""
    clock = ManualClock()
    bench.responses = OrderResponseService(CoordinationConfig(), clock, bench.log, bench.metrics)
    pending = _intake(bench).submit(order(), "r", 1)
    assert isinstance(pending, PendingRequest)
    waiting = asyncio.ensure_future(bench.responses.wait_for_completion(pending))
    await asyncio.sleep(0)
    bench.responses.complete(pending, ANSWER)
    clock.advance(3_600)
    assert bench.responses.clean_up() == 0
    assert await waiting is ANSWER
    assert pending.status is ResponseStatus.COMPLETED
    assert bench.responses.statistics().timed_out == 0
