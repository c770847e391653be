"""Rate limits at the edge, over HTTP and WebSocket."""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from exchange.base.clock import ManualClock
from exchange.config import LimitsConfig
from exchange.model.reasons import Code
from tests.support.http_exchange import ADMIN_KEY, HttpExchange, http_exchange
from tests.support.ws_exchange import ws_exchange

TIGHT = LimitsConfig(
    team_orders_per_second=2.0,
    team_orders_burst=3,
    team_reads_per_second=10.0,
    team_reads_burst=5,
    address_per_second=10.0,
    address_burst=8,
    refusals=4,
)


def _figures(answer: httpx.Response) -> tuple[str, str, str]:
    names = ("limit", "remaining", "reset")
    limit, remaining, reset = (answer.headers[f"x-ratelimit-{name}"] for name in names)
    return limit, remaining, reset


async def _validate(exchange: HttpExchange, key: str) -> httpx.Response:
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}
    return await exchange.send("POST", "/exchange/orders/validate", key=key, json=body)


async def test_team_that_is_too_fast_is_told_when_to_come_back() -> None:
    """429 with all headers, nothing done; after the wait it goes on, by the server's clock alone."""
    clock = ManualClock()
    async with http_exchange(clock=clock, limits=TIGHT) as exchange:
        key = await exchange.team()
        told = [await exchange.order(key) for _ in range(4)]
        assert [each.status_code for each in told] == [200, 200, 200, 429]
        assert [_figures(each) for each in told] == [
            ("3", "2", "1"),
            ("3", "1", "1"),
            ("3", "0", "2"),
            ("3", "0", "2"),
        ]
        error = told[3].json()["error"]
        assert (error["code"], error["retry_after_ms"]) == (Code.RATE_LIMITED, 500)
        assert error["details"] == {"limit_per_second": 2.0, "limit": 3, "remaining": 0}
        assert told[3].headers["retry-after"] == "1"
        assert "connection" not in told[3].headers
        clock.advance(0.5)
        assert (await exchange.order(key)).status_code == 200
        assert (await exchange.order(key)).status_code == 429
        listed = await exchange.send("GET", "/exchange/orders?status=all", key=key)
        assert len(listed.json()["data"]["orders"]) == 4


async def test_orders_reads_teams_and_addresses_are_counted_apart() -> None:
    """Who has used up one bucket may still use the others; the operator counts as an address."""
    async with http_exchange(clock=ManualClock(), limits=TIGHT) as exchange:
        keys = [await exchange.team(name) for name in ("Alpha", "Beta")]
        for _ in range(3):
            assert (await _validate(exchange, keys[0])).status_code == 200
        assert (await _validate(exchange, keys[0])).status_code == 429
        reads = [(await exchange.send("GET", "/positions", key=keys[0])).status_code for _ in range(6)]
        assert reads == [200] * 5 + [429]
        assert (await _validate(exchange, keys[1])).status_code == 200
        # The two registrations came from the same address.
        statuses = [(await exchange.send("GET", "/game/status")).status_code for _ in range(2)]
        statuses.append((await exchange.send("GET", "/admin/status", key=ADMIN_KEY)).status_code)
        statuses += [
            (await exchange.send("GET", "/positions", key="itg_wrong")).status_code for _ in range(4)
        ]
        assert statuses == [200, 200, 200, 401, 401, 401, 429]
        assert (await exchange.send("GET", "/health/live")).status_code == 200
        assert "x-ratelimit-limit" not in (await exchange.send("GET", "/metrics")).headers


async def test_connection_is_closed_when_abuse_goes_on() -> None:
    """Four refusals are borne, with the fifth the connection ends."""
    async with http_exchange(clock=ManualClock(), limits=TIGHT) as exchange:
        key = await exchange.team()
        answers = [await _validate(exchange, key) for _ in range(9)]
        assert [each.status_code for each in answers] == [200] * 3 + [429] * 6
        assert [each.headers.get("connection") for each in answers[3:]] == [None] * 4 + ["close"] * 2


async def test_limits_can_be_switched_off() -> None:
    """Nothing is counted and no header is sent."""
    off = LimitsConfig(enabled=False, team_reads_per_second=1.0, team_reads_burst=1)
    async with http_exchange(clock=ManualClock(), limits=off) as exchange:
        key = await exchange.team()
        answers = [await exchange.send("GET", "/positions", key=key) for _ in range(5)]
        assert {each.status_code for each in answers} == {200}
        assert not any("x-ratelimit-limit" in each.headers for each in answers)


async def test_answers_written_in_one_piece_have_the_headers_too() -> None:
    """The server's own way to send a plain 200 tells what is left, and nothing where limits are off."""
    async with ws_exchange("flow", limits=LimitsConfig(team_reads_burst=9)) as exchange:
        key = await exchange.team(role="player")
        answers = [await exchange.send("GET", "/positions", key) for _ in range(2)]
        assert [each.status_code for each in answers] == [200, 200]
        assert [_figures(each)[0] for each in answers] == ["9", "9"]
        assert all(each.json()["success"] for each in answers)
    async with ws_exchange("flow", limits=LimitsConfig(enabled=False)) as exchange:
        key = await exchange.team(role="player")
        answer = await exchange.send("GET", "/positions", key)
        assert answer.status_code == 200
        assert "x-ratelimit-limit" not in answer.headers


async def test_ws_messages_are_limited_and_abuse_closes_the_socket() -> None:
    """429 with ``retry_after_ms`` for the ids that were too fast; 4029 when it goes on."""
    limits = LimitsConfig(
        socket_messages_per_second=0.001, socket_messages_burst=10, refusals=5, refusals_window_s=1_000.0
    )
    async with ws_exchange("flow", limits=limits) as exchange:
        socket, _ = await exchange.socket()
        async with socket:
            ids = [await socket.begin("ping") for _ in range(15)]
            answers = [await socket.answer(each) for each in ids]
            assert [each.get("status", 200) for each in answers] == [200] * 10 + [429] * 5
            error = answers[10]["error"]
            assert error["code"] == Code.RATE_LIMITED
            assert error["retry_after_ms"] > 0
            assert error["details"]["limit"] == 10
            await socket.connection.send("not json")
            assert await socket.until_closed() == 4029
        other, _ = await exchange.socket()
        async with other:
            assert await other.result("ping")


async def test_ws_team_has_one_bucket_over_all_its_connections() -> None:
    """Sockets and HTTP together; reads are counted apart from orders."""
    limits = LimitsConfig(team_orders_per_second=0.001, team_orders_burst=4)
    order = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 100.0}
    async with ws_exchange("flow", limits=limits) as exchange:
        key = await exchange.team(role="player")
        sockets = [(await exchange.socket(key))[0] for _ in range(2)]
        for socket in sockets:
            await socket.result("order.new", **order)
        assert (await exchange.send("POST", "/exchange/orders", key, json=order)).status_code == 200
        assert await sockets[0].result("orders.new_batch", orders=[order] * 5)
        for socket in sockets:
            refused = await socket.ask("order.new", **order)
            assert (refused["status"], refused["error"]["code"]) == (429, Code.RATE_LIMITED)
            assert len((await socket.result("orders.open"))["orders"]) == 8
            await socket.connection.close()
        answer = await exchange.send("POST", "/exchange/orders", key, json=order)
        assert answer.json()["error"]["code"] == Code.RATE_LIMITED


async def test_ws_what_needs_no_key_counts_for_the_address() -> None:
    """Over all its sockets, with a key or without, and together with HTTP; what needs a key does not."""
    limits = LimitsConfig(address_per_second=0.001, address_burst=6)
    async with ws_exchange("flow", limits=limits) as exchange:
        key = await exchange.team(role="player")
        known, stranger = (await exchange.socket(key))[0], (await exchange.socket())[0]
        for socket in (known, stranger):
            await socket.result("book.get", instrument_id="FLOW")
        assert (await exchange.send("GET", "/game/status")).status_code == 200
        for socket in (known, stranger):
            refused = await socket.ask("book.get", instrument_id="FLOW")
            assert (refused["status"], refused["error"]["code"]) == (429, Code.RATE_LIMITED)
            assert await socket.result("ping")
        assert await known.result("orders.open") == {"orders": []}


async def test_ws_handshakes_count_for_the_address() -> None:
    """Too many are refused with 429 before a socket is made of them, whatever key they bring."""
    limits = LimitsConfig(address_per_second=0.001, address_burst=2)
    async with ws_exchange("flow", limits=limits) as exchange:
        for _ in range(2):
            await exchange.socket()
        with pytest.raises(InvalidStatus) as refused:
            await exchange.socket("itg_nobody")
        answer = refused.value.response
        assert (answer.status_code, int(answer.headers["retry-after"]) > 1) == (429, True)
        assert b"RATE_LIMITED" in answer.body


async def test_ws_rule_of_the_role_is_no_abuse() -> None:
    """ORDER_RATE_EXCEEDED is the game's, not the edge's: however often it comes the socket stays open."""
    limits = LimitsConfig(refusals=1, refusals_window_s=1_000.0)
    order = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}
    async with ws_exchange(limits=limits) as exchange:
        socket, _ = await exchange.socket(await exchange.team(role="arbitrage"))
        ids = [await socket.begin("order.new", **order) for _ in range(30)]
        codes = [(await socket.answer(each)).get("error", {}).get("code") for each in ids]
        assert codes.count(Code.ORDER_RATE_EXCEEDED) > 10
        assert await socket.result("ping")
