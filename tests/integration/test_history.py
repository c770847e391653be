"""The past over HTTP and through the SDK: pages, filters, and what is no longer kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from exchange.client import (
    ExchangeClient,
    HistoryLimited,
    InProcessTransport,
    OrderFilter,
    OrderReceipt,
    Side,
    WaitFor,
)
from exchange.services.settlement.history import History
from tests.support.ws_exchange import WsExchange, ws_exchange


class Market:
    """Two teams on SPX and SPY; ``fund`` is the one whose past is read."""

    def __init__(self, running: WsExchange, fund: ExchangeClient, maker: ExchangeClient, key: str) -> None:
        self.running = running
        self.fund = fund
        self.maker = maker
        self.key = key

    async def trade(self, instrument_id: str = "SPX", price: float = 4400.0, **named: Any) -> OrderReceipt:
        """The fund buys one lot of the maker; settled when this returns."""
        await self.maker.sell(instrument_id, 1, price=price, wait=WaitFor.SETTLEMENT)
        return await self.fund.buy(instrument_id, 1, price=price, wait=WaitFor.SETTLEMENT, **named)

    async def get(self, path: str, **query: str) -> httpx.Response:
        """One read of the fund."""
        return await self.running.send("GET", path, self.key, params=query)


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    """A market on which nothing has happened."""
    async with ws_exchange() as running:
        keys = [await running.team("Fund", "market_maker"), await running.team("Maker", "market_maker")]
        fund, maker = (ExchangeClient(InProcessTransport(running.exchange.api, key)) for key in keys)
        async with fund, maker:
            yield Market(running, fund, maker, keys[0])


async def test_orders_are_filtered(market: Market) -> None:
    """By state, instrument, side, client order id, label and time of acceptance, alone or together."""
    first = await market.trade(client_order_id="first")
    second = await market.trade("SPY", 440.0)
    resting = await market.fund.sell("SPX", 1, price=4500.0)
    gone = await market.fund.sell("SPX", 1, price=4510.0, label="far")
    await market.fund.cancel(gone.order_id)
    everything = [gone, resting, second, first]
    for query, found in (
        ({"status": "all"}, everything),
        ({}, [resting]),
        ({"status": "finished"}, [gone, second, first]),
        ({"status": "filled"}, [second, first]),
        ({"status": "cancelled"}, [gone]),
        ({"status": "all", "instrument_id": "SPX"}, [gone, resting, first]),
        ({"status": "all", "side": "buy"}, [second, first]),
        ({"status": "all", "side": "sell", "limit": "1"}, [gone]),
        ({"status": "all", "client_order_id": "first"}, [first]),
        ({"status": "open", "client_order_id": "first"}, []),
        ({"status": "all", "label": "far"}, [gone]),
        ({"label": "far"}, []),
        ({"status": "all", "from": second.timestamp, "to": gone.timestamp}, [resting, second]),
    ):
        answer = (await market.get("/exchange/orders", **query)).json()["data"]
        told = [each["order_id"] for each in answer["orders"]]
        assert told == [each.order_id for each in found], query
        assert "limited" not in answer


async def test_executions_are_filtered(market: Market) -> None:
    """By instrument, side, either id of the order, and time."""
    fills = [await market.trade(client_order_id="first"), await market.trade("SPY", 440.0)]
    first, second = fills
    for query, found in (
        ({}, fills),
        ({"instrument_id": "SPY"}, [second]),
        ({"side": "buy"}, fills),
        ({"side": "sell"}, []),
        ({"order_id": second.order_id}, [second]),
        ({"client_order_id": "first"}, [first]),
        ({"to": second.timestamp}, [first]),
        ({"from": second.timestamp}, [second]),
    ):
        answer = (await market.get("/exchange/executions", **query)).json()["data"]
        assert [each["order_id"] for each in answer["executions"]] == [each.order_id for each in found], query


async def test_trades_are_filtered(market: Market) -> None:
    """By the taker's side and by time; this needs no key."""
    first, second = await market.trade(), await market.trade()
    for query, found in (
        ({}, 2),
        ({"side": "buy"}, 2),
        ({"side": "sell"}, 0),
        ({"from": first.timestamp, "to": second.timestamp}, 1),
    ):
        answer = await market.running.send("GET", "/exchange/trades/SPX", params=query)
        assert len(answer.json()["data"]["trades"]) == found, query


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/exchange/orders", {"from": "2024-01-15"}),
        ("/exchange/orders", {"from": "2024-01-15T10:00:00"}),
        ("/exchange/orders", {"from": "2024-01-15T10:00:00+01:00"}),
        ("/exchange/orders", {"to": "1705312800"}),
        ("/exchange/executions", {"to": "2024-02-30T10:00:00Z"}),
        ("/exchange/executions", {"from": "2024-01-15T10:00:00Z", "to": "2024-01-15T09:59:59.999999Z"}),
        ("/exchange/executions", {"order_id": "7"}),
        ("/exchange/executions", {"after": "null"}),
        ("/exchange/orders", {"side": "null"}),
        ("/exchange/orders", {"from": "null"}),
        ("/exchange/trades/SPX", {"from": "2024-01-15T25:00:00Z"}),
        ("/exchange/trades/SPX", {"instrument_id": "SPX"}),
    ],
)
async def test_parameters_that_are_none_are_refused(market: Market, path: str, query: dict[str, str]) -> None:
    """UTC with its Z, a day that exists, `from` not after `to`, no null; nothing is guessed or left out."""
    answer = await market.get(path, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST"), answer.text


async def test_sdk_iterates_while_trading_goes_on(market: Market) -> None:
    """Page by page, each fill once and in order; those that come meanwhile too."""
    fills = [await market.trade() for _ in range(5)]
    seen = []
    async for execution in market.fund.each_execution(page_size=2):
        seen.append(execution.order_id)
        if len(fills) < 8:
            fills.append(await market.trade())
    assert seen == [each.order_id for each in fills]
    orders = [each.order_id async for each in market.fund.each_order(OrderFilter.FILLED, page_size=3)]
    assert orders == seen[::-1]
    public = [each.trade_id async for each in market.fund.each_trade("SPX", page_size=3, side=Side.BUY)]
    assert len(public) == len(set(public)) == 8


async def test_sdk_takes_times_of_any_zone(market: Market) -> None:
    """A datetime that knows its zone, or text; one without a zone is refused here."""
    before = datetime.now(UTC)
    await market.trade()
    east = timezone(timedelta(hours=5, minutes=30))
    assert len((await market.fund.executions(since=before.astimezone(east))).executions) == 1
    assert (await market.fund.executions(until=before)).executions == []
    with pytest.raises(ValueError, match="zone"):
        await market.fund.executions(since=before.replace(tzinfo=None))


async def test_server_time_is_told_in_both_forms(market: Market) -> None:
    """As timestamps are written, and as a number; over the socket as well."""
    before = datetime.now(UTC)
    told = await market.fund.server_time()
    moment = datetime.fromisoformat(told.timestamp)
    assert before <= moment <= datetime.now(UTC)
    assert told.unix_us == (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    socket, _ = await market.running.socket()
    assert datetime.fromisoformat((await socket.result("ping"))["timestamp"]) >= moment


async def test_page_says_what_is_no_longer_kept(market: Market) -> None:
    """HISTORY_LIMITED beside what is there, with where it begins; the SDK raises it, unless told not to."""
    market.running.exchange.core.settlement.history = History(2, 2)
    first, second, third, fourth = [await market.trade() for _ in range(4)]
    answer = (await market.get("/exchange/executions")).json()["data"]
    assert [each["order_id"] for each in answer["executions"]] == [third.order_id, fourth.order_id]
    limited = answer["limited"]
    assert limited["code"] == "HISTORY_LIMITED"
    assert limited["details"] == {"kept_after": "EXE_4", "kept_from": second.timestamp}
    assert first.timestamp < second.timestamp
    whole = (await market.get("/exchange/executions", after=limited["details"]["kept_after"])).json()["data"]
    assert "limited" not in whole
    with pytest.raises(HistoryLimited) as caught:
        _ = [each async for each in market.fund.each_execution()]
    assert caught.value.details["kept_after"] == "EXE_4"
    assert len([each async for each in market.fund.each_execution(partial=True)]) == 2
    assert len([each async for each in market.fund.each_trade("SPX", after="TRD_2")]) == 2
