"""Guards and the end of the server: what a team asked for is carried out at the next start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.process import ServerProcess
from tests.support.traffic import INSTRUMENT, client_session, register

ORDER = {"instrument_id": INSTRUMENT, "side": "buy", "quantity": 1, "price": 160.0}


async def _call(
    session: aiohttp.ClientSession, method: str, url: str, key: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    async with session.request(method, url, json=body, headers={"X-API-Key": key}) as answer:
        content: dict[str, Any] = await answer.json()
        assert answer.status == 200, content
        return content


async def _ask(socket: aiohttp.ClientWebSocketResponse, method: str, **params: Any) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": params})
    while "id" not in (message := await socket.receive_json(timeout=10)):
        pass
    assert "error" not in message, message
    return message["result"]


async def _reason(session: aiohttp.ClientSession, url: str, key: str) -> str | None:
    listed = await _call(session, "GET", f"{url}/exchange/orders?status=all", key)
    (order,) = listed["data"]["orders"]
    reason: str | None = order.get("cancel_reason")
    return reason


async def _until_cancelled(session: aiohttp.ClientSession, url: str, key: str) -> str:
    async with asyncio.timeout(10):
        while True:
            reason = await _reason(session, url, key)
            if reason is not None:
                return reason
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
async def test_what_was_guarded_is_cancelled_at_the_next_start(tmp_path: Path, how: str) -> None:
    """A flagged socket and an armed switch are carried out, once; a team that asked for nothing keeps all."""
    async with client_session() as session:
        with ServerProcess(tmp_path / "data", ["--preset", "flow"]) as server:
            url = server.url
            teams = [await register(session, url, name, 1) for name in ("Flagged", "Armed", "Neither", "Off")]
            keys = [team.api_key for team in teams]
            for key in keys:
                await _call(session, "POST", f"{url}/exchange/orders", key, ORDER)
            socket = await session.ws_connect(f"{url}/ws", headers={"X-API-Key": keys[0]})
            await _ask(socket, "session.cancel_on_disconnect", enabled=True)
            after = f"{url}/exchange/orders/cancel_all_after"
            await _call(session, "POST", after, keys[1], {"timeout_ms": 3_600_000})
            for timeout_ms in (3_600_000, 0):
                await _call(session, "POST", after, keys[3], {"timeout_ms": timeout_ms})
            if how == "SIGTERM":
                server.terminate()
                await _until_closed(socket)
                assert server.wait() == 0
            else:
                server.kill()
            await socket.close()
        for _ in range(2):
            with ServerProcess(tmp_path / "data", ["--preset", "flow"]) as server:
                url = server.url
                guarded = [await _until_cancelled(session, url, key) for key in keys[:2]]
                assert guarded == ["disconnected", "dead_man_switch"]
                assert [await _reason(session, url, key) for key in keys[2:]] == [None, None]
                switch = await _call(session, "GET", f"{url}/exchange/orders/cancel_all_after", keys[1])
                assert switch["data"] == {"armed": False}
                server.kill()


async def test_guarded_orders_go_before_the_market_is_halted(tmp_path: Path) -> None:
    """After a crash: first the orders nobody watches, then the halt of the grace period."""
    async with client_session() as session:
        with ServerProcess(tmp_path / "data", ["--preset", "flow"]) as server:
            key = (await register(session, server.url, "Flagged", 1)).api_key
            await _call(session, "POST", f"{server.url}/exchange/orders", key, ORDER)
            async with session.ws_connect(f"{server.url}/ws", headers={"X-API-Key": key}) as socket:
                await _ask(socket, "session.cancel_on_disconnect", enabled=True)
                server.kill()
        with ServerProcess(tmp_path / "data", ["--preset", "flow"]) as server:
            status = await _call(session, "GET", f"{server.url}/game/status", key)
            cancel = (await _call(session, "DELETE", f"{server.url}/exchange/orders", key))["data"]
        # The last run ended at 4: rules, team, order, guard. Then the guard, the halt, and this cancel.
        assert status["data"]["phase"] == "halted"
        assert (cancel["sequence"], cancel["cancelled"]) == (7, 0)


async def test_sigterm_is_announced_to_every_socket(tmp_path: Path) -> None:
    """With the time that is left, in which orders are still taken; then 1012."""
    notice = {"EXCHANGE_SERVER__SHUTDOWN_NOTICE_S": "3"}
    async with client_session() as session:
        with ServerProcess(tmp_path / "data", ["--preset", "flow"], environment=notice) as server:
            key = (await register(session, server.url, "Alpha", 1)).api_key
            trader = await session.ws_connect(f"{server.url}/ws", headers={"X-API-Key": key})
            stranger = await session.ws_connect(f"{server.url}/ws")
            for socket in (trader, stranger):
                assert (await socket.receive_json(timeout=10))["type"] == "hello"
            server.terminate()
            for socket in (trader, stranger):
                told = await socket.receive_json(timeout=10)
                assert (told["type"], told["grace_ms"]) == ("server_shutdown", 3_000)
            assert (await _ask(trader, "order.new", **ORDER))["order_id"]
            assert [await _until_closed(socket) for socket in (trader, stranger)] == [1012, 1012]
            assert server.wait() == 0


async def _until_closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    while (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
        pass
    return socket.close_code
