from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.ws_exchange import DEADLINE_S, Socket, WsExchange, ws_exchange

ORDER = {"instrument_id": "SPX", "side": "buy", "quantity": 2, "price": 4400.0}


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange."""
    async with ws_exchange() as running:
        yield running


async def _trader(exchange: WsExchange, name: str = "Alpha") -> tuple[Socket, str]:
    key = await exchange.team(name)
    socket, _ = await exchange.socket(key)
    return socket, key


async def test_ws_life_of_an_order(exchange: WsExchange) -> None:
    """Entered, read, amended, cancelled: over the socket, under either of its names."""
    socket, _ = await _trader(exchange)
    async with socket:
        entered = await socket.result("order.new", **ORDER, client_order_id="mine")
        order_id = entered["order_id"]
        assert set(entered) == {"order_id", "timestamp"}
        seen = await socket.result("order.get", client_order_id="mine")
        assert (seen["order_id"], seen["remaining_quantity"]) == (order_id, 2)
        amended = await socket.result("order.amend", order_id=order_id, quantity=5, price=4399.0)
        assert (amended["data"]["quantity"], amended["data"]["price"]) == (5, 4399.0)
        (still_open,) = (await socket.result("orders.open"))["orders"]
        assert (still_open["order_id"], still_open["price"]) == (order_id, 4399.0)
        assert (await socket.result("book.get", instrument_id="SPX"))["bids"] == [[4399.0, 5]]
        cancelled = await socket.result("order.cancel", client_order_id="mine")
        assert cancelled["data"]["status"] == "cancelled"
        again = await socket.ask("order.cancel", order_id=order_id)
        assert (again["status"], again["error"]["code"]) == (404, "CANCEL_FAILED")


async def test_ws_wait_for_settlement_tells_the_fill(exchange: WsExchange) -> None:
    """As ``?wait=settlement`` of HTTP: status, fills and fees in ``data``."""
    maker, _ = await _trader(exchange)
    taker, _ = await _trader(exchange, "Beta")
    async with maker, taker:
        await maker.result("order.new", **ORDER)
        result = await taker.result("order.new", **(ORDER | {"side": "sell"}), wait="settlement")
        filled = result["data"]
        assert (filled["status"], filled["filled_quantity"], filled["average_price"]) == ("filled", 2, 4400.0)
        assert (await taker.result("positions.get"))["positions"] == {"SPX": -2}
        await maker.result("orders.cancel_all")


@pytest.mark.parametrize(
    "order",
    [
        ORDER | {"price": 4400.005},
        ORDER | {"price": 9_000.0},
        ORDER | {"instrument_id": "NONE"},
        ORDER | {"quantity": 501},
        ORDER | {"quantity": 0},
        ORDER | {"side": "long"},
        ORDER | {"order_type": "market"},
        ORDER | {"unknown": 1},
        {"instrument_id": "SPX"},
    ],
)
async def test_ws_refusals_are_those_of_http(exchange: WsExchange, order: dict[str, Any]) -> None:
    """One code path: the same error, in the same words, with the same status."""
    socket, key = await _trader(exchange)
    async with socket:
        here = await socket.ask("order.new", **order)
        there = await exchange.send("POST", "/exchange/orders", key, json=order)
        assert here["status"] == there.status_code
        assert here["error"] == there.json()["error"]


async def test_ws_request_id_travels(exchange: WsExchange) -> None:
    """The socket's id is the request_id of the events, and GET /exchange/requests knows it."""
    socket, key = await _trader(exchange)
    async with socket:
        await socket.result("subscribe", channels=["private"])
        await socket.send({"id": "bot.7", "method": "order.new", "params": ORDER})
        answer = await socket.answer("bot.7")
        (_, ack) = await socket.until(2)
        assert (ack["request_id"], ack["order_id"]) == ("bot.7", answer["result"]["order_id"])
        known = await exchange.send("GET", "/exchange/requests/bot.7", key)
        assert known.json()["data"]["order_id"] == ack["order_id"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not JSON", "BAD_JSON"),
        ("", "BAD_JSON"),
        (b'{"id":1,"method":"ping"}', "INVALID_REQUEST"),
        ('{"id":1,"method":"ping","params":' + "[" * 9_000 + "]" * 9_000 + "}", "BODY_TOO_DEEP"),
        ('{"id":1,"method":"no.such"}', "UNKNOWN_METHOD"),
        ('{"id":1,"method":"ping","extra":1}', "INVALID_REQUEST"),
        ("[]", "INVALID_REQUEST"),
    ],
)
async def test_ws_bad_message_is_answered_and_the_socket_stays(
    exchange: WsExchange, message: str | bytes, code: str
) -> None:
    """Whatever is wrong with a message, it gets an answer with a code and the next one is read."""
    socket, _ = await exchange.socket()
    async with socket:
        await socket.connection.send(message)
        assert (await socket.receive())["error"]["code"] == code
        assert "timestamp" in await socket.result("ping")


async def test_ws_message_beyond_the_limit_closes_the_socket(exchange: WsExchange) -> None:
    """A message larger than may be read ends the socket with 1009; the others go on."""
    socket, _ = await exchange.socket()
    other, _ = await exchange.socket()
    async with other:
        await socket.connection.send("x" * 65_537)
        async with asyncio.timeout(DEADLINE_S):
            await socket.connection.wait_closed()
        assert socket.connection.close_code == 1009
        assert "timestamp" in await other.result("ping")


async def test_ws_orders_in_flight_keep_their_order(exchange: WsExchange) -> None:
    """300 orders, 64 at a time, are sequenced as they were sent, and every one is answered once."""
    socket, _ = await _trader(exchange)
    async with socket:
        order_ids = []
        for start in range(0, 300, 50):
            requests = [
                await socket.begin("order.new", instrument_id="SPX", side="buy", quantity=1, price=4000.0 + n)
                for n in range(start, start + 50)
            ]
            for request_id in requests:
                answer = await socket.answer(request_id)
                # The role's order rate is not what is tested.
                if "result" in answer:
                    order_ids.append(int(answer["result"]["order_id"].removeprefix("ORD_")))
                else:
                    assert answer["error"]["code"] == "ORDER_RATE_EXCEEDED"
        assert order_ids
        assert order_ids == sorted(order_ids)


async def test_ws_more_in_flight_than_allowed(exchange: WsExchange) -> None:
    """Beyond 64 requests under way the answer is TOO_MANY_IN_FLIGHT; all are answered, the socket stays."""
    socket, _ = await _trader(exchange)
    async with socket:
        requests = [
            json.dumps({"id": number, "method": "order.new", "params": ORDER}) for number in range(200)
        ]
        # One write, so that all of them are there before any can be answered.
        transport = socket.connection.transport
        for request in requests:
            socket.connection.protocol.send_text(request.encode())
        transport.write(b"".join(socket.connection.protocol.data_to_send()))
        answers = [await socket.answer(number) for number in range(200)]
        codes = {answer["error"]["code"] for answer in answers if "error" in answer}
        assert "TOO_MANY_IN_FLIGHT" in codes
        assert [answer["id"] for answer in answers] == list(range(200))
        assert "timestamp" in await socket.result("ping")


async def test_ws_draining_exchange_refuses_and_finishes(exchange: WsExchange) -> None:
    """After stop what was taken is answered and told, what comes later gets 503 SHUTTING_DOWN."""
    socket, _ = await _trader(exchange)
    async with socket:
        await socket.result("subscribe", channels=["private"])
        taken = await socket.begin("order.new", **ORDER)
        await socket.result("ping")
        exchange.exchange.stop()
        late = await socket.ask("order.new", **ORDER)
        assert (late["status"], late["error"]["code"]) == (503, "SHUTTING_DOWN")
        answer = await socket.answer(taken)
        assert (await socket.until(2))[1]["order_id"] == answer["result"]["order_id"]
