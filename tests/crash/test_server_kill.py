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
from tests.support.scale import amount, figures, limit_s, seeded
from tests.support.traffic import Trader, client_session, load_until, register

KILLS = amount(100, 1_000)
KILLS_PER_GAME = 20
STARTUP_S = 0.8
TRADERS = 4
WORKERS = 6
AT_ONCE = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "0"}


def _server(folder: Path, module: str = "exchange") -> ServerProcess:
    return ServerProcess(folder / "data", ["--preset", "flow"], environment=AT_ONCE, module=module)


async def _state_hash(session: aiohttp.ClientSession, server: ServerProcess) -> str:
    path, headers = f"{server.url}/admin/status?state_hash=true", {"X-API-Key": server.admin_key}
    async with session.get(path, headers=headers) as answer:
        return str((await answer.json())["data"]["state_hash"])


async def _is_lost(session: aiohttp.ClientSession, trader: Trader, client_order_id: str) -> bool:
    order = trader.acknowledged[client_order_id]
    again = await trader.resend(session, order)
    same = (again.get("order_id"), again.get("timestamp")) == (order.order_id, order.timestamp)
    return not (same and again["data"]["duplicate"])


async def _lost_orders(session: aiohttp.ClientSession, trader: Trader, recent: list[str]) -> list[str]:
    """Acknowledged orders that a resend does not find again as they were."""
    lost = await asyncio.gather(*(_is_lost(session, trader, each) for each in recent))
    return [each for each, is_lost in zip(recent, lost, strict=True) if is_lost]


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


class _Game:
    """One folder, killed again and again; its traders remember what they were told."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self._folder = folder
        self._session = session
        self._traders: list[Trader] = []
        self._checked: dict[str, set[str]] = {}

    @property
    def acknowledged(self) -> int:
        """Orders, by all."""
        return sum(len(trader.acknowledged) for trader in self._traders)

    async def live(self, stream: random.Random, *, last: bool = False) -> None:
        """Start, compare with what was told before, trade, be killed; the ``last`` life is compared alone.

        Now and then a start is killed too, or the drain after SIGTERM.
        """
        if stream.random() < 0.2:
            await self._kill_the_start(stream.uniform(0, STARTUP_S))
        replayed = replay_journal(self._folder / "data") if self._traders else None
        with _server(self._folder) as server:
            if replayed is not None:
                assert replayed.failure is None
                assert await _state_hash(self._session, server) == replayed.core.state_hash()
            await self._join(server)
            for trader in self._traders:
                await self._check(trader)
            if not last:
                end = _killer(server) if stream.random() < 0.9 else _drained_and_killed(server)
                await load_until(self._session, self._traders, stream.randint(20, 400), WORKERS, end)
            server.kill()

    async def _check(self, trader: Trader) -> None:
        recent = [each for each in trader.acknowledged if each not in self._checked[trader.name]]
        self._checked[trader.name].update(recent)
        assert await _lost_orders(self._session, trader, recent) == []
        await _check_streams(self._session, trader)

    async def _join(self, server: ServerProcess) -> None:
        for trader in self._traders:
            trader.url = server.url
        for number in range(len(self._traders), TRADERS):
            self._traders.append(await register(self._session, server.url, f"T{number}", number))
            self._checked[f"T{number}"] = set()

    async def _kill_the_start(self, delay_s: float) -> None:
        server = _server(self._folder)
        server.spawn()
        await asyncio.sleep(delay_s)
        server.kill()


@pytest.mark.timeout(limit_s(900))
async def test_kill_under_load_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """Every acknowledged order, execution, stream sequence and the state hash survive every kill."""
    acknowledged = 0
    async with client_session() as session:
        for first in range(0, KILLS, KILLS_PER_GAME):
            game = _Game(tmp_path / f"{first}", session)
            for kill in range(first, min(KILLS, first + KILLS_PER_GAME)):
                with seeded("kill", kill) as stream:
                    await game.live(stream)
            with seeded("kill", "last", first) as stream:
                await game.live(stream, last=True)
            acknowledged += game.acknowledged
    figures("kill -9", kills=KILLS, acknowledged_orders=acknowledged)
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


def _drained_and_killed(server: ServerProcess) -> Callable[[], None]:
    def end() -> None:
        server.terminate()
        asyncio.get_running_loop().call_later(0.02, server.kill)

    return end


def _killer(server: ServerProcess) -> Callable[[], None]:
    pid = server.pid
    return lambda: os.kill(pid, signal.SIGKILL)
