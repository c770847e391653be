"""What must hold of an exchange after anything whatever was done to it, asked for as an operator would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from exchange.app import replay_journal
from exchange.journal.check import check
from exchange.model.commands import HOUSE_ACCOUNT
from exchange.services.positions.ledger import Ledger

Found = dict[str, Any]
MONEY_PER_UNIT = 10_000


class Auditor:
    """Reads through the API. ``keys`` are the teams' by team id."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, admin_key: str, keys: Mapping[str, str]
    ) -> None:
        self._session = session
        self._url = url
        self._admin_key = admin_key
        self._keys = keys

    async def audit(self, acknowledged: Mapping[str, Collection[str]]) -> str:
        """Assert everything; ``acknowledged`` is order ids by team id. Gives the state hash."""
        await self._check_books()
        await self._check_limits()
        for team_id in self._keys:
            await self._check_orders(team_id, acknowledged.get(team_id, ()))
        return await self._check_status()

    async def get(self, path: str, key: str | None = None) -> Found:
        """The data of one GET, as the operator unless a key is given."""
        headers = {"X-API-Key": key or self._admin_key}
        async with self._session.get(f"{self._url}{path}", headers=headers) as answer:
            body: Found = await answer.json()
            assert answer.status == 200, (path, body)
            return dict(body["data"])

    async def _check_books(self) -> None:
        """Positions sum to 0 in each instrument, cash to 0; no book is crossed."""
        positions: Counter[str] = Counter()
        cash = 0
        for team_id in self._keys:
            held = await self.get(f"/positions/{team_id}")
            positions.update(held["positions"])
            cash += round(held["cash"] * MONEY_PER_UNIT)
        assert {each: lots for each, lots in positions.items() if lots} == {}
        assert cash == 0
        for instrument in (await self.get("/exchange/instruments"))["instruments"]:
            book = await self.get(f"/exchange/orderbook/{instrument['instrument_id']}?depth=1")
            if book["bids"] and book["asks"]:
                assert book["bids"][0][0] < book["asks"][0][0], book

    async def _check_limits(self) -> None:
        """No team is, or with all its open orders filled could be, past a position limit."""
        for team_id in self._keys:
            for limit in (await self.get(f"/positions/{team_id}/limits"))["limits"]:
                if limit["type"] == "position_limit":
                    assert limit["used"] <= limit["limit"], (team_id, limit)

    async def _check_orders(self, team_id: str, acknowledged: Collection[str]) -> None:
        """Every acknowledged order is found, none is stuck on its way to the book."""
        orders = await self._pages(team_id, "/exchange/orders?status=all&limit=1000", "orders", "order_id")
        assert set(acknowledged) - {order["order_id"] for order in orders} == set()
        assert [order for order in orders if order["status"] == "accepted"] == []
        fills = await self._pages(team_id, "/exchange/executions?limit=1000", "executions", "exec_id")
        filled: Counter[str] = Counter()
        for fill in fills:
            filled[fill["order_id"]] += fill["quantity"]
        assert filled == Counter({each["order_id"]: each["filled_quantity"] for each in orders})

    async def _pages(self, team_id: str, path: str, name: str, cursor: str) -> list[Found]:
        rows: list[Found] = []
        after = ""
        while True:
            page = await self.get(f"{path}{after}", self._keys[team_id])
            rows += page[name]
            if "next_cursor" not in page:
                assert len({row[cursor] for row in rows}) == len(rows)
                return rows
            after = f"&after={page['next_cursor']}"

    async def _check_status(self) -> str:
        status = await self.get("/admin/status?state_hash=true")
        assert status["state"] == "running"
        assert set(status["queues"].values()) == {0}
        assert status["responses"]["pending"] == 0
        return str(status["state_hash"])


def check_stopped(folder: Path, state_hash: str | None = None) -> None:
    """The journal of a stopped server is whole; its replay gives books that balance, and ``state_hash``."""
    assert check(folder).problems == ()
    replayed = replay_journal(folder)
    assert replayed.failure is None
    assert state_hash in (None, replayed.core.state_hash())
    check_ledger(replayed.core.ledger)


def check_ledger(ledger: Ledger) -> None:
    """Positions sum to 0 per instrument, cash to 0, and what the teams paid in fees is what the house got."""
    accounts = ledger.accounts()
    positions: Counter[str] = Counter()
    for account in accounts:
        for instrument_id, line in ledger.positions(account).items():
            positions[instrument_id] += line.position
    assert {each: lots for each, lots in positions.items() if lots} == {}
    assert sum(ledger.cash(account) for account in accounts) == 0
    teams = [account for account in accounts if account != HOUSE_ACCOUNT]
    assert sum(ledger.fees(account) for account in teams) == -ledger.fees(HOUSE_ACCOUNT)


def check_quiet(log: str) -> None:
    """A server that was only attacked has nothing to complain about: no error, no traceback."""
    loud = [line for line in log.splitlines() if '"level": "error"' in line or '"level": "critical"' in line]
    assert loud == []
    assert "Traceback" not in log
    assert "never awaited" not in log
