"""Parts of a pipeline for tests of one stage: real queues and coordination, fake services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from exchange.base.clock import ManualClock
from exchange.config import CoordinationConfig
from exchange.journal.batch import Batch
from exchange.journal.protocol import JournalFailed
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.answers import QuoteAnswer
from exchange.model.commands import AnyCommand, NewOrder, Quote, Record
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.pipeline.channel import Channel, OrderQueue
from exchange.pipeline.health import Health
from exchange.pipeline.messages import Matched, Outgoing, Sequenced
from exchange.pipeline.responses import OrderResponseService, PendingRequest, Wait

SIZE_REFUSED = 666
SIZE_RAISES = 667


def order(quantity: int = 1, client_order_id: str | None = None, account: int = 1) -> NewOrder:
    """A limit order; the fakes below look at its quantity alone."""
    return NewOrder(
        account, "X", Side.BUY, OrderType.LIMIT, 100, quantity, TimeInForce.GTC, client_order_id, "req"
    )


class FakeAdmission:
    """Accepts all but two sizes, and numbers what it accepts."""

    def __init__(self) -> None:
        self.sequence = 0

    def admit(self, command: AnyCommand, now_us: int) -> Record | Refusal:
        if isinstance(command, NewOrder) and command.quantity == SIZE_REFUSED:
            return Refusal(Category.INVALID, Code.ORDER_SIZE_OUT_OF_RANGE, "too large")
        if isinstance(command, NewOrder) and command.quantity == SIZE_RAISES:
            raise RuntimeError("a bug")
        self.sequence += 1
        return Record(self.sequence, now_us, command)

    def admit_quote(self, quote: Quote, now_us: int) -> tuple[tuple[Record, ...], QuoteAnswer] | Refusal:
        """An order for each side."""
        records = []
        for each in (quote.bid, quote.ask):
            if each is not None:
                record = self.admit(order(each.quantity), now_us)
                if isinstance(record, Refusal):
                    return record
                records.append(record)
        return tuple(records), QuoteAnswer(now_us, quote.instrument_id, records[0].sequence, None)


class FakeJournal:
    """Durable when the test says so; ``durable`` lists the batches."""

    def __init__(self) -> None:
        self.durable: list[Batch] = []
        self.waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self.automatic = True
        self.broken = False

    def append(self, batch: Batch) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(JournalFailed("disk gone"))
        else:
            self.waiting.append((batch, future))
            if self.automatic:
                self.release()
        return future

    def release(self) -> None:
        for batch, future in self.waiting:
            self.durable.append(batch)
            future.set_result(None)
        self.waiting.clear()


@dataclass
class Bench:
    """Everything around one stage."""

    clock: ManualClock = field(default_factory=ManualClock)
    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(default_factory=Health)
    orders: OrderQueue = field(default_factory=OrderQueue)
    match_queue: Channel[Sequenced] = field(default_factory=lambda: Channel(100))
    trade_queue: Channel[Matched] = field(default_factory=lambda: Channel(100))
    websocket_queue: Channel[Outgoing] = field(default_factory=lambda: Channel(100))
    journal: FakeJournal = field(default_factory=FakeJournal)
    admission: FakeAdmission = field(default_factory=FakeAdmission)

    def __post_init__(self) -> None:
        self.log = get_logger("test")
        self.responses = OrderResponseService(CoordinationConfig(), self.clock, self.log, self.metrics)
        self.health.run()

    def pending(self, wait: Wait = Wait.VALIDATION, request_id: str = "req") -> PendingRequest:
        pending = self.responses.register(request_id, 1, wait)
        assert isinstance(pending, PendingRequest)
        return pending


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` holds; fails after 1,000 turns."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition did not come true")


async def run_to_end(run: Callable[[], Awaitable[None]]) -> None:
    """Run a stage whose sentinel is on its queue; a stage that does not stop fails the test."""
    await asyncio.wait_for(run(), 5)
