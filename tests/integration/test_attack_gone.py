"""Clients that go away at every moment: counted, never an error, and no stage stops for them."""

from __future__ import annotations

import asyncio
import random
import re
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exchange.journal.memory import MemoryFaults, MemoryJournal
from tests.support.raid import Raid, Team, raid
from tests.support.raw_client import CLOSE, RawClient, frame, request
from tests.support.waiting import until
from tests.support.ws_exchange import on_uvloop, ws_exchange

BUY: dict[str, Any] = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 160.0}
TIMES = 20

Scene = Callable[[RawClient], Awaitable[bytes]]


def _order(client: RawClient) -> bytes:
    return client.order(BUY, "?wait=settlement")


def _sent(data: Callable[[RawClient], bytes]) -> Scene:
    async def act(client: RawClient) -> bytes:
        return data(client)

    return act


def _after_upgrade(data: bytes) -> Scene:
    async def act(client: RawClient) -> bytes:
        await client.upgrade()
        return data

    return act


async def _reading_little(client: RawClient) -> bytes:
    client.send(client.head("GET", "/openapi.json") * 30)
    await asyncio.get_running_loop().sock_recv(client.sock, 1_000)
    return b""


CHUNKED = ("POST", "/exchange/orders", "Transfer-Encoding: chunked")
EXPECTING = ("POST", "/exchange/orders", "Expect: 100-continue", "Content-Length: 60")
UPGRADING = ("GET", "/ws", "Upgrade: websocket", "Connection: Upgr")
NEW_ORDER = request(1, "order.new", **BUY)
SUBSCRIBE = request(2, "subscribe", channels=["private", "book.FLOW", "trades.FLOW", "phase"])

HTTP: dict[str, Scene] = {
    "at once": _sent(lambda client: b""),
    "in the head": _sent(lambda client: _order(client)[:40]),
    "in the body": _sent(lambda client: _order(client)[:-5]),
    "in a chunk": _sent(lambda client: client.head(*CHUNKED) + b"40\r\n{"),
    "before 100-continue": _sent(lambda client: client.head(*EXPECTING)),
    "before the answer": _sent(_order),
    "before many answers": _sent(lambda client: _order(client) * 60),
    "in an order behind another": _sent(lambda client: _order(client) + _order(client)[:-5]),
    "in the middle of a write": _reading_little,
    "in the handshake": _sent(lambda client: client.head(*UPGRADING)[:-4]),
}
SOCKET: dict[str, Scene] = {
    "after the handshake": _after_upgrade(b""),
    "in a frame's head": _after_upgrade(b"\x81"),
    "in a frame": _after_upgrade(NEW_ORDER[:-3]),
    "between fragments": _after_upgrade(frame(b'{"id"', 0x01)),
    "before a frame's answer": _after_upgrade(NEW_ORDER * 50),
    "while it is told": _after_upgrade(SUBSCRIBE + NEW_ORDER * 50),
    "in the closing handshake": _after_upgrade(frame(struct.pack("!H", 1000), CLOSE)),
}


async def _metric(attack: Raid, name: str) -> float:
    async with attack.session.get(f"{attack.server.url}/metrics") as answer:
        found = re.search(rf"^exchange_{name} (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def _trade_on(attack: Raid, team: Team) -> None:
    for _ in range(3):
        status, answer = await attack.order(team, "settlement", **BUY)
        assert status == 200, answer


async def _leave(attack: Raid, team: Team, scene: Scene, *, reset: bool) -> None:
    port = int(attack.server.url.rpartition(":")[2])
    visitors = [RawClient(port, team.key, 4_096) for _ in range(TIMES)]
    for visitor in visitors:
        visitor.send(await scene(visitor))
    for visitor in visitors:
        visitor.leave(reset=reset)


@pytest.mark.parametrize("scenes", [HTTP, SOCKET], ids=["http", "socket"])
async def test_clients_leave(tmp_path: Path, scenes: dict[str, Scene]) -> None:
    """Politely or with a reset, many at once: the others trade on, every place is given back, no error."""
    async with raid(tmp_path, "--preset", "flow") as attack:
        team, other = await attack.team("Leaver"), await attack.team("Other")
        before = await _metric(attack, "connections")
        for scene in scenes.values():
            for reset in (True, False):
                await _leave(attack, team, scene, reset=reset)
                await _trade_on(attack, other)
        async with asyncio.timeout(20):
            while await _metric(attack, "connections") > before:
                await _trade_on(attack, other)


@pytest.mark.parametrize("reset", [True, False])
async def test_clients_that_are_owed_something_are_counted(tmp_path: Path, reset: bool) -> None:
    """A connection lost while answers were due is in the metrics."""
    scenes = (HTTP["before many answers"], SOCKET["before a frame's answer"], SOCKET["while it is told"])
    async with raid(tmp_path, "--preset", "flow") as attack:
        team = await attack.team("Leaver")
        for scene in scenes:
            before = await _metric(attack, "connections_lost")
            await _leave(attack, team, scene, reset=reset)
            async with asyncio.timeout(10):
                while await _metric(attack, "connections_lost") < before + TIMES:
                    await _trade_on(attack, team)


@on_uvloop
async def test_client_that_leaves_during_a_flush_has_its_order_all_the_same() -> None:
    """Gone between the write's begin and its end: the order stands, and nothing is logged but its course."""
    journal = MemoryJournal(random.Random(1), MemoryFaults(latency_s=0.2))
    with capture_logs() as log:
        async with ws_exchange("flow", journal) as exchange:
            key = await exchange.team("Leaver", "player")
            visitors = [RawClient(exchange.port, key) for _ in range(TIMES)]
            for number, visitor in enumerate(visitors):
                visitor.send(_order(visitor))
                if number % 2:
                    visitor.leave(reset=bool(number % 4 == 1))
            core = exchange.exchange.core
            await until(lambda: core.admission.last_sequence >= 2 + TIMES)
            for visitor in visitors:
                visitor.leave(reset=True)
            await until(lambda: core.venue.statistics().live_orders == TIMES)
            orders = await exchange.send("GET", "/exchange/orders", key)
            assert len(orders.json()["data"]["orders"]) == TIMES
            assert exchange.counter.statistics().client_gone > 0
    assert {entry["log_level"] for entry in log} <= {"info"}
