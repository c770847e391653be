"""OrderResponseService: registration limit, stages, timeouts that name the stage, clean-up, statistics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exchange.base.bounds import KEPT_RESPONSES
from exchange.base.clock import ManualClock, SystemClock
from exchange.config import CoordinationConfig
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.answers import OrderAnswer
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.responses import OrderResponseService, PendingRequest, ResponseStatus, Wait

ANSWER = OrderAnswer(1, 0, "X")


def _service(clock: ManualClock | SystemClock | None = None, **settings: float) -> OrderResponseService:
    config = CoordinationConfig(**settings)  # type: ignore[arg-type]  # counts are ints
    return OrderResponseService(config, clock or ManualClock(), get_logger("test"), Metrics())


def _register(service: OrderResponseService, request_id: str = "r", account: int = 1) -> PendingRequest:
    pending = service.register(request_id, account, Wait.VALIDATION)
    assert isinstance(pending, PendingRequest)
    return pending


async def test_register_refuses_beyond_max_pending() -> None:
    """The request after the last place is answered 503 at once, and counted."""
    service = _service(max_pending_requests=2)
    _register(service, "a")
    _register(service, "b")
    refused = service.register("c", 1, Wait.VALIDATION)
    assert isinstance(refused, Refusal)
    assert (refused.category, refused.code) == (Category.UNAVAILABLE, Code.OVERLOADED)
    assert refused.retry_after_ms is not None
    assert service.statistics().overloaded == 1


async def test_register_keeps_places_for_other_teams() -> None:
    """A team that fills its share is refused; another still has a place, and an answer gives one back."""
    service = _service(max_pending_per_team=2)
    first = _register(service, "a", account=1)
    _register(service, "b", account=1)
    refused = service.register("c", 1, Wait.VALIDATION)
    assert isinstance(refused, Refusal)
    assert (refused.category, refused.code) == (Category.UNAVAILABLE, Code.OVERLOADED)
    _register(service, "d", account=2)
    service.complete(first, ANSWER)
    _register(service, "e", account=1)


async def test_register_has_a_place_again_after_an_answer() -> None:
    """An answered request gives its place back."""
    service = _service(max_pending_requests=1)
    service.complete(_register(service, "a"), ANSWER)
    _register(service, "b")


async def test_wait_returns_an_answer_that_was_already_there() -> None:
    """Nobody is made to wait for what is known."""
    service = _service()
    pending = _register(service)
    service.complete(pending, ANSWER)
    assert await service.wait_for_completion(pending) is ANSWER
    assert pending.status is ResponseStatus.COMPLETED


async def test_wait_is_woken_by_completion() -> None:
    """The waiting task gets what a stage resolves."""
    service = _service()
    pending = _register(service)
    waiter = asyncio.ensure_future(service.wait_for_completion(pending))
    await asyncio.sleep(0)
    service.complete(pending, ANSWER)
    assert await waiter is ANSWER


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        (ResponseStatus.PENDING, "queue"),
        (ResponseStatus.VALIDATING, "validation"),
        (ResponseStatus.MATCHING, "matching"),
        (ResponseStatus.SETTLING, "settlement"),
    ],
)
async def test_timeout_names_the_stuck_stage(status: ResponseStatus, stage: str) -> None:
    """504 says where the request was."""
    service = _service(SystemClock(), default_timeout_seconds=0.001)
    pending = _register(service)
    pending.status = status
    answer = await service.wait_for_completion(pending)
    assert isinstance(answer, Refusal)
    assert (answer.category, answer.code) == (Category.TIMEOUT, Code.RESPONSE_TIMEOUT)
    assert answer.details is not None
    assert answer.details["stage"] == stage
    assert pending.status is ResponseStatus.TIMEOUT


@pytest.mark.parametrize(
    ("sequence", "durable", "accepted"), [(None, False, False), (7, False, None), (7, True, True)]
)
async def test_timeout_says_whether_it_was_accepted(
    sequence: int | None, durable: bool, accepted: bool | None
) -> None:
    """False before it is sequenced, true when the journal has it, not told while the journal writes."""
    service = _service(SystemClock(), default_timeout_seconds=0.001)
    pending = _register(service)
    pending.sequence = pending.order_id = sequence
    pending.durable = durable
    answer = await service.wait_for_completion(pending)
    assert isinstance(answer, Refusal)
    assert answer.details is not None
    assert answer.details.get("accepted") is accepted
    assert answer.details.get("order_number") == (7 if durable else None)


async def test_timeouts_are_those_of_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """One timer serves all, set for the oldest: none is answered before its time, and none is forgotten."""
    clock, loop = ManualClock(), asyncio.get_running_loop()
    timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timers.append((delay, callback))
        return asyncio.TimerHandle(0, callback, (), loop)

    monkeypatch.setattr(loop, "call_later", call_later)
    service = _service(clock, default_timeout_seconds=5)
    first = service.wait_for_completion(_register(service, "a"))
    clock.advance(2)
    second = service.wait_for_completion(_register(service, "b"))
    unawaited = _register(service, "c")
    assert [delay for delay, _ in timers] == [5]
    clock.advance(3)
    timers.pop()[1]()
    assert (first.done(), second.done()) == (True, False)
    assert [delay for delay, _ in timers] == [2]
    clock.advance(2)
    timers.pop()[1]()
    assert second.done()
    assert unawaited.status is ResponseStatus.TIMEOUT
    assert not timers
    assert service.statistics().timed_out == 3


async def test_complete_after_a_timeout_changes_nothing() -> None:
    """A late answer neither replaces the 504 nor raises."""
    service = _service(SystemClock(), default_timeout_seconds=0.001)
    pending = _register(service)
    answer = await service.wait_for_completion(pending)
    service.complete(pending, ANSWER)
    assert pending.answer is answer


async def test_has_expired_at_the_deadline() -> None:
    """A command may be dropped from the moment its client stops waiting, not before."""
    clock = ManualClock()
    service = _service(clock, default_timeout_seconds=5)
    pending = _register(service)
    clock.advance(4.999)
    assert not service.has_expired(pending)
    clock.advance(0.001)
    assert service.has_expired(pending)
    assert service.statistics().expired == 1


async def test_clean_up_forgets_requests_nobody_waits_for() -> None:
    """A registration that was never awaited and never answered does not hold its place for ever."""
    clock = ManualClock()
    service = _service(clock, default_timeout_seconds=5)
    pending = _register(service)
    assert service.clean_up() == 0
    clock.advance(6)
    assert service.clean_up() == 1
    assert service.statistics().pending == 0
    assert pending.status is ResponseStatus.TIMEOUT


async def test_status_of_knows_open_and_answered_requests() -> None:
    """A request is found by its id, by its own team only, before and after its answer."""
    service = _service()
    pending = _register(service, "mine")
    assert service.status_of(1, "mine") is pending
    service.complete(pending, ANSWER)
    assert service.status_of(1, "mine") is pending
    assert service.status_of(2, "mine") is None


async def test_answered_requests_are_kept_up_to_a_bound() -> None:
    """The oldest answered request is forgotten first."""
    service = _service()
    for number in range(KEPT_RESPONSES + 1):
        service.complete(_register(service, f"r{number}"), ANSWER)
    assert service.statistics().kept == KEPT_RESPONSES
    assert service.status_of(1, "r0") is None
    assert service.status_of(1, "r1") is not None


async def test_statistics_count_every_outcome() -> None:
    """Registered is the sum of what became of the requests."""
    service = _service()
    service.complete(_register(service, "a"), ANSWER)
    service.complete(_register(service, "b"), Refusal(Category.INVALID, Code.UNKNOWN_INSTRUMENT, "no"))
    _register(service, "c")
    statistics = service.statistics()
    assert (statistics.registered, statistics.completed, statistics.refused) == (3, 2, 1)
    assert statistics.pending == 1


async def test_internal_error_is_a_status_of_its_own() -> None:
    """A pipeline failure shows as error, an expected refusal as completed."""
    service = _service()
    failed, refused = _register(service, "a"), _register(service, "b")
    service.complete(failed, Refusal(Category.INTERNAL, Code.INTERNAL_ERROR, "bug"))
    service.complete(refused, Refusal(Category.INVALID, Code.UNKNOWN_INSTRUMENT, "no"))
    assert failed.status is ResponseStatus.ERROR
    assert refused.status is ResponseStatus.COMPLETED
