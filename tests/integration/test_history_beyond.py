"""The past beyond what memory keeps: the same pages and cursors, from the tables."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exchange.api.sql_history import SqlHistory
from exchange.app import build_core
from exchange.client import ExchangeClient, InProcessTransport, OrderReceipt, WaitFor
from exchange.journal.memory import MemoryJournal
from exchange.projection.follower import Follower, FollowTerms
from exchange.services.orders.register import OrderRegister
from exchange.services.settlement.history import History
from exchange.storage.database import database_url
from exchange.storage.store import Store
from tests.support.databases import Database
from tests.support.projected import write_journal
from tests.support.ws_exchange import WsExchange, ws_exchange

KEPT = 3


class Market:
    """Two teams on a market that remembers three rows of everything; ``fund`` is the one that asks."""

    def __init__(
        self, running: WsExchange, journal: MemoryJournal, keys: list[str], folder: Path, database: Database
    ) -> None:
        self.running = running
        self.key = keys[0]
        self.fund, self.maker = (
            ExchangeClient(InProcessTransport(running.exchange.api, key)) for key in keys
        )
        self._journal = journal
        self._folder = folder
        self._database = database

    async def trade(self, instrument_id: str, price: float, number: int) -> OrderReceipt:
        """The fund buys one lot of the maker."""
        await self.maker.sell(instrument_id, 1, price=price, wait=WaitFor.SETTLEMENT)
        client_order_id = f"c{number}"
        return await self.fund.buy(
            instrument_id,
            1,
            price=price,
            wait=WaitFor.SETTLEMENT,
            client_order_id=client_order_id,
            label=f"l{number % 3}",
        )

    async def project(self) -> None:
        """Bring the tables to where the journal is."""
        write_journal(self._folder, self._journal.read())
        store = Store(database_url(self._database.url, self._folder))
        await Follower(self._folder, store, build_core, FollowTerms(), lambda report: None).run()
        await store.close()

    async def ask(self, path: str, **query: str) -> dict[str, Any]:
        """The data of one read of the fund."""
        answer = await self.running.send("GET", path, self.key, params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    async def pages(self, path: str, rows: str, key: str, **query: str) -> list[str]:
        """The ids of all pages, each of two rows; fails where one says that it lacks some."""
        found: list[str] = []
        page = await self.ask(path, limit="2", **query)
        while True:
            assert "limited" not in page, page
            assert len(page[rows]) <= 2
            found += [each[key] for each in page[rows]]
            if "next_cursor" not in page:
                return found
            page = await self.ask(path, limit="2", after=page["next_cursor"], **query)


@pytest.fixture
async def market(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Market]:
    """With its memory cut short, and the tables behind it."""
    monkeypatch.setattr("exchange.storage.reader.HISTORY_SLICE", 2)
    monkeypatch.setattr("exchange.app.OrderRegister", partial(OrderRegister, KEPT))
    monkeypatch.setattr("exchange.services.settlement.settlement.History", partial(History, KEPT, KEPT))
    journal = MemoryJournal(random.Random(1))
    failures: list[int] = []
    past = SqlHistory(database.url, tmp_path, lambda: failures.append(1))
    async with ws_exchange(journal=journal, past=past) as running:
        keys = [await running.team("Fund", "market_maker"), await running.team("Maker", "market_maker")]
        made = Market(running, journal, keys, tmp_path / "data", database)
        async with made.fund, made.maker:
            yield made
        assert not failures
    await past.close()


async def test_pages_go_on_beyond_memory(market: Market) -> None:
    """Orders, executions and trades, with and without filters: every row once, in order, none missing."""
    bought = [
        await market.trade("SPX" if number % 3 else "SPY", 4400.0 if number % 3 else 440.0, number)
        for number in range(9)
    ]
    resting = await market.fund.buy("SPX", 1, price=4300.0)
    gone = await market.fund.buy("SPX", 1, price=4310.0, client_order_id="gone")
    await market.fund.cancel(gone.order_id)
    await market.project()
    later = await market.trade("SPX", 4400.0, 100)
    filled = [each.order_id for each in (later, *reversed(bought))]
    orders = partial(market.pages, "/exchange/orders", "orders", "order_id")
    assert await orders(status="filled") == filled
    assert await orders(status="cancelled") == [gone.order_id]
    assert await orders(status="all") == [later.order_id, gone.order_id, resting.order_id, *filled[1:]]
    assert await orders(status="finished", instrument_id="SPY") == [
        each.order_id for each in reversed(bought[::3])
    ]
    assert await orders(status="all", client_order_id="c4") == [bought[4].order_id]
    assert await orders(status="all", label="l2") == [each.order_id for each in reversed(bought[2::3])]
    assert await orders(status="all", **{"from": bought[2].timestamp, "to": bought[5].timestamp}) == [
        each.order_id for each in (bought[4], bought[3], bought[2])
    ]
    fills = partial(market.pages, "/exchange/executions", "executions", "order_id")
    assert await fills() == filled[::-1]
    assert await fills(order_id=bought[1].order_id) == [bought[1].order_id]
    assert await fills(instrument_id="SPY") == [each.order_id for each in bought[::3]]
    assert await fills(side="sell") == []
    trades = partial(market.pages, "/exchange/trades/SPX", "trades", "trade_id")
    numbers = [*(f"TRD_{number + 1}" for number in range(9) if number % 3), "TRD_10"]
    assert await trades() == numbers
    assert await trades(side="buy") == numbers
    assert await trades(side="sell") == []


async def test_rows_of_the_tables_are_those_of_memory(market: Market) -> None:
    """A row reads the same before and after memory lets it go."""
    bought = await market.trade("SPX", 4400.0, 0)
    fill = (await market.ask("/exchange/executions"))["executions"][0]
    trade = (await market.ask("/exchange/trades/SPX"))["trades"][0]
    order = await market.ask(f"/exchange/orders/{bought.order_id}")
    for number in range(1, 6):
        await market.trade("SPX", 4401.0, number)
    await market.project()
    assert market.running.exchange.core.register.open_orders(1) == []
    assert (await market.ask("/exchange/executions"))["executions"][0] == fill
    assert (await market.ask("/exchange/trades/SPX"))["trades"][0] == trade
    assert await market.ask(f"/exchange/orders/{bought.order_id}") == order
    assert await market.ask("/exchange/orders/client:c0") == order
    assert (await market.ask("/exchange/orders", status="all"))["orders"][-1] == order
    socket, _ = await market.running.socket(market.key)
    assert await socket.result("order.get", order_id=bought.order_id) == order
    assert (await socket.ask("order.get", order_id="ORD_99999"))["error"]["code"] == "UNKNOWN_ORDER"


async def test_page_that_the_tables_do_not_reach_says_so(market: Market) -> None:
    """While the projection is behind what memory let go, a page is limited, never wrong."""
    first = await market.trade("SPX", 4400.0, 0)
    await market.project()
    for number in range(1, 8):
        await market.trade("SPX", 4400.0, number)
    pages = [
        await market.ask("/exchange/orders", status="all"),
        await market.ask("/exchange/executions"),
        await market.ask("/exchange/trades/SPX"),
    ]
    assert [page["limited"]["code"] for page in pages] == 3 * ["HISTORY_LIMITED"]
    assert (await market.ask(f"/exchange/orders/{first.order_id}"))["order_id"] == first.order_id


async def test_past_of_another_team_stays_hidden(market: Market) -> None:
    """Neither by its number nor by its client's id; nor is an id that was never given an error."""
    for number in range(6):
        await market.trade("SPX", 4400.0, number)
    await market.project()
    own = await market.pages("/exchange/orders", "orders", "order_id", status="all")
    others = {f"ORD_{number}" for number in range(1, 20)} - set(own)
    for order_id in (*others, "client:never"):
        answer = await market.running.send("GET", f"/exchange/orders/{order_id}", market.key)
        assert answer.status_code == 404, order_id


async def test_history_without_database_is_limited_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has what memory has; nothing fails but a counter."""
    monkeypatch.setattr("exchange.services.settlement.settlement.History", partial(History, 1, 1))
    failures: list[int] = []
    past = SqlHistory("postgresql://postgres@127.0.0.1:1/x", tmp_path, lambda: failures.append(1))
    async with ws_exchange(past=past) as running:
        keys = [await running.team("Fund", "market_maker"), await running.team("Maker", "market_maker")]
        fund, maker = (ExchangeClient(InProcessTransport(running.exchange.api, key)) for key in keys)
        async with fund, maker:
            for _ in range(3):
                await maker.sell("SPX", 1, price=4400.0)
                await fund.buy("SPX", 1, price=4400.0, wait=WaitFor.SETTLEMENT)
        answer = await running.send("GET", "/exchange/executions", keys[0])
        page = answer.json()["data"]
        assert (len(page["executions"]), page["limited"]["code"]) == (1, "HISTORY_LIMITED")
    await past.close()
    assert failures
