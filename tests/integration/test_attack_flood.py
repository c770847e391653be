"""Floods: whatever the rate and the number of connections, limits hold and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.process import ServerProcess
from tests.support.audit import check_quiet, check_stopped
from tests.support.raid import Raid, Team, raid, roles_file
from tests.support.traffic import client_session

CONNECTIONS = 64
LIMIT = 50
PLAYER = (
    f'{{name = "player", constraints = [{{type = "position_limit", max_position = {LIMIT}}}],'
    " fees = {maker = 100, taker = -200}}"
)
MIDDLE = 4400.0


async def _trade_at_random(attack: Raid, team: Team, seed: int, actions: int) -> None:
    """Orders large against the limit, with amends up and down and cancels of whatever is known."""
    chance = random.Random(seed)
    mine: list[str] = []
    for _ in range(actions):
        choice = chance.random()
        if choice < 0.6 or not mine:
            status, answer = await attack.order(
                team,
                instrument_id="SPX",
                side=chance.choice(["buy", "sell"]),
                quantity=chance.randint(1, LIMIT),
                price=MIDDLE + chance.randint(-3, 3),
            )
            if status == 200:
                mine.append(answer["order_id"])
        elif choice < 0.85:
            change = {"quantity": chance.randint(1, LIMIT)} | (
                {"price": MIDDLE + chance.randint(-3, 3)} if chance.random() < 0.5 else {}
            )
            status, answer = await attack.amend(team, chance.choice(mine), **change)
        else:
            status, answer = await attack.cancel(team, chance.choice(mine))
        assert status in (200, 400, 404), answer


@pytest.mark.timeout(120)
async def test_position_limit_holds_under_a_flood_of_64_connections(tmp_path: Path) -> None:
    """Orders and amends of four teams race on 64 connections: no interleaving carries one past its limit."""
    config = roles_file(tmp_path, [PLAYER])
    async with raid(tmp_path, "--preset", "small", "--config", config) as attack:
        teams = [await attack.team(f"T{number}") for number in range(4)]
        async with asyncio.TaskGroup() as tasks:
            for number in range(CONNECTIONS):
                tasks.create_task(_trade_at_random(attack, teams[number % 4], number, 60))
        for team in teams:
            _, held = await attack.send("GET", "/positions", team.key)
            assert all(abs(lots) <= LIMIT for lots in held["data"]["positions"].values())
            _, fills = await attack.send("GET", "/exchange/executions?limit=1000", team.key)
            position = 0
            for fill in fills["data"]["executions"]:
                position += fill["quantity"] * (1 if fill["side"] == "buy" else -1)
                assert abs(position) <= LIMIT


async def _flood_until_gone(attack: Raid, team: Team, number: int, refused: list[dict[str, Any]]) -> None:
    chance = random.Random(number)
    while True:
        try:
            status, answer = await attack.order(
                team,
                chance.choice(["validation", "matching", "settlement"]),
                instrument_id="FLOW",
                side=chance.choice(["buy", "sell"]),
                quantity=chance.randint(1, 9),
                price=160 + chance.randint(-3, 3) * 0.005,
            )
        except (aiohttp.ClientError, OSError):
            return
        if status != 200:
            assert status == 503, answer
            refused.append(answer)


async def test_sigterm_under_a_flood_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM while 64 connections send as fast as they can: drained, exit code 0, everything replayed."""
    async with client_session() as session:
        server = ServerProcess(tmp_path / "data", ["--preset", "flow"])
        with server:
            attack = Raid(server, session)
            teams = [await attack.team(f"T{number}") for number in range(4)]
            refused: list[dict[str, Any]] = []
            flood = [
                asyncio.create_task(_flood_until_gone(attack, teams[number % 4], number, refused))
                for number in range(CONNECTIONS)
            ]
            async with asyncio.timeout(20):
                while sum(map(len, attack.acknowledged.values())) < 1_000:
                    await asyncio.wait(flood, timeout=0.01)
            server.terminate()
            assert await asyncio.to_thread(server.wait) == 0
            await asyncio.gather(*flood)
        assert {answer["error"]["code"] for answer in refused} <= {"SHUTTING_DOWN"}
        check_stopped(tmp_path / "data")
        check_quiet(server.log_text())
        with ServerProcess(tmp_path / "data", ["--preset", "flow"]) as server:
            attack.server = server
            await attack.audit()
