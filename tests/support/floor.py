"""A whole order path in this process, driven by commands: no HTTP, a journal in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from exchange.app import Exchange
from exchange.base.clock import Clock, SystemClock
from exchange.base.entropy import SeededEntropy
from exchange.config import Config, CoordinationConfig, GameConfig, JournalConfig
from exchange.journal.batch import Batch
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.model.answers import Answer, OrderAnswer, TeamAnswer
from exchange.model.commands import AnyCommand, NewOrder, RegisterTeam
from exchange.model.order import OrderStatus
from exchange.model.roles import Role
from exchange.model.rules import BatchAuctions
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.pipeline.responses import Wait
from exchange.services.game.keys import hash_key
from tests.support.http_exchange import HoldableJournal

INSTRUMENT = "FLOW"
MIDDLE = 33_504
"""Price in ticks around which everybody trades."""
DEADLINE_S = 20.0


def new_order(
    account: int,
    side: Side,
    quantity: int = 1,
    price_ticks: int | None = MIDDLE,
    *,
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str | None = None,
    request_id: str = "r",
    instrument_id: str = INSTRUMENT,
) -> NewOrder:
    """A limit order at the middle; with ``price_ticks`` None a market order."""
    is_market = price_ticks is None
    return NewOrder(
        account,
        instrument_id,
        side,
        OrderType.MARKET if is_market else OrderType.LIMIT,
        price_ticks,
        quantity,
        TimeInForce.IOC if is_market else time_in_force,
        client_order_id,
        request_id,
    )


class Floor:
    """A running exchange and its journal."""

    def __init__(self, exchange: Exchange, journal: HoldableJournal) -> None:
        self.exchange = exchange
        self.journal = journal
        self.running: asyncio.Task[None] = asyncio.create_task(exchange.run())

    async def execute(self, command: AnyCommand, wait: Wait = Wait.SETTLEMENT, account: int = 1) -> Answer:
        """Submit as a request of ``account`` and wait for the answer."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.exchange.path.intake.execute(command, "r", account, wait)

    async def team(self, name: str, role: str = "player") -> int:
        """Register a team; its account."""
        answer = await self.execute(RegisterTeam(name, role, hash_key(name), "r", by_operator=True))
        assert isinstance(answer, TeamAnswer), answer
        return answer.account

    async def enter(self, order: NewOrder) -> OrderAnswer:
        """Enter an order that must be accepted; how it stands once settled."""
        answer = await self.execute(order)
        assert isinstance(answer, OrderAnswer), answer
        return answer

    def open_orders(self, account: int) -> list[int]:
        """Order ids."""
        return [order.order_id for order in self.exchange.core.register.open_orders(account)]

    def status(self, order_id: int) -> OrderStatus:
        """Of an order that is known."""
        order = self.exchange.core.register.get(order_id)
        assert order is not None
        return order.status

    async def stop(self) -> None:
        """Drain; fails where the stages do not come to an end."""
        self.exchange.stop()
        async with asyncio.timeout(DEADLINE_S):
            await self.running


def make_exchange(
    journal: MemoryJournal,
    *,
    roles: Sequence[Role] | None = None,
    preset: str = "flow",
    responses: CoordinationConfig | None = None,
    restart_grace_s: float = 0.0,
    clock: Clock | None = None,
    batch_auctions: BatchAuctions | None = None,
) -> Exchange:
    """An exchange on ``journal``, not yet started."""
    config = Config(
        game=GameConfig(
            preset=preset, roles=None if roles is None else tuple(roles), batch_auctions=batch_auctions
        ),
        responses=responses or CoordinationConfig(),
        journal=JournalConfig(restart_grace_s=restart_grace_s),
    )
    return Exchange(
        config, journal, clock=clock or SystemClock(), entropy=SeededEntropy(1), admin_key="itg_admin"
    )


@asynccontextmanager
async def floor(
    *,
    batches: Iterable[Batch] = (),
    clean: bool = True,
    faults: MemoryFaults | None = None,
    **settings: Any,
) -> AsyncIterator[Floor]:
    """A running exchange on what an earlier run left; ``settings`` as for ``make_exchange``."""
    journal = HoldableJournal(random.Random(1), faults, batches=batches, clean=clean)
    exchange = make_exchange(journal, **settings)
    await exchange.start()
    running = Floor(exchange, journal)
    try:
        yield running
    finally:
        if not running.running.done():
            await running.stop()


@contextmanager
def blocked(stage: Any) -> Iterator[asyncio.Event]:
    """Within, ``stage`` works on nothing it takes; the event says that it has taken something."""
    taken, released = asyncio.Event(), asyncio.Event()
    process = stage._process

    async def wait_first(batch: list[Any]) -> None:
        if batch:
            taken.set()
        await released.wait()
        await process(batch)

    stage._process = wait_first
    try:
        yield taken
    finally:
        stage._process = process
        released.set()
