"""kill -9 under load: whatever a client was told is still true after the restart."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from exchange.app import replay_journal
from exchange.process import ServerProcess
from tests.support.traffic import Trader, client_session, load_until, register

KILLS = 25
TRADERS = 4
WORKERS = 6
AT_ONCE = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "0"}


def _server(folder: Path, module: str = "exchange") -> ServerProcess:
    return ServerProcess(folder / "data", ["--preset", "flow"], environment=AT_ONCE, module=module)


async def _state_hash(session: aiohttp.ClientSession, server: ServerProcess) -> str:
    path, headers = f"{server.url}/admin/status?state_hash=true", {"X-API-Key": server.admin_key}
    async with session.get(path, headers=headers) as answer:
        return str((await answer.json())["data"]["state_hash"])


async def _lost_orders(session: aiohttp.ClientSession, trader: Trader, recent: list[str]) -> list[str]:
    """Acknowledged orders that a resend does not find again as they were."""
    lost = []
    for client_order_id in recent:
        order = trader.acknowledged[client_order_id]
        again = await trader.resend(session, order)
        same = (again.get("order_id"), again.get("timestamp")) == (order.order_id, order.timestamp)
        if not (same and again["data"]["duplicate"]):
            lost.append(client_order_id)
    return lost


async def _check_streams(session: aiohttp.ClientSession, trader: Trader) -> None:
    """Every event that was seen is told again, word for word; every fill that was seen is booked once."""
    if not trader.events:
        return
    first = max(0, trader.last_seq - 2_000)
    again = await trader.replayed_events(session, first, trader.last_seq)
    seen = {seq: message for seq, message in trader.events.items() if seq > first}
    assert {seq: again[seq] for seq in seen} == seen
    booked = await trader.executions(session)
    assert len(booked) == len(set(booked))
    reports = (json.loads(message) for message in trader.events.values())
    assert {each["exec_id"] for each in reports if each["type"] == "execution_report"} <= set(booked)


@pytest.mark.timeout(600)
async def test_kill_under_load_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """25 kills: every acknowledged order, execution, stream sequence and the state hash survive."""
    chance = random.Random(20)
    traders: list[Trader] = []
    acknowledged = 0
    async with client_session() as session:
        for _ in range(KILLS):
            with _server(tmp_path) as server:
                if traders:
                    for trader in traders:
                        trader.url = server.url
                else:
                    traders = [
                        await register(session, server.url, f"T{number}", number) for number in range(TRADERS)
                    ]
                known = [set(trader.acknowledged) for trader in traders]
                await load_until(session, traders, chance.randint(20, 400), WORKERS, _killer(server))
                server.wait()
            replayed = replay_journal(tmp_path / "data")
            assert replayed.failure is None
            with _server(tmp_path) as server:
                assert await _state_hash(session, server) == replayed.core.state_hash()
                for trader, before in zip(traders, known, strict=True):
                    trader.url = server.url
                    recent = [each for each in trader.acknowledged if each not in before]
                    acknowledged += len(recent)
                    assert await _lost_orders(session, trader, recent) == []
                    await _check_streams(session, trader)
                server.kill()
    assert acknowledged > KILLS * 10


@pytest.mark.timeout(300)
async def test_kill_control_finds_what_a_forgetful_server_loses(tmp_path: Path) -> None:
    """The control: with a server that answers before it writes, the same check reports losses."""
    lost: list[str] = []
    async with client_session() as session:
        for number in range(10):
            folder = tmp_path / str(number)
            with _server(folder, "tests.support.forgetful_server") as server:
                await asyncio.sleep(0.2)  # its registrations too are written late
                trader = await register(session, server.url, "T", number)
                await load_until(session, [trader], 100, WORKERS, _killer(server))
                server.wait()
            with _server(folder) as server:
                trader.url = server.url
                lost += await _lost_orders(session, trader, list(trader.acknowledged))
            if lost:
                return
    raise AssertionError("the check is blind: nothing was reported lost")


def _killer(server: ServerProcess) -> Callable[[], None]:
    pid = server.pid
    return lambda: os.kill(pid, signal.SIGKILL)
