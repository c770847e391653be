"""Market data through real sockets, under load: what clients end with is what a fresh snapshot says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.journal.memory import MemoryJournal
from tests.support.market_client import MarketClient
from tests.support.ws_exchange import Socket, WsExchange, on_uvloop, ws_exchange

BOOKS = ("book.FLOW", "book.FLOW.5", "book.FLOW.20", "orders.FLOW")
STATES = ("ticker.FLOW", "status.FLOW", "candles.FLOW.1s", "candles.FLOW.1d")
CHANNELS = BOOKS + STATES
ORDERS = 600


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange with one instrument and no limits."""
    async with ws_exchange("flow") as running:
        yield running


class Watcher:
    """A client of every channel over sockets that are cut, which resumes what it knows."""

    def __init__(self, exchange: WsExchange, conflate_ms: int | None) -> None:
        self._exchange = exchange
        self._conflate: dict[str, int] = {} if conflate_ms is None else {"conflate_ms": conflate_ms}
        self._epoch = ""
        self.socket: Socket
        self.clients = {channel: MarketClient(channel) for channel in CHANNELS}

    async def connect(self) -> None:
        """Go on where it was."""
        self.socket, hello = await self._exchange.socket()
        self._epoch = hello["epoch"]
        known = {name: each.known for name, each in self.clients.items() if each.known is not None}
        answer = await self.socket.result(
            "subscribe", channels=list(CHANNELS), resume_from=known, epoch=self._epoch, **self._conflate
        )
        for state in answer["channels"]:
            if not state.get("resumed", False):
                self.clients[state["channel"]].restart()

    def take(self) -> None:
        """Take in what has been received."""
        for event in self.socket.events:
            self.clients[event["channel"]].take(event)
        self.socket.events.clear()

    async def cut(self, rng: random.Random) -> None:
        """Read some, then lose the socket and come back."""
        self.socket.connection.transport.abort()
        await self.socket.until_closed()
        kept = rng.randint(0, len(self.socket.events))
        del self.socket.events[kept:]
        self.take()
        await self.connect()


async def _trade(exchange: WsExchange, seed: int, orders: int) -> None:
    """Orders, amends and cancels of two teams, as fast as they are answered."""
    rng = random.Random(seed)
    key = await exchange.team(f"Team {seed}", "player")
    trader, _ = await exchange.socket(key)
    live: list[str] = []
    async with trader:
        for _ in range(orders // 10):
            asked = [_request(rng, live) for _ in range(10)]
            waiting = [await trader.begin(method, **params) for method, params in asked]
            for request in waiting:
                answer = await trader.answer(request)
                live += [answer["result"]["order_id"]] if "result" in answer else []


def _request(rng: random.Random, live: list[str]) -> tuple[str, dict[str, Any]]:
    if live and rng.random() < 0.4:
        order_id = live.pop(rng.randrange(len(live)))
        if rng.random() < 0.5:
            return "order.cancel", {"order_id": order_id}
        return "order.amend", {"order_id": order_id, "quantity": rng.randint(1, 9)}
    side, price = rng.choice(("buy", "sell")), rng.randint(19_970, 20_030) * 0.005
    return "order.new", {
        "instrument_id": "FLOW",
        "side": side,
        "quantity": rng.randint(1, 9),
        "price": round(price, 3),
    }


async def _fresh(exchange: WsExchange) -> dict[str, MarketClient]:
    watcher = Watcher(exchange, None)
    await watcher.connect()
    async with watcher.socket:
        await watcher.socket.until(len(CHANNELS))
        watcher.take()
    return watcher.clients


@on_uvloop
async def test_market_data_of_clients_that_are_cut_ends_equal_to_a_fresh_snapshot() -> None:
    """Plain and conflated, with cuts and resumes at random moments while two teams trade."""
    rng = random.Random(5)
    async with ws_exchange("flow") as exchange:
        watchers = [Watcher(exchange, conflate_ms) for conflate_ms in (None, None, 1, 40)]
        for watcher in watchers:
            await watcher.connect()
        trading = asyncio.gather(*(_trade(exchange, seed, ORDERS) for seed in (1, 2)))
        cuts = 0
        while not trading.done() or cuts < 12:
            watcher = watchers[cuts % len(watchers)]
            await watcher.socket.result("ping")
            await watcher.cut(rng)
            cuts += 1
        await trading
        fresh = await _fresh(exchange)
        for watcher in watchers:
            while any(watcher.clients[each].known != fresh[each].known for each in CHANNELS):
                await watcher.socket.until(1)
                watcher.take()
            for channel in CHANNELS:
                assert watcher.clients[channel].state == fresh[channel].state, channel
            await watcher.socket.connection.close()
        assert sum(each.clients["book.FLOW"].updates for each in watchers) > 100


@on_uvloop
async def test_market_data_slow_reader_that_asked_for_it_is_not_closed() -> None:
    """Two that stop reading: the plain one is closed with 4008, the conflated one catches up as it reads."""
    async with ws_exchange("flow", send_buffer=4_096) as exchange:
        key = await exchange.team("Alpha", "player")
        trader, _ = await exchange.socket(key)
        plain, _ = await exchange.socket(max_queue=1)
        conflated, _ = await exchange.socket(max_queue=1)
        await plain.result("subscribe", channels=["book.FLOW", "orders.FLOW"])
        await conflated.result("subscribe", channels=["book.FLOW", "orders.FLOW"], conflate_ms=1)
        seed = 10
        while exchange.metric("sockets_too_slow") == 0:
            seed += 1
            assert seed < 60, "the buffers of this machine hold more than this test writes"
            await _trade(exchange, seed, ORDERS)
        assert exchange.metric("sockets_too_slow") == 1
        assert await plain.until_closed() == 4008
        fresh = await _fresh(exchange)
        clients = {channel: MarketClient(channel) for channel in ("book.FLOW", "orders.FLOW")}
        while any(each.known != fresh[channel].known for channel, each in clients.items()):
            await conflated.until(1)
            for event in conflated.events:
                clients[event["channel"]].take(event)
            conflated.events.clear()
        for channel, client in clients.items():
            assert client.state == fresh[channel].state
        for socket in (trader, conflated):
            await socket.connection.close()


async def test_market_data_what_cannot_be_conflated_refuses_it(exchange: WsExchange) -> None:
    """Of a trade, a phase or a fill every message counts; nothing is entered."""
    socket, _ = await exchange.socket(await exchange.team("Alpha", "player"))
    async with socket:
        for channel in ("trades.FLOW", "phase", "private"):
            answer = await socket.ask("subscribe", channels=["book.FLOW", channel], conflate_ms=100)
            assert (answer["status"], answer["error"]["code"]) == (400, "INVALID_REQUEST")
            assert answer["error"]["details"] == {"channel": channel}
        for wrong in (0, 60_001):
            answer = await socket.ask("subscribe", channels=["book.FLOW"], conflate_ms=wrong)
            assert answer["error"]["code"] == "INVALID_REQUEST"
        assert "channels" in await socket.result("subscribe", channels=["book.FLOW"], conflate_ms=100)


async def test_market_data_every_public_stream_answers_too_old_and_another_epoch(
    exchange: WsExchange,
) -> None:
    """RESUME_TOO_OLD beside the channel, which begins anew; an N that has not happened enters nothing."""
    socket, hello = await exchange.socket()
    async with socket:
        for channel in (*CHANNELS, "trades.FLOW", "phase"):
            params: dict[str, Any] = {"channels": [channel], "resume_from": {channel: 0}}
            (state,) = (await socket.result("subscribe", **params, epoch="another"))["channels"]
            assert state["error"]["code"] == "RESUME_TOO_OLD", channel
            await socket.result("unsubscribe", channels=[channel])
            params["resume_from"] = {channel: 1_000}
            answer = await socket.ask("subscribe", **params, epoch=hello["epoch"])
            assert answer["error"]["code"] == "INVALID_REQUEST", channel


async def test_candles_are_told_in_pages_and_survive_a_restart() -> None:
    """The same before and after a replay, oldest first, from and to their starts."""
    journal = MemoryJournal(random.Random(1))
    order = {"instrument_id": "FLOW", "quantity": 2, "price": 100.0}
    async with ws_exchange("flow", journal) as running:
        socket, _ = await running.socket(await running.team("Alpha", "player"))
        other, _ = await running.socket(await running.team("Beta", "player"))
        async with socket, other:
            await socket.result("subscribe", channels=["trades.FLOW"])
            for _ in range(3):
                await socket.result("order.new", **order, side="buy")
                await other.result("order.new", **order, side="sell", wait="settlement")
            await socket.until(3)
        before = (await running.send("GET", "/exchange/candles/FLOW", params={"interval": "1d"})).json()[
            "data"
        ]
        (candle,) = before["candles"]
        assert (candle["open"], candle["close"], candle["volume"], candle["trades"]) == (100.0, 100.0, 6, 3)
    again = MemoryJournal(random.Random(1), batches=list(journal.read()))
    async with ws_exchange("flow", again) as running:
        answer = await running.send("GET", "/exchange/candles/FLOW", params={"interval": "1d"})
        assert answer.json()["data"] == before
        start = candle["start"]
        for params, count in (({"after": start}, 0), ({"from": start}, 1), ({"to": start}, 0)):
            answer = await running.send("GET", "/exchange/candles/FLOW", params={"interval": "1d", **params})
            assert len(answer.json()["data"]["candles"]) == count, params
        assert await _pages(running) == sorted(await _seconds(running))
        answer = await running.send("GET", "/exchange/candles/NONE")
        assert answer.json()["error"]["code"] == "UNKNOWN_INSTRUMENT"
        answer = await running.send("GET", "/exchange/candles/FLOW", params={"after": "2024-02-31T00:00:00Z"})
        assert answer.json()["error"]["code"] == "INVALID_REQUEST"


async def _seconds(exchange: WsExchange) -> list[str]:
    answer = await exchange.send("GET", "/exchange/candles/FLOW", params={"interval": "1s"})
    return [each["start"] for each in answer.json()["data"]["candles"]]


async def _pages(exchange: WsExchange) -> list[str]:
    """The same, one at a time."""
    starts: list[str] = []
    params: dict[str, Any] = {"interval": "1s", "limit": 1}
    while True:
        data = (await exchange.send("GET", "/exchange/candles/FLOW", params=params)).json()["data"]
        starts += [each["start"] for each in data["candles"]]
        if "next_cursor" not in data:
            return starts
        params["after"] = data["next_cursor"]


async def test_market_data_never_tells_of_what_is_not_published(
    exchange: WsExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While publish is held up a settled trade is in no snapshot and no candle; then every channel has it."""
    order = {"instrument_id": "FLOW", "quantity": 2, "price": 100.0}
    buyer, _ = await exchange.socket(await exchange.team("Alpha", "player"))
    seller, _ = await exchange.socket(await exchange.team("Beta", "player"))
    publisher = exchange.exchange.path._publish._publisher
    held: list[Any] = []
    async with buyer, seller:
        with monkeypatch.context() as patched:
            patched.setattr(publisher, "publish", held.extend)
            await buyer.result("order.new", **order, side="buy")
            await seller.result("order.new", **order, side="sell", wait="settlement")
            await buyer.result("order.new", **order, side="buy", wait="settlement")
            before = await _fresh_states(exchange)
            candles = await exchange.send("GET", "/exchange/candles/FLOW")
            assert candles.json()["data"]["candles"] == []
        assert before["book.FLOW"] == before["orders.FLOW"] == ({}, {})
        assert not {"last_price", "best_bid"} & before["ticker.FLOW"].keys()
        assert before["candles.FLOW.1d"] is None
        publisher.publish(held)
        after = await _fresh_states(exchange)
        assert after["book.FLOW"] == ({100.0: 2}, {})
        assert (after["ticker.FLOW"]["last_price"], after["ticker.FLOW"]["best_bid"]) == (100.0, 100.0)
        assert after["candles.FLOW.1d"]["volume"] == 2


async def _fresh_states(exchange: WsExchange) -> dict[str, Any]:
    """What a stranger is told who subscribes now; a ping behind it says that there is no more."""
    watcher = Watcher(exchange, None)
    await watcher.connect()
    async with watcher.socket:
        await watcher.socket.result("ping")
        watcher.take()
    return {channel: client.state for channel, client in watcher.clients.items()}
