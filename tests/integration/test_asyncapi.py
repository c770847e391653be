"""What travels over a socket is what /asyncapi.json says."""

from __future__ import annotations

import asyncio
from typing import Any

import jsonschema
import pytest

from exchange.api.reference.socket_messages import CHANNELS, UNASKED
from tests.support.ws_exchange import ADMIN_KEY, Socket, WsExchange, ws_exchange

ORDER = {"instrument_id": "SPX", "side": "buy", "quantity": 2, "price": 4400.0}


class Published:
    """The document as a running exchange serves it. Objects are closed: what it does not name is an error."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.components = _closed(document["components"])
        self.seen: set[str] = set()

    def check(self, frame: dict[str, Any], name: str) -> None:
        """Raises unless ``frame`` is one of that message."""
        payload = self.components["messages"][name]["payload"]
        jsonschema.Draft7Validator({**payload, "components": self.components}).validate(frame)
        self.seen.add(name)


class Recorded(Socket):
    """A socket that compares what it sends and receives with the document."""

    published: Published
    methods: dict[Any, str]

    async def send(self, request: dict[str, Any]) -> None:
        """A request, which is one of the document's unless it is meant to be wrong."""
        self.methods[request["id"]] = method = request["method"].replace(".", "_")
        if not request.get("params", {}).get("wrong"):
            self.published.check(request, f"{method}_request")
        await super().send(request)

    async def receive(self) -> dict[str, Any]:
        """An event, an answer or a refusal."""
        frame = await super().receive()
        if "type" in frame:
            self.published.check(frame, frame["type"])
        elif "error" in frame:
            self.published.check(frame, "refused")
        else:
            self.published.check(frame, f"{self.methods[frame['id']]}_answer")
        return frame


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


async def _published(running: WsExchange) -> Published:
    return Published((await running.send("GET", "/asyncapi.json")).json())


async def _socket(running: WsExchange, published: Published, key: str | None, subprotocol: str) -> Recorded:
    socket = Recorded(await running.connect(key, subprotocol=subprotocol))
    socket.published, socket.methods = published, {}
    assert (await socket.receive())["type"] == "hello"
    return socket


async def _trade(maker: Recorded, taker: Recorded, key: str) -> None:
    """Every method at least once, with every kind of answer."""
    await taker.result("login", api_key=key)
    for socket in (maker, taker):
        channels = ["private", "book.SPX", "trades.SPX", "phase"]
        channels += ["orders.SPX", "ticker.SPX", "status.SPX", "candles.SPX.1m"]
        await socket.result("subscribe", channels=channels)
    await taker.result("unsubscribe", channels=["trades.SPX"])
    await maker.result("ping")
    await maker.result("session.cancel_on_disconnect", enabled=True)
    await maker.result("session.cancel_all_after", timeout_ms=60_000)
    placed = await maker.result("order.new", **ORDER, client_order_id="mine")
    await maker.result("order.amend", order_id=placed["order_id"], quantity=3)
    batch = [{**ORDER, "side": "sell", "quantity": 1}, {**ORDER, "price": 0.123}]
    await taker.result("orders.new_batch", orders=batch, wait="settlement")
    await taker.result("order.new", **(ORDER | {"price": 4390.0}), wait="matching")
    # Reached already, so that it waits no time.
    stop = {"price": 4380.0, "stop_price": 4390.0, "label": "exit", "self_trade_prevention": "decrement"}
    await maker.result("order.new", **(ORDER | stop), wait="settlement")
    await maker.result("order.get", client_order_id="mine")
    await maker.result("orders.open")
    await maker.result("positions.get")
    await maker.result("book.get", instrument_id="SPX")
    await maker.result("order.cancel", order_id=placed["order_id"])
    await taker.result("orders.cancel_all", side="buy")
    assert (await maker.ask("order.new", wrong=True))["error"]["code"] == "INVALID_REQUEST"
    assert (await maker.ask("order.cancel", order_id="ORD_999"))["error"]["code"] == "CANCEL_FAILED"


@pytest.mark.parametrize("subprotocol", ["exchange.json", "exchange.msgpack"])
async def test_frames_are_those_of_the_document(subprotocol: str) -> None:
    """Every request, answer and event of a session with all methods and channels, in either encoding."""
    async with ws_exchange() as running:
        published = await _published(running)
        key = await running.team("Taker", "market_maker")
        maker = await _socket(running, published, await running.team("Maker", "market_maker"), subprotocol)
        taker = await _socket(running, published, None, subprotocol)
        await _trade(maker, taker, key)
        await running.send("POST", "/admin/phase", ADMIN_KEY, json={"phase": "halted"})
        notice = asyncio.create_task(running.exchange.give_notice())
        for socket in (maker, taker):
            while socket.events[-1]["type"] != "server_shutdown":
                await socket.until(len(socket.events) + 1)
        notice.cancel()
    told = {event.__struct_config__.tag for channel in CHANNELS for event in channel.events}
    unasked = {event.__struct_config__.tag for event in UNASKED}
    assert told | unasked <= published.seen
    assert {"refused", "order_new_answer", "orders_new_batch_answer"} <= published.seen


async def test_frames_that_are_not_of_the_document_are_found() -> None:
    """The comparison can fail: a field too many, a field too few, a value of another kind."""
    async with ws_exchange() as running:
        published = await _published(running)
    trade = {"type": "trade", "seq": 1, "timestamp": "now", "channel": "trades.SPX"}
    trade |= {"trade_id": "TRD_1", "price": 1.5, "quantity": 1, "side": "buy"}
    published.check(trade, "trade")
    for wrong in (trade | {"more": 1}, trade | {"price": "1.5"}, {k: trade[k] for k in trade if k != "seq"}):
        with pytest.raises(jsonschema.ValidationError):
            published.check(wrong, "trade")
