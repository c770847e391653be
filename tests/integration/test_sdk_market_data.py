"""The SDK's books, orders and streams of market data against the exchange itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial

import pytest

from exchange.client import (
    CandleUpdate,
    ExchangeClient,
    InstrumentStatus,
    Interval,
    Rejected,
    Side,
    StreamReset,
    Ticker,
    TradeEvent,
    register,
)
from exchange.wire.data import Orderbook
from tests.integration.test_sdk_client import client_over, count, read_until, transport_to, two_clients
from tests.support.ws_exchange import ws_exchange
from tests.unit.client.fake_exchange import CuttingTransport

DEPTHS = (None, 5, 20)
BOOKS = ("book.SPX", "book.SPX.5", "book.SPX.20", "orders.SPX")


async def _trade(client: ExchangeClient, rng: random.Random, orders: int) -> None:
    """Orders at many prices, some of them amended or cancelled again."""
    for _ in range(orders):
        side = rng.choice((Side.BUY, Side.SELL))
        price = 4400.0 + (rng.randint(-40, -1) if side is Side.BUY else rng.randint(1, 40))
        receipt = await client.order("SPX", side, rng.randint(1, 5), price=price)
        if rng.random() < 0.3:
            await client.amend(receipt.order_id, quantity=rng.randint(1, 9))
        elif rng.random() < 0.3:
            await client.cancel(receipt.order_id)


def _agrees(client: ExchangeClient, truth: Orderbook, depth: int | None) -> bool:
    book = client.live_book("SPX", depth)
    if book is None or not book.is_synced:
        return False
    bids, asks = [tuple(level) for level in book.bids()], [tuple(level) for level in book.asks()]
    return (bids, asks) == (truth.bids[:depth], truth.asks[:depth])


def _has_orders(client: ExchangeClient, truth: Orderbook) -> bool:
    orders = client.live_orders("SPX")
    if orders is None or not orders.is_synced:
        return False
    lots = sum(order.quantity for order in [*orders.bids(), *orders.asks()])
    return lots == sum(quantity for _, quantity in [*truth.bids, *truth.asks])


async def _until(client: ExchangeClient, condition: Callable[[], bool]) -> None:
    """Wait for it, looking after each event."""
    changed = asyncio.Event()
    client.on_event(lambda event: changed.set())
    async with asyncio.timeout(20):
        while not condition():
            await changed.wait()
            changed.clear()


@pytest.mark.parametrize("conflate_ms", [None, 30])
@pytest.mark.parametrize("budget", [9, 40])
async def test_sdk_books_end_equal_to_the_exchanges(budget: int, conflate_ms: int | None) -> None:
    """At every depth and order by order, however often the socket breaks; no checksum ever differs."""
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        transport = CuttingTransport(transport_to(running, "http", team.api_key), [budget] * 4)
        async with client_over(transport) as client:
            resets: list[StreamReset] = []
            client.on_event(lambda event: resets.append(event) if isinstance(event, StreamReset) else None)
            await client.subscribe(*BOOKS, conflate_ms=conflate_ms)
            await _trade(client, random.Random(budget), 40)
            truth = await client.book("SPX", depth=1_000)
            for depth in DEPTHS:
                await _until(client, partial(_agrees, client, truth, depth))
            await _until(client, partial(_has_orders, client, truth))
            orders = client.live_orders("SPX")
            assert orders is not None
            assert [order.price for order in orders.bids()] == sorted(
                (order.price for order in orders.bids()), reverse=True
            )
            assert resets == []


async def test_sdk_tells_ticker_status_and_candles() -> None:
    """Typed events of a trade, and the candle over HTTP."""
    async with two_clients("ws") as (_, maker, fund):
        stream = maker.events("ticker.SPX", "status.SPX", "candles.SPX.1m", "trades.SPX")
        await stream.open()
        await maker.sell("SPX", 5, price=4400.0)
        await fund.buy("SPX", 2)
        kinds = (CandleUpdate, TradeEvent)
        events = await read_until(stream, lambda events: all(count(kind, 1)(events) for kind in kinds))
        (candle,) = [event for event in events if isinstance(event, CandleUpdate)]
        assert (candle.close, candle.volume) == (4400.0, 2)
        assert [event.phase.value for event in events if isinstance(event, InstrumentStatus)] == [
            "continuous"
        ]
        assert any(isinstance(event, Ticker) for event in events)
        page = await maker.candles("SPX", Interval.MINUTE)
        assert [(each.start, each.volume) for each in page.candles] == [(candle.start, 2)]
        assert (await maker.candles("SPX", after=candle.start)).candles == []


async def test_sdk_subscription_can_be_conflated_later() -> None:
    """It is left and entered again from where it was; what cannot be conflated is refused."""
    async with two_clients("ws") as (_, maker, _fund):
        await maker.subscribe("book.SPX")
        await maker.subscribe("book.SPX", conflate_ms=20)
        await maker.buy("SPX", 1, price=4300.0)
        book = maker.live_book("SPX")
        assert book is not None
        await _until(maker, lambda: book.best_bid is not None)
        with pytest.raises(Rejected):
            await maker.subscribe("trades.SPX", conflate_ms=20)
