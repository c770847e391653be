"""The projection beside a real server under load: no fault of it or of its database reaches an order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.process import ServerProcess
from tests.support.databases import Database, own_database
from tests.support.projector_process import live
from tests.support.traffic import Trader, client_session, register
from tests.support.waiting import until

WORKERS = 8
DEADLINE_S = 40.0


def _server(folder: Path, url: str) -> ServerProcess:
    settings = {"EXCHANGE_STORAGE__ENABLED": "true", "EXCHANGE_STORAGE__URL": url}
    settings["EXCHANGE_JOURNAL__RESTART_GRACE_S"] = "0"
    return ServerProcess(folder / "data", ["--preset", "flow"], environment=settings)


@asynccontextmanager
async def _load(session: aiohttp.ClientSession, trader: Trader) -> AsyncIterator[None]:
    """Orders, cancels and amends as fast as they are answered; an answer that is an error fails the test."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(trader.trade(session, lambda: None)) for _ in range(WORKERS)]
        yield
        for task in tasks:
            task.cancel()


async def _projection(session: aiohttp.ClientSession, server: ServerProcess) -> dict[str, Any]:
    async with session.get(f"{server.url}/health/ready") as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return dict(body["data"]["checks"]["projection"])


async def _until(
    session: aiohttp.ClientSession, server: ServerProcess, true: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Ask for its health until it is so."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await _projection(session, server)
            if true(found):
                return found


async def _answered(trader: Trader, orders: int) -> None:
    wanted = len(trader.acknowledged) + orders
    await until(lambda: len(trader.acknowledged) >= wanted, DEADLINE_S)


async def _equals_rebuilt(folder: Path, database: Database) -> None:
    """The tables are those that a projection of the stopped game makes."""
    (folder / "again").mkdir()
    async with own_database("sqlite", folder / "again") as again:
        live(folder / "data", again.url, None)
        rebuilt = await again.content()
    assert await database.content() == rebuilt
    assert len(rebuilt["orders"]) > 100


@pytest.mark.timeout(120)
async def test_projection_without_database_delays_no_order_and_is_reported(tmp_path: Path) -> None:
    """Nothing listens: orders are answered as ever, health and metrics tell the lag, the stop is clean."""
    async with client_session() as session:
        with _server(tmp_path, "postgresql://postgres@127.0.0.1:1/nothing") as server:
            trader = await register(session, server.url, "T", 1)
            async with _load(session, trader):
                found = await _until(session, server, lambda told: told["state"] == "waiting")
                await _answered(trader, 200)
                found = await _until(session, server, lambda told: told["lag_seconds"] > 0.5)
            assert found["lag_records"] > 0
            assert found["sequence"] == 0
            assert "127.0.0.1:1/nothing" in found["detail"]
            async with session.get(f"{server.url}/metrics") as answer:
                metrics = await answer.text()
            assert "exchange_projection_following 0.0" in metrics
            assert server.stop() == 0
    assert "database does not answer" in server.log_text()


@pytest.mark.timeout(120)
async def test_projection_with_locked_database_delays_no_order_and_catches_up(tmp_path: Path) -> None:
    """A lock held by someone else makes it wait; released, it catches up, and nothing is missing or twice."""
    async with own_database("sqlite", tmp_path) as database, client_session() as session:
        with _server(tmp_path, database.url) as server:
            trader = await register(session, server.url, "T", 1)
            await _until(session, server, lambda told: told["state"] == "following")
            with sqlite3.connect(tmp_path / "tables.db") as locked:
                locked.execute("BEGIN EXCLUSIVE")
                async with _load(session, trader):
                    await _answered(trader, 200)
                    await _until(session, server, lambda told: told["state"] == "waiting")
                locked.rollback()
            caught_up = await _until(session, server, lambda told: told["lag_records"] == 0)
            assert caught_up["state"] == "following"
            assert server.stop() == 0
        await _equals_rebuilt(tmp_path, database)


@pytest.mark.timeout(180)
async def test_projection_and_server_killed_under_load_end_equal(tmp_path: Path, database: Database) -> None:
    """Both are killed and started again; what the server then has is in the tables, once."""
    chance = random.Random(5)
    async with client_session() as session:
        with _server(tmp_path, database.url) as server:
            trader = await register(session, server.url, "T", 1)
            with suppress(aiohttp.ClientError):
                async with _load(session, trader):
                    await _answered(trader, 50)
                    before = await _until(session, server, lambda told: told["sequence"] > 0)
                    os.kill(_child_of(server), signal.SIGKILL)
                    await _until(session, server, lambda told: told["sequence"] > before["sequence"] + 100)
                    await _answered(trader, chance.randint(20, 60))
                    orphan = _child_of(server)
                    server.kill()
        await until(lambda: not Path(f"/proc/{orphan}").exists(), DEADLINE_S)
        with _server(tmp_path, database.url) as server:
            trader.url = server.url
            async with _load(session, trader):
                await _answered(trader, 100)
            assert server.stop() == 0
    await _equals_rebuilt(tmp_path, database)


def _child_of(server: ServerProcess) -> int:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])
