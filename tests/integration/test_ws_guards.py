"""Cancel on disconnect and the dead-man switch over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.frames import Frame, Opcode

from exchange.base.clock import ManualClock
from exchange.model.reasons import Code
from tests.support.http_exchange import http_exchange
from tests.support.ws_exchange import ADMIN_KEY, Socket, WsExchange, ws_exchange

BUY = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 100.0}
FLAG = "session.cancel_on_disconnect"


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange with one instrument and no limits."""
    async with ws_exchange("flow") as running:
        yield running


async def _watcher(exchange: WsExchange, key: str) -> Socket:
    """A socket that hears the private stream and is not flagged."""
    socket, _ = await exchange.socket(key)
    await socket.result("subscribe", channels=["private"])
    return socket


async def _ends(watcher: Socket, orders: int) -> list[tuple[str, str]]:
    """The cancels of ``orders`` orders, once they and their acknowledgements have come."""
    events = await watcher.until(1 + 2 * orders)
    return [(each["order_id"], each["reason"]) for each in events if each["type"] == "order_cancelled"]


@pytest.mark.parametrize("how", ["close", "lost", "key replaced"])
async def test_ws_orders_go_with_the_flagged_socket(exchange: WsExchange, how: str) -> None:
    """However it ends, and orders entered over HTTP too; told once each."""
    key = await exchange.team(role="player")
    operator_of = (await exchange.send("GET", "/positions", key)).json()["data"]["team_id"]
    socket, _ = await exchange.socket(key)
    assert await socket.result(FLAG, enabled=True) == {"enabled": True, "sockets": 1}
    over_http = (await exchange.send("POST", "/exchange/orders", key, json=BUY)).json()["order_id"]
    over_socket = (await socket.result("order.new", **BUY))["order_id"]
    if how == "close":
        await socket.connection.close()
    elif how == "lost":
        socket.connection.transport.abort()
    else:
        path = f"/admin/teams/{operator_of}/rotate-key"
        key = (await exchange.send("POST", path, ADMIN_KEY)).json()["data"]["api_key"]
        assert await socket.until_closed() == 4003
    watcher, _ = await exchange.socket(key)
    async with watcher:
        await watcher.result("subscribe", channels=["private"], resume_from={"private": 0})
        events = await watcher.until(4)
        cancelled = [each for each in events if each["type"] == "order_cancelled"]
        assert [(each["order_id"], each["reason"]) for each in cancelled] == [
            (over_http, "disconnected"),
            (over_socket, "disconnected"),
        ]


async def test_ws_orders_stay_while_another_flagged_socket_is_open(exchange: WsExchange) -> None:
    """A bot may connect again before the server knows that the old socket is gone."""
    key = await exchange.team(role="player")
    old, _ = await exchange.socket(key)
    await old.result(FLAG, enabled=True)
    order_id = (await old.result("order.new", **BUY))["order_id"]
    new, _ = await exchange.socket(key)
    assert await new.result(FLAG, enabled=True) == {"enabled": True, "sockets": 2}
    old.connection.transport.abort()
    while (await new.result(FLAG, enabled=True))["sockets"] > 1:
        pass
    (order,) = (await new.result("orders.open"))["orders"]
    assert order["order_id"] == order_id
    assert await new.result(FLAG, enabled=False) == {"enabled": False, "sockets": 0}
    await new.connection.close()
    watcher = await _watcher(exchange, key)
    async with watcher:
        assert len((await watcher.result("orders.open"))["orders"]) == 1


@pytest.mark.parametrize("flagged_before", [True, False])
async def test_ws_orders_sent_with_the_closing_frame_go_too(
    exchange: WsExchange, flagged_before: bool
) -> None:
    """Flag, orders and close in one write: the cancel is sequenced behind the orders."""
    key = await exchange.team(role="player")
    watcher = await _watcher(exchange, key)
    cancelled: list[tuple[str, str]] = []
    async with watcher:
        for round_ in range(1, 21):
            socket, _ = await exchange.socket(key)
            if flagged_before:
                await socket.result(FLAG, enabled=True)
            requests: list[dict[str, Any]] = [{"id": n, "method": "order.new", "params": BUY} for n in (1, 2)]
            requests.insert(0, {"id": 3, "method": FLAG, "params": {"enabled": True}})
            frames = [Frame(Opcode.TEXT, json.dumps(each).encode()) for each in requests]
            frames.append(Frame(Opcode.CLOSE, b"\x03\xe8"))
            socket.connection.transport.write(
                b"".join(each.serialize(mask=True, extensions=[]) for each in frames)
            )
            cancelled = await _ends(watcher, 2 * round_)
            assert len(cancelled) == 2 * round_
        assert {reason for _, reason in cancelled} == {"disconnected"}


async def test_ws_flag_needs_a_team(exchange: WsExchange) -> None:
    """Neither a stranger nor the operator has orders to guard."""
    socket, _ = await exchange.socket()
    async with socket:
        assert (await socket.ask(FLAG, enabled=True))["status"] == 401
    socket, _ = await exchange.socket(ADMIN_KEY)
    async with socket:
        assert (await socket.ask(FLAG, enabled=True))["status"] == 403


async def test_ws_silent_socket_is_dropped_and_its_orders_go() -> None:
    """A client that answers no ping is gone after the configured time."""
    async with ws_exchange("flow", ping_s=0.05) as exchange:
        key = await exchange.team(role="player")
        socket, _ = await exchange.socket(key)
        await socket.result(FLAG, enabled=True)
        order_id = (await socket.result("order.new", **BUY))["order_id"]
        watcher = await _watcher(exchange, key)
        async with watcher:
            socket.connection.transport.pause_reading()
            events = await watcher.until(2)
            assert (events[1]["order_id"], events[1]["reason"]) == (order_id, "disconnected")
        assert exchange.exchange.hub.statistics().opened == 2


async def test_ws_switch_is_the_same_over_both_ways(exchange: WsExchange) -> None:
    """Armed over the socket, seen and disarmed over HTTP; the socket's end does not stop it."""
    key = await exchange.team(role="player")
    path = "/exchange/orders/cancel_all_after"
    socket, _ = await exchange.socket(key)
    async with socket:
        armed = await socket.result("session.cancel_all_after", timeout_ms=3_600_000)
        assert (armed["armed"], armed["timeout_ms"]) == (True, 3_600_000)
    assert (await exchange.send("GET", path, key)).json()["data"] == armed
    off = await exchange.send("POST", path, key, json={"timeout_ms": 0})
    assert off.json()["data"] == {"armed": False}


async def test_switch_cancels_when_nobody_calls_in_time() -> None:
    """By the server's clock: not before, all of the team and of no other, and then it is off."""
    clock = ManualClock()
    path = "/exchange/orders/cancel_all_after"
    async with http_exchange(clock=clock) as exchange:
        keys = [await exchange.team(name) for name in ("Alpha", "Beta")]
        for key in keys:
            await exchange.order(key)
            armed = await exchange.send("POST", path, key=key, json={"timeout_ms": 60_000})
            assert armed.json()["data"]["armed"] is True
        clock.advance(59.0)
        await exchange.send("POST", path, key=keys[1], json={"timeout_ms": 60_000})
        clock.advance(1.0)
        order = await _cancelled(exchange.client, keys[0])
        assert order["cancel_reason"] == "dead_man_switch"
        assert (await _switch(exchange.client, keys[0]))["armed"] is False
        assert (await _newest(exchange.client, keys[1]))["status"] == "open"
        assert (await _switch(exchange.client, keys[1]))["armed"] is True
        assert (await exchange.order(keys[0])).status_code == 200


@pytest.mark.parametrize("timeout_ms", [-1, 86_400_001, 1.5, "10", None])
async def test_switch_refuses_what_is_no_timeout(timeout_ms: object) -> None:
    """Negative, longer than a day, or no integer."""
    async with http_exchange() as exchange:
        path, body = "/exchange/orders/cancel_all_after", {"timeout_ms": timeout_ms}
        answer = await exchange.send("POST", path, key=await exchange.team(), json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, Code.INVALID_REQUEST)


async def test_switch_journals_the_first_call_alone() -> None:
    """A call every few seconds costs no journal; off and on again does."""
    async with http_exchange() as exchange:
        key = await exchange.team()
        admission = exchange.exchange.core.admission
        before = admission.last_sequence
        for timeout_ms in (60_000, 60_000, 30_000, 0, 0, 60_000):
            body = {"timeout_ms": timeout_ms}
            await exchange.send("POST", "/exchange/orders/cancel_all_after", key=key, json=body)
        assert admission.last_sequence == before + 3


async def test_operator_cancels_a_teams_orders_and_leaves_it_trading() -> None:
    """Reason ``operator``; disabling cancels too, and refuses what comes after."""
    async with http_exchange() as exchange:
        key = await exchange.team()
        await exchange.order(key)
        answer = await exchange.send("POST", "/admin/teams/TEAM_1/cancel_orders", key=ADMIN_KEY)
        assert answer.json()["data"]["cancelled"] == 1
        assert (await _newest(exchange.client, key))["cancel_reason"] == "operator"
        assert (await exchange.order(key)).status_code == 200
        await exchange.send("POST", "/admin/teams/TEAM_1/disable", key=ADMIN_KEY)
        assert (await _newest(exchange.client, key))["cancel_reason"] == "team_disabled"
        assert (await exchange.order(key)).json()["error"]["code"] == Code.TEAM_DISABLED
        none = await exchange.send("POST", "/admin/teams/TEAM_1/cancel_orders", key=ADMIN_KEY)
        assert none.json()["data"]["cancelled"] == 0
        own = await exchange.send("POST", "/admin/teams/TEAM_1/cancel_orders", key=key)
        assert own.status_code == 403
        unknown = await exchange.send("POST", "/admin/teams/TEAM_9/cancel_orders", key=ADMIN_KEY)
        assert unknown.json()["error"]["code"] == Code.UNKNOWN_TEAM


async def _newest(client: httpx.AsyncClient, key: str) -> dict[str, Any]:
    answer = await client.get("/exchange/orders?status=all&limit=1", headers={"X-API-Key": key})
    (order,) = answer.json()["data"]["orders"]
    assert isinstance(order, dict)
    return order


async def _cancelled(client: httpx.AsyncClient, key: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            order = await _newest(client, key)
            if order["status"] == "cancelled":
                return order
            await asyncio.sleep(0.01)


async def _switch(client: httpx.AsyncClient, key: str) -> dict[str, Any]:
    answer = await client.get("/exchange/orders/cancel_all_after", headers={"X-API-Key": key})
    found: dict[str, Any] = answer.json()["data"]
    return found
