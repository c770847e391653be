"""Settle books in order, answers, asks for what follows by the reserved lane, and halts when it raises."""

from __future__ import annotations

import asyncio

from exchange.model.answers import OrderAnswer
from exchange.model.commands import CancelOrders, Record
from exchange.model.events import AnyVenueEvent
from exchange.model.reasons import Code, Refusal
from exchange.model.types import CancelReason
from exchange.pipeline.health import State
from exchange.pipeline.messages import Matched, Outgoing, Submission
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.pipeline.settle import SettleStage
from exchange.services.settlement.settlement import Settled
from tests.support.stages import Bench, order, run_to_end

WISH = CancelOrders(1, (), CancelReason.PORTFOLIO_LIMIT)
RAISES_AT = 13


class FakeSettlement:
    """Answers everything; wishes for a cancel when told to."""

    def __init__(self, *, wishes: bool = False) -> None:
        self.settled: list[int] = []
        self._wishes = (WISH,) if wishes else ()

    def settle(self, record: Record, events: list[AnyVenueEvent], *, answers: bool) -> Settled:
        if record.sequence == RAISES_AT:
            raise RuntimeError("a bug")
        self.settled.append(record.sequence)
        answer = OrderAnswer(record.sequence, 0, "X") if answers else None
        return Settled(private=(), answer=answer, wishes=self._wishes)


def _stage(bench: Bench, settlement: FakeSettlement) -> SettleStage:
    return SettleStage(
        bench.trade_queue,
        bench.websocket_queue,
        settlement=settlement,
        orders=bench.orders,
        responses=bench.responses,
        health=bench.health,
        log=bench.log,
        metrics=bench.metrics,
    )


def _put(bench: Bench, *sequences: int) -> list[PendingRequest]:
    pendings = []
    for sequence in sequences:
        pending = bench.pending(Wait.SETTLEMENT)
        bench.trade_queue.put_nowait(Matched(Record(sequence, 0, order()), [], pending))
        pendings.append(pending)
    bench.trade_queue.put_nowait(None)
    return pendings


def _taken(bench: Bench) -> list[Outgoing | None]:
    items = []
    while not bench.websocket_queue.empty():
        items.append(bench.websocket_queue.get_nowait())
    return items


async def test_settle_answers_and_passes_on_in_order(bench: Bench) -> None:
    """Every command is booked once, answered, and told in order, the sentinel last."""
    pendings = _put(bench, 1, 2, 3)
    settlement = FakeSettlement()
    await run_to_end(_stage(bench, settlement).run)
    assert settlement.settled == [1, 2, 3]
    assert [type(pending.answer) for pending in pendings] == [OrderAnswer] * 3
    *items, last = _taken(bench)
    assert [item.record.sequence for item in items if item is not None] == [1, 2, 3]
    assert last is None


async def test_settle_blocks_on_empty_queue(bench: Bench) -> None:
    """With nothing to book the stage waits."""
    task = asyncio.create_task(_stage(bench, FakeSettlement()).run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    bench.trade_queue.put_nowait(None)
    await asyncio.wait_for(task, 5)


async def test_settle_wishes_enter_by_the_reserved_lane(bench: Bench) -> None:
    """What settle asks for becomes a system command, once while it waits."""
    _put(bench, 1, 2)
    await run_to_end(_stage(bench, FakeSettlement(wishes=True)).run)
    assert bench.orders.queue.get_nowait() == Submission(WISH, None)
    assert bench.orders.queue.empty()


async def test_settle_never_waits_for_a_full_order_queue(bench: Bench) -> None:
    """A full order queue does not stop settle: the ring of queues cannot deadlock."""
    while bench.orders.offer(Submission(order(), None)):
        pass
    _put(bench, 1)
    await run_to_end(_stage(bench, FakeSettlement(wishes=True)).run)
    assert [item and item.record.sequence for item in _taken(bench)] == [1, None]


async def test_settle_exception_halts_the_venue(bench: Bench) -> None:
    """After an exception nothing is booked any more, and everyone is answered."""
    settlement = FakeSettlement()
    before, broken, after = _put(bench, 1, RAISES_AT, 14)
    await run_to_end(_stage(bench, settlement).run)
    assert settlement.settled == [1]
    assert bench.health.state is State.HALTED
    assert isinstance(before.answer, OrderAnswer)
    for pending in (broken, after):
        assert isinstance(pending.answer, Refusal)
        assert pending.answer.code == Code.VENUE_HALTED
