"""Mass cancels and batches over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.ws_exchange import WsExchange, ws_exchange

BUY = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 100.0}
SELL = BUY | {"side": "sell", "price": 101.0}


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange with one instrument and no limits."""
    async with ws_exchange("flow") as running:
        yield running


def _of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


async def test_ws_cancel_all_tells_each_order_once(exchange: WsExchange) -> None:
    """One ``order_cancelled`` per order under the request's id, and the answer counts them."""
    socket, _ = await exchange.socket(await exchange.team(role="player"))
    async with socket:
        await socket.result("subscribe", channels=["private"])
        entered = [(await socket.result("order.new", **BUY))["order_id"] for _ in range(3)]
        kept = (await socket.result("order.new", **SELL))["order_id"]
        answer = await socket.result("orders.cancel_all", side="buy")
        assert answer["data"]["cancelled"] == 3
        again = await socket.result("orders.cancel_all", side="buy", instrument_id="FLOW")
        assert again["data"]["cancelled"] == 0
        cancelled = _of(await socket.until(1 + 4 + 3), "order_cancelled")
        assert [event["order_id"] for event in cancelled] == entered
        assert {event["reason"] for event in cancelled} == {"requested"}
        assert len({event["request_id"] for event in cancelled}) == 1
        (left,) = (await socket.result("orders.open"))["orders"]
        assert left["order_id"] == kept
        assert len(_of(socket.events, "order_cancelled")) == 3


async def test_ws_batch_is_sequenced_as_one_and_counts_as_many(exchange: WsExchange) -> None:
    """Ids follow one another; 64 orders may be under way, so a second batch of 50 has no place."""
    socket, _ = await exchange.socket(await exchange.team(role="player"))
    async with socket:
        await socket.result("subscribe", channels=["private"])
        first = await socket.begin("orders.new_batch", orders=[BUY] * 50)
        second = await socket.begin("orders.new_batch", orders=[BUY] * 50)
        third = await socket.begin("orders.new_batch", orders=[SELL] * 14, wait="matching")
        entered = (await socket.answer(first))["result"]["data"]["answers"]
        refused = await socket.answer(second)
        assert (refused["status"], refused["error"]["code"]) == (429, "TOO_MANY_IN_FLIGHT")
        entered += (await socket.answer(third))["result"]["data"]["answers"]
        ids = [int(each["order_id"].removeprefix("ORD_")) for each in entered]
        assert ids == list(range(ids[0], ids[0] + 64))
        acks = (await socket.until(1 + 64))[1:]
        assert [event["request_id"] for event in acks] == [each["request_id"] for each in entered]
        assert (await socket.result("orders.new_batch", orders=[BUY]))["data"]["answers"][0]["success"]
