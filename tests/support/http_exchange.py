"""A whole exchange in this process, on a journal in memory, spoken to over ASGI without a socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from exchange.app import Exchange
from exchange.base.clock import Clock, SystemClock
from exchange.base.entropy import SeededEntropy
from exchange.config import Config, CoordinationConfig, GameConfig, JournalConfig, LimitsConfig
from exchange.journal.batch import Batch
from exchange.journal.memory import MemoryJournal

ADMIN_KEY = "itg_admin_key_of_the_tests"
BASE_URL = "http://exchange.test"


class _Hold:
    """``reached`` is set when something waits for the disk, ``released`` when it moves again."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()


class HoldableJournal(MemoryJournal):
    """A journal whose disk a test can stop."""

    _hold: _Hold | None = None

    def append(self, batch: Batch) -> asyncio.Future[None]:
        if self._hold is None:
            return super().append(batch)
        return asyncio.ensure_future(self._append_later(batch, self._hold))

    @contextmanager
    def held(self) -> Iterator[asyncio.Event]:
        """Within, nothing becomes durable; the event says that something would. Then everything does."""
        hold = self._hold = _Hold()
        try:
            yield hold.reached
        finally:
            self._hold = None
            hold.released.set()

    async def _append_later(self, batch: Batch, hold: _Hold) -> None:
        hold.reached.set()
        await hold.released.wait()
        await super().append(batch)


class HttpExchange:
    """The exchange, its journal and a client of it."""

    def __init__(self, exchange: Exchange, journal: HoldableJournal, client: httpx.AsyncClient) -> None:
        self.exchange = exchange
        self.journal = journal
        self.client = client

    async def send(self, method: str, path: str, *, key: str | None = None, **kwargs: Any) -> httpx.Response:
        """One request, with ``key`` as the API key."""
        headers = dict(kwargs.pop("headers", {}))
        if key is not None:
            headers["X-API-Key"] = key
        return await self.client.request(method, path, headers=headers, **kwargs)

    async def team(self, name: str = "Alpha", role: str = "hedge_fund") -> str:
        """Register a team; its key."""
        answer = await self.send("POST", "/game/teams/register", json={"name": name, "role": role})
        assert answer.status_code == 200, answer.text
        key: str = answer.json()["data"]["api_key"]
        return key

    async def order(self, key: str, wait: str | None = None, **fields: Any) -> httpx.Response:
        """Enter an order: buy one SPX at 4400 unless ``fields`` say otherwise; None leaves a field out."""
        body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0} | fields
        body = {name: value for name, value in body.items() if value is not None}
        params = {} if wait is None else {"wait": wait}
        return await self.send("POST", "/exchange/orders", key=key, json=body, params=params)


@asynccontextmanager
async def http_exchange(
    *,
    game: GameConfig | None = None,
    responses: CoordinationConfig | None = None,
    clock: Clock | None = None,
    limits: LimitsConfig | None = None,
) -> AsyncIterator[HttpExchange]:
    """A running exchange; drained on leaving."""
    config = Config(
        game=game or GameConfig(preset="small"),
        responses=responses or CoordinationConfig(),
        journal=JournalConfig(),
        limits=limits or LimitsConfig(),
    )
    journal = HoldableJournal(random.Random(1))
    exchange = Exchange(
        config, journal, clock=clock or SystemClock(), entropy=SeededEntropy(1), admin_key=ADMIN_KEY
    )
    await exchange.start()
    running = asyncio.create_task(exchange.run())
    transport = httpx.ASGITransport(app=exchange.api)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield HttpExchange(exchange, journal, client)
    finally:
        exchange.stop()
        await running
        await journal.close()
