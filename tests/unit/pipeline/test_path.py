"""The order path as a whole: it neither deadlocks nor loses, it drains, and one stage may fail alone."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest
from structlog.testing import capture_logs

import exchange.pipeline.path as path_module
from exchange.base.bounds import SYSTEM_LANE_CAPACITY
from exchange.config import CoordinationConfig
from exchange.journal.memory import MemoryFaults
from exchange.journal.records import decode_batches
from exchange.model.answers import OrderAnswer
from exchange.model.commands import CancelOrders, CancelScope, Record, SetPhase
from exchange.model.reasons import Code, Refusal
from exchange.model.roles import PortfolioLimit, Role
from exchange.model.types import CancelReason, Phase, Side
from exchange.pipeline.channel import OrderQueue
from exchange.pipeline.health import State
from exchange.pipeline.responses import PendingRequest, Wait
from tests.support.floor import INSTRUMENT, MIDDLE, Floor, blocked, floor, new_order
from tests.support.waiting import until

BUY, SELL = Side.BUY, Side.SELL
LIMITED = (Role(name="player", constraints=(PortfolioLimit(max_total_position=10),)),)
NARROW = (Role(name="player", constraints=(PortfolioLimit(max_total_position=3),)),)


def _journaled(running: Floor) -> list[Record]:
    return list(decode_batches(running.journal.read()))


def _system_cancels(running: Floor) -> list[CancelOrders]:
    commands = [record.command for record in _journaled(running)]
    return [command for command in commands if isinstance(command, CancelOrders)]


# --- the ring -------------------------------------------------------------------------------------------


def _tiny_queues(monkeypatch: pytest.MonkeyPatch, reserved: int = SYSTEM_LANE_CAPACITY) -> None:
    monkeypatch.setattr(path_module, "STAGE_QUEUE_CAPACITY", 1)
    monkeypatch.setattr(path_module, "OrderQueue", partial(OrderQueue, 2, reserved))


async def _trade_until_answered(running: Floor, account: int, seed: int, orders: int) -> None:
    chance = random.Random(seed)
    for _ in range(orders):
        order = new_order(
            account, chance.choice([BUY, SELL]), chance.randint(1, 3), MIDDLE + chance.randint(-2, 2)
        )
        answer = await running.execute(order)
        while isinstance(answer, Refusal) and answer.code == Code.OVERLOADED:
            await asyncio.sleep(0)
            answer = await running.execute(order)
        if isinstance(answer, Refusal):
            assert answer.code == Code.PORTFOLIO_LIMIT_EXCEEDED


async def test_path_ring_of_tiny_queues_does_not_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """One place between stages, two before them, settle asks for commands all the time: all is answered."""
    _tiny_queues(monkeypatch)
    async with floor(roles=NARROW) as running:
        teams = [await running.team(f"T{number}") for number in range(4)]
        async with asyncio.TaskGroup() as tasks:
            for number in range(16):
                tasks.create_task(_trade_until_answered(running, teams[number % 4], number, 40))
        await running.stop()
        assert len(_system_cancels(running)) > 10
        assert set(running.exchange.path.depths().values()) == {0}


async def test_path_ring_is_only_safe_with_places_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a reserved lane without places halts the venue at the first wish, it does not lose it."""
    _tiny_queues(monkeypatch, reserved=0)
    async with floor(roles=LIMITED) as running:
        first, second, third = [await running.team(name) for name in ("A", "B", "C")]
        for _ in range(3):
            await running.enter(new_order(first, BUY, 6))
        await running.enter(new_order(second, SELL, 8))
        answer = await running.execute(new_order(third, SELL, 8))
        assert isinstance(answer, Refusal)
        assert running.exchange.health.state is State.HALTED


async def test_path_keeps_the_order_of_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are given in the order in which commands were submitted, through queues of one place too."""
    _tiny_queues(monkeypatch)
    async with floor() as running:
        account = await running.team("T")
        submitted: list[PendingRequest] = []
        while len(submitted) < 100:
            pending = running.exchange.path.intake.submit(
                new_order(account, BUY), "r", account, Wait.SETTLEMENT
            )
            if isinstance(pending, Refusal):
                await asyncio.sleep(0)
            else:
                submitted.append(pending)
        answers = [await running.exchange.path.responses.wait_for_completion(each) for each in submitted]
        assert all(isinstance(answer, OrderAnswer) for answer in answers)
        assert [each.order_id for each in submitted] == list(range(3, 103))


# --- draining -------------------------------------------------------------------------------------------


async def test_path_drain_finishes_what_settle_asks_for_meanwhile() -> None:
    """Fills that come while draining carry a team past its limit: the cancel they ask for still happens."""
    async with floor(roles=LIMITED) as running:
        first, second, third = [await running.team(name) for name in ("A", "B", "C")]
        for _ in range(3):
            await running.enter(new_order(first, BUY, 6))
        with running.journal.held():
            for account in (second, third):
                running.exchange.path.intake.submit(new_order(account, SELL, 8), "r", account)
            running.exchange.stop()
        await running.stop()
        (cancel,) = _system_cancels(running)
        assert (cancel.account, cancel.reason) == (first, CancelReason.PORTFOLIO_LIMIT)
        assert running.open_orders(first) == []


async def test_path_stopped_twice_drains_once() -> None:
    """A second stop changes nothing."""
    async with floor() as running:
        account = await running.team("A")
        running.exchange.stop()
        running.exchange.stop()
        await running.stop()
        refused = await running.execute(new_order(account, BUY))
        assert isinstance(refused, Refusal)
        assert refused.code == Code.SHUTTING_DOWN


async def test_path_drain_answers_everybody() -> None:
    """Whoever was taken before the stop is answered, whatever stage should answer."""
    async with floor() as running:
        account = await running.team("A")
        intake, responses = running.exchange.path.intake, running.exchange.path.responses
        with running.journal.held():
            waiting = [intake.submit(new_order(account, BUY), "r", account, wait) for wait in Wait]
            running.exchange.stop()
        await running.stop()
        for pending in waiting:
            assert not isinstance(pending, Refusal)
            assert isinstance(await responses.wait_for_completion(pending), OrderAnswer)


# --- publish fails --------------------------------------------------------------------------------------


class _Delays:
    """Stands in for sleep: notes the delays and lets the loop turn."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.seconds.append(seconds)
        await asyncio.sleep(0)


class _Faulty:
    """Publishes nothing the first ``failures`` times."""

    def __init__(self, running: Floor, failures: int) -> None:
        publisher = running.exchange.path._publish._publisher
        self._publish = publisher.publish
        self._left = failures
        publisher.publish = self  # type: ignore[method-assign]  # the planted fault

    def __call__(self, batch: object) -> None:
        if self._left:
            self._left -= 1
            raise RuntimeError("planted")
        self._publish(batch)  # type: ignore[arg-type]  # whatever came


async def test_path_publish_is_restarted_while_settle_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure waits twice as long as the one before; orders are settled and answered throughout."""
    delays = _Delays()
    async with floor() as running:
        account = await running.team("A")
        with monkeypatch.context() as patched, capture_logs() as log:
            patched.setattr("exchange.pipeline.supervisor.anyio.sleep", delays.sleep)
            _Faulty(running, 8)
            for _ in range(12):
                await running.enter(new_order(account, BUY))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        assert delays.seconds == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0]
        restarts = running.exchange.metrics.registry.get_sample_value(
            "exchange_task_restarts_total", {"task": "publish"}
        )
        assert restarts == 8
        assert [entry["event"] for entry in log].count("task failed, restarting") == 8
        assert running.exchange.health.state is State.RUNNING
        await until(lambda: running.exchange.path.depths()["websocket_queue"] == 0)
        assert running.exchange.path._publish._publisher.private_seq(account) == 12


async def test_path_drains_though_publish_fails_on_the_last_batch() -> None:
    """The batch that ends with the sentinel fails: the stage still knows that it is the end."""
    async with floor() as running:
        account = await running.team("A")
        with blocked(running.exchange.path._publish) as taken:
            await running.enter(new_order(account, BUY))
            await taken.wait()
            await running.enter(new_order(account, BUY))
            _Faulty(running, 2)
            running.exchange.stop()
        await running.stop()


# --- resends and the journal ----------------------------------------------------------------------------


async def test_path_resend_in_a_batch_that_fails_is_not_acknowledged() -> None:
    """The order it repeats was never durable: both are told that the journal failed."""
    async with floor(faults=MemoryFaults(fail_at=3)) as running:
        account = await running.team("A")
        order = new_order(account, BUY, client_order_id="mine")
        answers = await asyncio.gather(running.execute(order), running.execute(order))
        assert [type(answer) for answer in answers] == [Refusal, Refusal]
        assert {answer.code for answer in answers if isinstance(answer, Refusal)} == {Code.JOURNAL_FAILED}


async def test_path_resend_that_times_out_during_the_flush_does_not_know() -> None:
    """Neither of two requests for one order may say that it was not accepted while the journal writes."""
    responses = CoordinationConfig(default_timeout_seconds=0.1)
    async with floor(responses=responses) as running:
        account = await running.team("A")
        order = new_order(account, BUY, client_order_id="mine")
        with running.journal.held():
            answers = await asyncio.gather(running.execute(order), running.execute(order))
            for answer in answers:
                assert isinstance(answer, Refusal)
                assert answer.details == {"stage": "validation"}


# --- system commands ------------------------------------------------------------------------------------


async def test_path_system_command_passes_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """When clients are refused the exchange itself still gets through, once for each kind."""
    _tiny_queues(monkeypatch)
    async with floor() as running:
        account = await running.team("A")
        path = running.exchange.path
        with running.journal.held() as reached:
            path.intake.submit(new_order(account, BUY), "r", account)
            await reached.wait()
            while not isinstance(path.intake.submit(new_order(account, BUY), "r", account), Refusal):
                pass
            assert path.submit_system(SetPhase(Phase.HALTED, "test"))
            assert not path.submit_system(SetPhase(Phase.HALTED, "test"))
            scope = (CancelScope(INSTRUMENT),)
            assert path.submit_system(CancelOrders(account, scope, CancelReason.REQUESTED))
        await running.stop()
        assert running.exchange.core.admission.phase is Phase.HALTED
        assert running.open_orders(account) == []
