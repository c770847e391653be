"""A wall clock that jumps: time in the journal never goes back, and nobody waits for it to catch up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from exchange.base.clock import SystemClock
from exchange.journal.records import decode_batches
from exchange.model.answers import OrderAnswer
from exchange.model.reasons import Code, Refusal
from exchange.model.roles import OrderRate, Role
from exchange.model.types import Side
from tests.support.audit import check_ledger
from tests.support.floor import Floor, floor, new_order
from tests.support.session import digest, replay

HOUR_S = 3_600.0
PACED = (Role(name="player", constraints=(OrderRate(max_orders_per_second=5),)),)
JUMPS = [[-HOUR_S], [HOUR_S, -2 * HOUR_S], [-1.0] * 5, [365 * 24 * HOUR_S, -365 * 24 * HOUR_S], [0.0]]


class SettableClock(SystemClock):
    """The machine's clocks, but an operator may set the one on the wall."""

    def __init__(self) -> None:
        self._offset_us = 0

    def now_us(self) -> int:
        return super().now_us() + self._offset_us

    def set(self, seconds: float) -> None:
        """Move the wall clock by ``seconds``."""
        self._offset_us += round(seconds * 1e6)


@asynccontextmanager
async def _floor(clock: SettableClock, roles: Sequence[Role] | None = None) -> AsyncIterator[Floor]:
    async with floor(clock=clock, roles=roles) as running:
        yield running


async def _trade(running: Floor, buyer: int, seller: int, orders: int = 5) -> None:
    async with asyncio.timeout(10):
        for _ in range(orders):
            await running.enter(new_order(buyer, Side.BUY, 2))
            await running.enter(new_order(seller, Side.SELL, 1))


@pytest.mark.parametrize("jumps", JUMPS)
async def test_clock_that_jumps_leaves_time_in_the_journal_going_forward(jumps: list[float]) -> None:
    """Orders are entered and answered at once whatever the clock does, and a replay is the same."""
    clock = SettableClock()
    async with _floor(clock) as running:
        buyer, seller = await running.team("A"), await running.team("B")
        await _trade(running, buyer, seller)
        for jump in jumps:
            clock.set(jump)
            await _trade(running, buyer, seller)
        await running.stop()
        stamps = [record.timestamp_us for record in decode_batches(running.journal.read())]
        assert stamps == sorted(stamps)
        streams = running.exchange.path._publish._publisher._private
        replayed = replay(running.journal.read())
        assert digest(replayed.core, replayed.streams) == digest(running.exchange.core, streams)
        told = [event.timestamp_us for event in streams.of(buyer).after(0, 1_000)]
        assert told == sorted(told)
        check_ledger(running.exchange.core.ledger)


async def test_clock_set_back_before_a_restart_goes_on_from_the_journal() -> None:
    """The first record of the new run is not older than the last of the one before."""
    clock = SettableClock()
    async with _floor(clock) as running:
        buyer = await running.team("A")
        last = await running.enter(new_order(buyer, Side.BUY))
        await running.stop()
        batches = list(running.journal.read())
    clock.set(-24 * HOUR_S)
    async with floor(clock=clock, batches=batches) as running:
        answer = await running.enter(new_order(buyer, Side.BUY))
        assert answer.timestamp_us >= last.timestamp_us


@pytest.mark.parametrize("jump", [-HOUR_S, -0.5, HOUR_S])
async def test_clock_that_jumps_neither_locks_a_team_out_nor_frees_it_of_its_rate(jump: float) -> None:
    """Set back, what passed counts as now: never more than the rate within a second, a second later again."""
    clock = SettableClock()
    async with _floor(clock, PACED) as running:
        account = await running.team("A")
        for _ in range(5):
            await running.enter(new_order(account, Side.BUY))
        clock.set(jump)
        answers = [await running.execute(new_order(account, Side.BUY)) for _ in range(6)]
        refused = [answer for answer in answers if isinstance(answer, Refusal)]
        assert {answer.code for answer in refused} == {Code.ORDER_RATE_EXCEEDED}
        assert len(refused) == (1 if jump > 0 else 6)
        wait_ms = max(answer.retry_after_ms or 0 for answer in refused)
        assert 0 < wait_ms <= 1_000
        clock.set(wait_ms / 1_000)
        assert isinstance(await running.execute(new_order(account, Side.BUY)), OrderAnswer)
