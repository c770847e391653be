"""Clients that go away at every moment: counted, never an error, and no stage stops for them."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exchange.journal.memory import MemoryFaults, MemoryJournal
from tests.support.raid import Raid, Team, raid
from tests.support.waiting import until
from tests.support.ws_exchange import on_uvloop, ws_exchange

BUY: dict[str, Any] = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 160.0}
BODY = json.dumps(BUY).encode()
TIMES = 20

Scene = Callable[["Visitor"], bytes]


class Visitor:
    """A raw client with one team's key."""

    def __init__(self, url: str, key: str, receive_buffer: int | None = None) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.key = key
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(10)
        self.sock.connect((host, int(port)))

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """The head of a request with the team's key."""
        fields = [f"{method} {path} HTTP/1.1", "Host: x", f"X-API-Key: {self.key}", *lines]
        return "\r\n".join([*fields, "", ""]).encode()

    def order(self, announced: int = len(BODY)) -> bytes:
        """A whole order, unless more is announced than there is."""
        return self.head("POST", "/exchange/orders?wait=settlement", f"Content-Length: {announced}") + BODY

    def upgrade(self) -> None:
        """Shake hands and read the hello."""
        self.sock.sendall(
            self.head(
                "GET",
                "/ws",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            )
        )
        received = b""
        while b'"hello"' not in received:
            received += self.sock.recv(65_536)

    def leave(self, *, reset: bool) -> None:
        """Close: politely, or with a reset."""
        if reset and self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def _frame(payload: bytes, opcode: int = 0x81) -> bytes:
    """A masked frame; its mask is zero."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([opcode]) + length + b"\0\0\0\0" + payload


def _request(method: str, **params: object) -> bytes:
    return _frame(json.dumps({"id": 1, "method": method, "params": params}).encode())


def _reading_little(visitor: Visitor) -> bytes:
    visitor.sock.sendall(visitor.head("GET", "/openapi.json") * 30)
    visitor.sock.recv(1_000)
    return b""


def _subscribed(visitor: Visitor) -> bytes:
    visitor.upgrade()
    return _request("subscribe", channels=["private", "book.FLOW", "trades.FLOW", "phase"])


def _after_upgrade(data: bytes) -> Scene:
    def act(visitor: Visitor) -> bytes:
        visitor.upgrade()
        return data

    return act


HTTP: dict[str, Scene] = {
    "at once": lambda visitor: b"",
    "in the head": lambda visitor: visitor.order()[:40],
    "in the body": lambda visitor: visitor.order(1_000),
    "in a chunk": lambda visitor: (
        visitor.head("POST", "/exchange/orders", "Transfer-Encoding: chunked") + b"40\r\n{"
    ),
    "before 100-continue": lambda visitor: visitor.head(
        "POST", "/exchange/orders", "Expect: 100-continue", f"Content-Length: {len(BODY)}"
    ),
    "before the answer": lambda visitor: visitor.order(),
    "before many answers": lambda visitor: visitor.order() * 60,
    "in an order behind another": lambda visitor: visitor.order() + visitor.order()[:-5],
    "in the middle of a write": _reading_little,
    "in the handshake": lambda visitor: visitor.head("GET", "/ws", "Upgrade: websocket", "Connection: Upgr"),
}
SOCKET: dict[str, Scene] = {
    "after the handshake": _after_upgrade(b""),
    "in a frame's head": _after_upgrade(b"\x81"),
    "in a frame": _after_upgrade(_request("order.new", **BUY)[:-3]),
    "between fragments": _after_upgrade(_frame(b'{"id"', 0x01)),
    "before a frame's answer": _after_upgrade(_request("order.new", **BUY) * 50),
    "while it is told": lambda visitor: _subscribed(visitor) + _request("order.new", **BUY) * 50,
    "in the closing handshake": _after_upgrade(_frame(struct.pack("!H", 1000), 0x88)),
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
    visitors = [Visitor(attack.server.url, team.key, 4_096) for _ in range(TIMES)]
    for visitor in visitors:
        visitor.sock.sendall(await asyncio.to_thread(scene, visitor))
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
            visitors = [Visitor(f"http://127.0.0.1:{exchange.port}", key) for _ in range(TIMES)]
            for number, visitor in enumerate(visitors):
                visitor.sock.sendall(visitor.order())
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
