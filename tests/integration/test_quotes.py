"""Quotes and market-maker protection through a whole exchange: HTTP, WebSocket, SDK, journal and replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from exchange.api.socket.methods import METHODS
from exchange.app import build_core
from exchange.base.clock import ManualClock
from exchange.base.entropy import SeededEntropy
from exchange.client import (
    ExchangeClient,
    InProcessTransport,
    QuoteReceipt,
    QuoteRequest,
    Rejected,
)
from exchange.journal.records import decode_batch
from exchange.model.commands import CancelOrder, NewOrder
from exchange.model.reasons import Code
from exchange.pipeline.recovery import recover
from exchange.wire.requests import QuotesRequest
from tests.support.http_exchange import HttpExchange, http_exchange
from tests.support.ws_exchange import ws_exchange

NOW_US = 1_705_312_800_000_000
PROTECTION = "/exchange/quotes/protection/default"


@pytest.fixture
def clock() -> ManualClock:
    """Ten in the morning, until a test moves it on."""
    return ManualClock(NOW_US)


@pytest.fixture
async def exchange(clock: ManualClock) -> AsyncIterator[HttpExchange]:
    """A running exchange by that clock."""
    async with http_exchange(clock=clock) as running:
        yield running


def _quote(
    bid: float | None = 4399.0, ask: float | None = 4401.0, lots: int = 5, **fields: Any
) -> dict[str, Any]:
    quote: dict[str, Any] = {"instrument_id": "SPX"}
    if bid is not None:
        quote |= {"bid_price": bid, "bid_quantity": lots}
    if ask is not None:
        quote |= {"ask_price": ask, "ask_quantity": lots}
    return quote | fields


async def _ask(exchange: HttpExchange, key: str, *quotes: dict[str, Any], **fields: Any) -> list[Any]:
    body = {"quotes": list(quotes)} | fields
    answer = await exchange.send("POST", "/exchange/quotes", key=key, json=body)
    assert answer.status_code == 200, answer.text
    answers: list[Any] = answer.json()["data"]["answers"]
    return answers


async def _book(exchange: HttpExchange) -> tuple[Any, Any]:
    data = (await exchange.send("GET", "/exchange/orderbook/SPX")).json()["data"]
    return data["bids"], data["asks"]


async def _settled(exchange: HttpExchange, key: str) -> None:
    """Whatever was accepted before is booked: a mass cancel of nothing is."""
    await exchange.send("DELETE", "/exchange/orders", key=key, params={"label": "none"})


async def test_quotes_are_answered_one_by_one(exchange: HttpExchange) -> None:
    """What is wrong with one says nothing of the others; both sides of it are refused."""
    key = await exchange.team(role="market_maker")
    answers = await _ask(
        exchange,
        key,
        _quote(),
        _quote(instrument_id="NOPE"),
        _quote(instrument_id="SPY", bid=440.0, ask=440.005),
        _quote(instrument_id="SPY", bid=441.0, ask=440.0),
        _quote(bid=None, ask=None),
        _quote(lots=101),
        _quote(instrument_id="SPY", bid=440.0, ask=None),
    )
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [
        None,
        Code.UNKNOWN_INSTRUMENT,
        Code.PRICE_NOT_ON_TICK,
        Code.QUOTE_CROSSED,
        Code.QUOTE_EMPTY,
        Code.ORDER_SIZE_OUT_OF_RANGE,
        None,
    ]
    assert [answer["status"] for answer in answers] == [200, 404, 400, 400, 400, 400, 200]
    assert [answer["success"] for answer in answers] == [code is None for code in codes]
    assert answers[0]["bid_order_id"] != answers[0]["ask_order_id"]
    assert "ask_order_id" not in answers[-1]
    assert answers[3]["error"]["details"] == {"instrument_id": "SPY", "bid": 441.0, "ask": 440.0}
    await _settled(exchange, key)
    assert await _book(exchange) == ([[4399.0, 5]], [[4401.0, 5]])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quotes": []}, "quotes"),
        ({"quotes": [_quote()] * 51}, "quotes"),
        ({"quotes": [{"instrument_id": "SPX", "bid_price": 1.0}]}, "quotes[0]"),
        ({"quotes": [_quote()], "quote_group": "no spaces"}, "quote_group"),
        ({"quotes": [_quote(label="x")]}, "quotes[0].label"),
    ],
)
async def test_quotes_that_are_no_request_refuse_the_whole(
    exchange: HttpExchange, body: dict[str, Any], field: str
) -> None:
    """Counts, halves of a side, names and unknown fields."""
    key = await exchange.team(role="market_maker")
    answer = await exchange.send("POST", "/exchange/quotes", key=key, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, Code.INVALID_REQUEST)
    assert error["details"]["field"] == field
    order = await exchange.order(key, quote_group="default")
    assert order.json()["error"]["code"] == Code.INVALID_REQUEST


async def test_quotes_are_for_roles_that_may(exchange: HttpExchange) -> None:
    """A hedge fund sends orders; the rules say who may quote."""
    key = await exchange.team(role="hedge_fund")
    (answer,) = await _ask(exchange, key, _quote())
    assert (answer["status"], answer["error"]["code"]) == (403, Code.QUOTES_NOT_ALLOWED)
    protected = await exchange.send("PUT", PROTECTION, key=key, json={"fills": 1, "window_ms": 1})
    assert protected.status_code == 403
    rules = (await exchange.send("GET", "/game/rules")).json()["data"]
    quoting = {role["role"]: role.get("quotes") for role in rules["roles"]}
    assert quoting["market_maker"] == {"min_quantity": 1}
    assert quoting["hedge_fund"] is None


async def test_quotes_replace_cancel_and_survive_a_replay(exchange: HttpExchange) -> None:
    """Up and down at once, one side only, a group; their orders say whose they are and change by quotes."""
    key = await exchange.team(role="market_maker")
    await _ask(exchange, key, _quote(4399.0, 4401.0))
    await _ask(exchange, key, _quote(4405.0, 4407.0))
    (answer,) = await _ask(exchange, key, _quote(4390.0, 4392.0))
    await _ask(exchange, key, _quote(4380.0, 4420.0), quote_group="wide")
    await _settled(exchange, key)
    assert await _book(exchange) == ([[4390.0, 5], [4380.0, 5]], [[4392.0, 5], [4420.0, 5]])
    path = f"/exchange/orders/{answer['bid_order_id']}"
    assert (await exchange.send("GET", path, key=key)).json()["data"]["quote_group"] == "default"
    amended = await exchange.send("PATCH", path, key=key, json={"price": 4391.0})
    assert amended.json()["error"]["details"] == {"field": "quote_group"}
    await exchange.send("DELETE", "/exchange/orders", key=key, params={"quote_group": "wide"})
    await _ask(exchange, key, _quote(None, 4392.0))
    await _settled(exchange, key)
    assert await _book(exchange) == ([], [[4392.0, 5]])
    core = exchange.exchange.core
    assert recover(exchange.journal, core.rules, build_core).core.state_hash() == core.state_hash()


def test_quotes_count_one_by_one_as_requests_of_a_socket() -> None:
    """As the orders of a batch do: more than 64 are not under way at once."""
    request = msgspec.convert({"quotes": [_quote()] * 3}, QuotesRequest)
    assert METHODS["quotes.new"].weight(request) == 3


async def test_quotes_share_one_batch_of_the_journal(exchange: HttpExchange) -> None:
    """A crash keeps both sides of a quote or neither, whatever else is being written."""
    key = await exchange.team(role="market_maker")
    await _ask(exchange, key, *[_quote(4399.0 - each, 4401.0 + each) for each in range(9)])
    await _ask(exchange, key, _quote(None, 4401.0))
    sides: dict[str, list[int]] = {}
    for number, batch in enumerate(exchange.journal.read()):
        for record in decode_batch(batch):
            if isinstance(record.command, (NewOrder, CancelOrder)):
                sides.setdefault(record.command.request_id, []).append(number)
    assert sorted(len(batches) for batches in sides.values()) == [1, 2]
    assert all(len(set(batches)) == 1 for batches in sides.values())


async def test_quotes_pass_the_order_rate_together() -> None:
    """Each counts as two of the hundred orders within a second that the role allows."""
    async with http_exchange(clock=ManualClock(NOW_US)) as running:
        key = await running.team(role="market_maker")
        assert all(answer["success"] for answer in await _ask(running, key, *[_quote()] * 49))
        assert (await running.order(key, price=4300.0)).status_code == 200
        (refused,) = await _ask(running, key, _quote(4398.0, 4402.0))
        assert (refused["status"], refused["error"]["code"]) == (429, Code.ORDER_RATE_EXCEEDED)
        (one_sided,) = await _ask(running, key, _quote(None, 4402.0))
        assert one_sided["success"] is True


async def test_protection_ends_freezes_and_frees_a_group(exchange: HttpExchange, clock: ManualClock) -> None:
    """Two fills within a second; then frozen for five, told why, and free again by the clock."""
    maker, taker = await exchange.team("Maker", "market_maker"), await exchange.team("Taker")
    wish = {"fills": 2, "window_ms": 1000, "frozen_ms": 5000}
    view = (await exchange.send("PUT", PROTECTION, key=maker, json=wish)).json()["data"]
    assert (
        view == {"quote_group": "default", "is_protected": True, "recent_fills": 0, "recent_lots": 0} | wish
    )
    (answer,) = await _ask(exchange, maker, _quote())
    await exchange.order(taker, "settlement", side="sell", quantity=1, price=4399.0)
    view = (await exchange.send("GET", PROTECTION, key=maker)).json()["data"]
    assert (view["recent_fills"], view["recent_lots"]) == (1, 1)
    await exchange.order(taker, "settlement", side="sell", quantity=1, price=4399.0)
    assert await _book(exchange) == ([], [])
    ended = await exchange.send("GET", f"/exchange/orders/{answer['ask_order_id']}", key=maker)
    assert ended.json()["data"]["cancel_reason"] == "market_maker_protection"
    (frozen,) = await _ask(exchange, maker, _quote())
    assert (frozen["status"], frozen["error"]["code"]) == (409, Code.QUOTES_FROZEN)
    view = (await exchange.send("GET", PROTECTION, key=maker)).json()["data"]
    assert (view["is_frozen"], view["frozen_until"]) == (True, "2024-01-15T10:00:05.000000Z")
    clock.advance(5)
    assert (await _ask(exchange, maker, _quote()))[0]["success"] is True
    core = exchange.exchange.core
    await _settled(exchange, maker)
    assert recover(exchange.journal, core.rules, build_core).core.state_hash() == core.state_hash()


async def test_protection_is_removed_and_bounded(exchange: HttpExchange) -> None:
    """Without bounds it is no request; removed twice is removed; a name must be a name."""
    key = await exchange.team(role="market_maker")
    for body in ({"window_ms": 1000}, {"fills": 0, "window_ms": 1000}, {"fills": 1, "window_ms": 3_600_001}):
        answer = await exchange.send("PUT", PROTECTION, key=key, json=body)
        assert answer.json()["error"]["code"] == Code.INVALID_REQUEST
    await exchange.send("PUT", PROTECTION, key=key, json={"lots": 9, "window_ms": 1000})
    for _ in range(2):
        answer = await exchange.send("DELETE", PROTECTION, key=key)
        assert answer.json()["data"] == {"quote_group": "default", "is_protected": False}
    for method in ("GET", "DELETE", "PUT"):
        bounds = {"json": {"fills": 1, "window_ms": 1}} if method == "PUT" else {}
        answer = await exchange.send(method, f"{PROTECTION}%20x", key=key, **bounds)
        assert answer.json()["error"]["code"] == Code.INVALID_REQUEST


@pytest.mark.parametrize("subprotocol", [None, "exchange.msgpack"])
async def test_quotes_over_a_socket(subprotocol: str | None) -> None:
    """The same methods: answers, events with the group, protection that fires, mass cancel."""
    async with ws_exchange() as running:
        maker, taker = await running.team("Maker", "market_maker"), await running.team("Taker")
        mine, _ = await running.socket(maker, subprotocol=subprotocol)
        await mine.result("subscribe", channels=["private"])
        await mine.result("protection.set", quote_group="g", fills=1, window_ms=1000)
        result = await mine.result("quotes.new", quote_group="g", quotes=[_quote(), _quote(4401.0, 4400.0)])
        first, second = result["data"]["answers"]
        assert (first["success"], second["error"]["code"]) == (True, Code.QUOTE_CROSSED)
        order = {"instrument_id": "SPX", "side": "sell", "quantity": 1, "price": 4399.0}
        await running.send("POST", "/exchange/orders", taker, json=order)
        _, *events = await mine.until(7)
        assert [event["type"] for event in events] == [
            "new_order_ack",
            "new_order_ack",
            "execution_report",
            "position_update",
            "order_cancelled",
            "order_cancelled",
        ]
        assert {event["quote_group"] for event in events[:2]} == {"g"}
        assert {event["reason"] for event in events[4:]} == {"market_maker_protection"}
        frozen = await mine.result("protection.get", quote_group="g")
        assert frozen["is_frozen"] is True
        assert "frozen_until" not in frozen
        removed = await mine.result("protection.remove", quote_group="g")
        assert removed == {"quote_group": "g", "is_protected": False}
        await mine.result("quotes.new", quote_group="g", quotes=[_quote()])
        assert (await mine.result("orders.cancel_all", quote_group="g"))["data"]["cancelled"] == 2
        await mine.connection.close()


@pytest.mark.parametrize("prefers_socket", [False, True])
async def test_quotes_of_the_sdk(exchange: HttpExchange, prefers_socket: bool) -> None:
    """Receipts and refusals as values or exceptions, protection, cancel by group."""
    key = await exchange.team(role="market_maker")
    transport = InProcessTransport(exchange.exchange.api, key, prefers_socket=prefers_socket)
    async with ExchangeClient(transport, entropy=SeededEntropy(1)) as client:
        receipt = await client.quote("SPX", bid=(4399.0, 5), ask=(4401.0, 5))
        again = await client.quote("SPX", bid=(4398.0, 5), ask=(4402.0, 5))
        assert receipt.bid_order_id is not None
        assert (again.bid_order_id, again.ask_order_id) == (receipt.bid_order_id, receipt.ask_order_id)
        with pytest.raises(Rejected) as raised:
            await client.quote("SPX", bid=(4401.0, 5), ask=(4401.0, 5))
        assert raised.value.code == Code.QUOTE_CROSSED
        good, bad = await client.quotes(
            [
                QuoteRequest(instrument_id="SPY", bid_price=440.0, bid_quantity=1),
                QuoteRequest(instrument_id="SPY", bid_price=440.001, bid_quantity=1),
            ],
            quote_group="spy",
        )
        assert isinstance(good, QuoteReceipt)
        assert isinstance(bad, Rejected)
        assert good.ask_order_id is None
        view = await client.protect_quotes(lots=10, window_s=1)
        assert (view.is_protected, view.lots, view.window_ms) == (True, 10, 1000)
        assert await client.quote_protection() == view
        assert (await client.unprotect_quotes()).is_protected is False
        assert await client.cancel_all(quote_group="spy") == 1
        assert {order.quote_group for order in await client.open_orders()} == {"default"}
