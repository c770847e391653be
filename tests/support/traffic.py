"""Traders that load a real server over HTTP and WebSocket and remember everything they were told."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

INSTRUMENT = "FLOW"
TICK = 0.005
MIDDLE_TICKS = 33_504

Told = dict[str, Any]


@dataclass
class Acknowledged:
    """An order, what its sender was answered, and when (monotonic)."""

    body: Told
    order_id: str
    timestamp: str
    at_ns: int = field(default=0, compare=False)


@dataclass
class Trader:
    """One team. ``sent`` are its orders by client_order_id, answered or not; ``events`` the private messages
    as received, by sequence.
    """

    name: str
    url: str
    api_key: str
    random: random.Random
    sent: dict[str, Told] = field(default_factory=dict)
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    events: dict[int, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def last_seq(self) -> int:
        """Of the last private event received."""
        return max(self.events, default=0)

    def new_order(self) -> Told:
        """A random limit order near the middle; half of them cross."""
        return {
            "instrument_id": INSTRUMENT,
            "side": self.random.choice(["buy", "sell"]),
            "quantity": self.random.randint(1, 9),
            "price": round((MIDDLE_TICKS + self.random.randint(-4, 4)) * TICK, 3),
            "client_order_id": f"{self.name}-{next(self._numbers)}",
        }

    async def trade(self, session: aiohttp.ClientSession, told: Callable[[], None]) -> None:
        """Order, cancel and amend until the server is gone; ``told`` is called after every answer."""
        while True:
            try:
                await self._act(session)
            except (aiohttp.ClientError, OSError):
                return
            told()

    async def listen(self, session: aiohttp.ClientSession, ready: asyncio.Event) -> None:
        """Receive the private stream from where it ended until the server is gone."""
        try:
            async with session.ws_connect(f"{self.url}/ws", headers=self._headers) as socket:
                await self._subscribe(socket)
                ready.set()
                async for message in socket:
                    self.take(message.data)
        except (aiohttp.ClientError, OSError):
            return

    def take(self, message: str) -> None:
        """Keep a private event; the same sequence must never carry two different events."""
        event = json.loads(message)
        is_private = "order_id" in event or event.get("type") == "position_update"
        if "seq" not in event or not is_private:
            return
        known = self.events.setdefault(event["seq"], message)
        assert known == message, f"seq {event['seq']} was told twice, differently"

    async def get(self, session: aiohttp.ClientSession, path: str) -> Told:
        """The data of one GET."""
        async with session.get(f"{self.url}{path}", headers=self._headers) as answer:
            body: Told = await answer.json()
            assert answer.status == 200, body
            return dict(body["data"])

    async def resend(self, session: aiohttp.ClientSession, order: Acknowledged) -> Told:
        """The envelope of a second sending of the same order."""
        async with session.post(
            f"{self.url}/exchange/orders", json=order.body, headers=self._headers
        ) as answer:
            body: Told = await answer.json()
            return body

    async def replayed_events(self, session: aiohttp.ClientSession, after: int, until: int) -> dict[int, str]:
        """What a resume gives again, by sequence."""
        again: dict[int, str] = {}
        async with session.ws_connect(f"{self.url}/ws", headers=self._headers) as socket:
            await self._subscribe(socket, after)
            while not again or max(again) < until:
                message = await asyncio.wait_for(socket.receive_str(), 10)
                event = json.loads(message)
                assert event.get("type") != "position_snapshot", "the stream could not be resumed"
                if "seq" in event and event["type"] not in ("phase_change", "hello"):
                    again[event["seq"]] = message
        return again

    async def executions(self, session: aiohttp.ClientSession) -> list[str]:
        """Every execution id the server knows of this team."""
        found: list[str] = []
        cursor = ""
        while True:
            page = await self.get(session, f"/exchange/executions?limit=1000{cursor}")
            found += [each["exec_id"] for each in page["executions"]]
            if "next_cursor" not in page:
                return found
            cursor = f"&after={page['next_cursor']}"

    @property
    def _headers(self) -> dict[str, str]:
        return {"X-API-Key": self.api_key}

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse, after: int | None = None) -> None:
        params: Told = {"channels": ["private"], "resume_from": {"private": self._after(after)}}
        await socket.send_str(json.dumps({"id": 1, "method": "subscribe", "params": params}))
        await socket.receive_str()
        answer = json.loads(await socket.receive_str())
        assert "result" in answer, answer

    def _after(self, after: int | None) -> int:
        return self.last_seq if after is None else after

    async def _act(self, session: aiohttp.ClientSession) -> None:
        choice = self.random.random()
        if choice < 0.7 or not self.acknowledged:
            await self._order(session)
            return
        order = self.acknowledged[self.random.choice(list(self.acknowledged))]
        path = f"{self.url}/exchange/orders/{order.order_id}"
        if choice < 0.9:
            request = session.delete(path, headers=self._headers)
        else:
            total = {"quantity": self.random.randint(1, 15)}
            request = session.patch(path, json=total, headers=self._headers)
        async with request as answer:
            body = await answer.json()
            assert answer.status in (200, 404, 503), body

    async def _order(self, session: aiohttp.ClientSession) -> None:
        body = self.new_order()
        self.sent[body["client_order_id"]] = body
        wait = self.random.choice(["validation", "matching", "settlement"])
        async with session.post(
            f"{self.url}/exchange/orders?wait={wait}", json=body, headers=self._headers
        ) as answer:
            told = await answer.json()
            if answer.status == 200:
                order = Acknowledged(body, told["order_id"], told["timestamp"], time.monotonic_ns())
                self.acknowledged[body["client_order_id"]] = order
            else:
                assert answer.status == 503, told


async def register(session: aiohttp.ClientSession, url: str, name: str, seed: int) -> Trader:
    """A new team of the flow preset."""
    async with session.post(f"{url}/game/teams/register", json={"name": name, "role": "player"}) as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return Trader(name, url, body["data"]["api_key"], random.Random(seed))


@asynccontextmanager
async def client_session() -> AsyncIterator[aiohttp.ClientSession]:
    """One session for all traders, with room for all their requests."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def load_until(
    session: aiohttp.ClientSession, traders: list[Trader], answers: int, workers: int, end: Callable[[], None]
) -> None:
    """Load with ``workers`` tasks a trader; call ``end`` after ``answers`` answers; wait for quiet."""
    left = itertools.count(answers - 1, -1)

    def told() -> None:
        if next(left) == 0:
            end()

    async with asyncio.TaskGroup() as tasks:
        for trader in traders:
            ready = asyncio.Event()
            tasks.create_task(trader.listen(session, ready))
            await asyncio.wait_for(ready.wait(), 10)
        for trader in traders:
            for _ in range(workers):
                tasks.create_task(trader.trade(session, told))
