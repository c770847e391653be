from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.journal.memory import MemoryJournal
from tests.support.ws_exchange import Socket, WsExchange, ws_exchange

BUY = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 100.0}
SELL = BUY | {"side": "sell"}


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange with one instrument and no limits."""
    async with ws_exchange("flow") as running:
        yield running


async def _player(exchange: WsExchange, name: str = "Alpha") -> tuple[Socket, str]:
    key = await exchange.team(name, "player")
    socket, _ = await exchange.socket(key)
    return socket, key


def _private(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if "channel" not in event]


async def test_ws_both_sides_of_a_trade_are_told(exchange: WsExchange) -> None:
    """Maker and taker each get acknowledgement, execution and position, in this order, with one trade id."""
    maker, _ = await _player(exchange)
    taker, _ = await _player(exchange, "Beta")
    async with maker, taker:
        for socket in (maker, taker):
            await socket.result("subscribe", channels=["private"])
        await maker.result("order.new", **BUY)
        await taker.result("order.new", **SELL)
        sides = [(await socket.until(4))[1:] for socket in (maker, taker)]
        for events in sides:
            assert [event["type"] for event in events] == [
                "new_order_ack",
                "execution_report",
                "position_update",
            ]
            assert [event["seq"] for event in events] == [1, 2, 3]
        fills = [events[1] for events in sides]
        assert fills[0]["trade_id"] == fills[1]["trade_id"]
        assert [fill["liquidity_type"] for fill in fills] == ["maker", "taker"]
        assert [events[2]["position"] for events in sides] == [1, -1]


async def test_ws_every_connection_of_a_team_gets_the_whole_stream(exchange: WsExchange) -> None:
    """Several sockets of one team are equals."""
    first, key = await _player(exchange)
    others = [(await exchange.socket(key))[0] for _ in range(3)]
    sockets = [first, *others]
    for socket in sockets:
        await socket.result("subscribe", channels=["private"])
    for _ in range(5):
        await first.result("order.new", **BUY)
    streams = [(await socket.until(6))[1:] for socket in sockets]
    assert all(stream == streams[0] for stream in streams)
    assert [event["seq"] for event in streams[0]] == [1, 2, 3, 4, 5]
    for socket in sockets:
        await socket.connection.close()


async def test_ws_snapshot_tells_where_the_team_stands(exchange: WsExchange) -> None:
    """Without resume_from: positions, cash, fees and open orders, then only what is new."""
    socket, key = await _player(exchange)
    other, _ = await _player(exchange, "Beta")
    async with socket, other:
        await socket.result("order.new", **BUY, wait="settlement")
        await other.result("order.new", **SELL, wait="settlement")
        resting = await socket.result("order.new", **(BUY | {"quantity": 7}), wait="settlement")
        late, hello = await exchange.socket(key)
        async with late:
            await late.result("subscribe", channels=["private"])
            (snapshot,) = await late.until(1)
            assert snapshot["type"] == "position_snapshot"
            assert snapshot["seq"] == 4 == hello["private_seq"]
            assert snapshot["positions"] == {"FLOW": 1}
            assert snapshot["cash"] == -100.0
            (order,) = snapshot["open_orders"]
            assert (order["order_id"], order["remaining_quantity"]) == (resting["order_id"], 7)
            await socket.result("order.cancel", order_id=resting["order_id"])
            assert (await late.until(2))[1]["seq"] == 5


async def test_ws_resume_over_real_sockets_has_no_gap_and_no_repetition(exchange: WsExchange) -> None:
    """A client that is cut at random moments and resumes by sequence sees each event once, in order."""
    rng = random.Random(7)
    trader, key = await _player(exchange)
    seen: list[int] = []

    async def trade() -> None:
        for number in range(400):
            await trader.result("order.new", **(BUY if number % 3 else SELL))

    trading = asyncio.create_task(trade())
    cuts = 0
    while not trading.done() or cuts < 10:
        socket, _ = await exchange.socket(key)
        await socket.result(
            "subscribe", channels=["private"], resume_from={"private": seen[-1] if seen else 0}
        )
        wanted = rng.randint(1, 60)
        try:
            async with asyncio.timeout(0.5):
                await socket.until(wanted)
        except TimeoutError:
            assert trading.done(), "a client that resumed is told what happens"
        if rng.random() < 0.5:
            socket.connection.transport.abort()
        else:
            await socket.connection.close()
        seen += [event["seq"] for event in socket.events]
        cuts += 1
    await trading
    socket, hello = await exchange.socket(key)
    async with socket, trader:
        await socket.result("subscribe", channels=["private"], resume_from={"private": seen[-1]})
        missing = hello["private_seq"] - seen[-1]
        seen += [event["seq"] for event in await socket.until(missing)]
    assert seen == list(range(1, hello["private_seq"] + 1))


async def test_ws_resume_in_the_future_is_refused(exchange: WsExchange) -> None:
    """Nobody can have seen what has not happened."""
    socket, _ = await _player(exchange)
    async with socket:
        answer = await socket.ask("subscribe", channels=["private"], resume_from={"private": 1})
        assert (answer["status"], answer["error"]["code"]) == (400, "INVALID_REQUEST")
        assert answer["error"]["details"]["last_seq"] == 0
        assert "channels" in await socket.result("subscribe", channels=["private"])


async def test_ws_public_channels_agree_with_the_book(exchange: WsExchange) -> None:
    """A stranger's book, of snapshot and updates, is what GET /exchange/orderbook says; trades are told."""
    rng = random.Random(3)
    watcher, _ = await exchange.socket()
    trader, _ = await _player(exchange)
    async with watcher, trader:
        await watcher.result("subscribe", channels=["book.FLOW", "trades.FLOW"])
        for _ in range(120):
            side, price = rng.choice(("buy", "sell")), rng.randint(19_990, 20_010) * 0.005
            order = {"instrument_id": "FLOW", "side": side, "quantity": rng.randint(1, 9), "price": price}
            await trader.result("order.new", **order)
        orders = (await trader.result("orders.open", limit=1_000))["orders"]
        for order in rng.sample(orders, len(orders) // 2):
            await trader.result("order.cancel", order_id=order["order_id"])
        truth = await trader.result("book.get", instrument_id="FLOW", depth=1_000)
        wanted = (dict(truth["bids"]), dict(truth["asks"]))
        while _book(watcher.events) != wanted:
            await watcher.until(len(watcher.events) + 1)
        trades = (await exchange.send("GET", "/exchange/trades/FLOW", params={"limit": 1_000})).json()["data"]
        told = [event for event in watcher.events if event["type"] == "trade"]
        assert [trade["trade_id"] for trade in told] == [trade["trade_id"] for trade in trades["trades"]]


def _book(events: list[dict[str, Any]]) -> tuple[dict[float, int], dict[float, int]]:
    book: tuple[dict[float, int], dict[float, int]] = ({}, {})
    seq = None
    for event in events:
        if event["type"] == "book_snapshot":
            book = (dict(map(tuple, event["bids"])), dict(map(tuple, event["asks"])))
        elif event["type"] == "book_update":
            assert event["prev_seq"] == seq
            for levels, changes in zip(book, (event["bids"], event["asks"]), strict=True):
                for price, lots in changes:
                    if lots:
                        levels[price] = lots
                    else:
                        del levels[price]
        else:
            continue
        seq = event["seq"]
    return book


async def test_ws_private_stream_goes_on_after_a_restart() -> None:
    """The sequence survives in the journal: a client resumes across a restart; public channels begin anew."""
    journal = MemoryJournal(random.Random(1))
    async with ws_exchange("flow", journal) as running:
        socket, key = await _player(running)
        async with socket:
            subscribed = await socket.result("subscribe", channels=["private", "book.FLOW"])
            for _ in range(3):
                await socket.result("order.new", **BUY)
            before = _private(await socket.until(8))[1:]
    again = MemoryJournal(random.Random(1), batches=list(journal.read()))
    async with ws_exchange("flow", again) as running:
        socket, hello = await running.socket(key)
        async with socket:
            assert hello["private_seq"] == 3
            assert hello["epoch"] != subscribed["epoch"]
            states = await socket.result(
                "subscribe",
                channels=["private", "book.FLOW"],
                resume_from={"private": 1, "book.FLOW": 3},
                epoch=subscribed["epoch"],
            )
            assert [state.get("resumed", False) for state in states["channels"]] == [True, False]
            await socket.result("order.new", **BUY)
            events = await socket.until(5)
            assert _private(events)[:2] == before[1:]
            assert _private(events)[2]["seq"] == 4
            (snapshot,) = [event for event in events if event["type"] == "book_snapshot"]
            assert snapshot["bids"] == [[100.0, 3]]
