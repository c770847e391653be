"""Snapshots and backups of a server under load: they have what clients were told, or the journal has."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import anyio.to_thread
import pytest

from exchange.app import replay_journal
from exchange.journal.check import check
from exchange.journal.snapshots import snapshot_paths
from exchange.process import ServerProcess
from tests.support.commands import run
from tests.support.session import digest
from tests.support.traffic import Acknowledged, Trader, client_session, load_until, register
from tests.support.waiting import until

KILLS = int(os.environ.get("EXCHANGE_TEST_SNAPSHOT_KILLS", "2"))
TRADERS = 3
WORKERS = 4
SETTINGS = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "0", "EXCHANGE_SNAPSHOTS__EVERY_RECORDS": "200"}
DEADLINE_S = 60.0


def _server(folder: Path) -> ServerProcess:
    return ServerProcess(folder, ["--preset", "flow"], environment=SETTINGS)


async def _lost(
    session: aiohttp.ClientSession, trader: Trader, acknowledged: dict[str, Acknowledged]
) -> list[str]:
    """Orders that a resend does not find again as they were."""
    lost = []
    for client_order_id, order in acknowledged.items():
        again = await trader.resend(session, order)
        same = (again.get("order_id"), again.get("timestamp")) == (order.order_id, order.timestamp)
        if not (same and again["data"]["duplicate"]):
            lost.append(client_order_id)
    return lost


def _newest(folder: Path) -> str:
    return next((path.name for path in snapshot_paths(folder)), "")


def _is_newer(folder: Path, before: str) -> bool:
    return _newest(folder) != before


def _kill_after(server: ServerProcess, condition: Callable[[], bool]) -> Callable[[], None]:
    """To be called under load: kills the server as soon as ``condition`` holds."""
    tasks: list[asyncio.Task[None]] = []

    async def watch() -> None:
        try:
            await until(condition, DEADLINE_S)
        finally:
            await anyio.to_thread.run_sync(server.kill)

    return lambda: tasks.append(asyncio.create_task(watch()))


@pytest.mark.timeout(300)
async def test_kill_after_a_snapshot_under_load_loses_nothing(tmp_path: Path) -> None:
    """Started from the snapshot and its tail: state, streams and orders as if from the whole journal."""
    folder, chance = tmp_path / "data", random.Random(7)
    traders: list[Trader] = []
    async with client_session() as session:
        for _ in range(KILLS):
            with _server(folder) as server:
                if not traders:
                    traders = [await register(session, server.url, f"T{n}", n) for n in range(TRADERS)]
                for trader in traders:
                    trader.url = server.url
                known = [set(trader.acknowledged) for trader in traders]
                kill = _kill_after(server, partial(_is_newer, folder, _newest(folder)))
                await load_until(session, traders, chance.randint(1, 100), WORKERS, kill)
                server.wait()
            found = replay_journal(folder, snapshots=True)
            assert found.passed_over == ()
            whole = replay_journal(folder)
            assert 0 < found.records < whole.records
            assert digest(found.core, found.streams) == digest(whole.core, whole.streams)
            with _server(folder) as server:
                assert f"after the snapshot of {found.snapshot}," in server.ready_line
                for trader, old in zip(traders, known, strict=True):
                    trader.url = server.url
                    recent = {key: order for key, order in trader.acknowledged.items() if key not in old}
                    assert recent
                    assert await _lost(session, trader, recent) == []
                    first = max(0, trader.last_seq - 500)
                    again = await trader.replayed_events(session, first, trader.last_seq)
                    seen = {seq: message for seq, message in trader.events.items() if seq > first}
                    assert {seq: again[seq] for seq in seen} == seen
        assert len(snapshot_paths(folder)) == min(2, KILLS)


@pytest.mark.timeout(300)
async def test_backup_under_load_has_every_order_acknowledged_before_it_began(tmp_path: Path) -> None:
    """Taken while orders come in, restored elsewhere, started: a resend finds each of them as it was."""
    folder, target, again = tmp_path / "data", tmp_path / "backup.tar", tmp_path / "again"
    before: list[dict[str, Acknowledged]] = []
    async with client_session() as session:
        with _server(folder) as server:
            traders = [await register(session, server.url, f"T{n}", n) for n in range(TRADERS)]

            async def back_up() -> None:
                before.extend(dict(trader.acknowledged) for trader in traders)
                try:
                    done = await anyio.to_thread.run_sync(
                        lambda: run("backup", "--data", folder, "--to", target)
                    )
                    assert done.returncode == 0, done.stderr
                    told = sum(len(trader.acknowledged) for trader in traders)
                    assert told > sum(map(len, before)), "nothing was traded meanwhile"
                finally:
                    await anyio.to_thread.run_sync(server.kill)

            backups: list[asyncio.Task[None]] = []

            def start() -> None:
                backups.append(asyncio.create_task(back_up()))

            await load_until(session, traders, 300, WORKERS, start)
            await backups[0]
        done = await anyio.to_thread.run_sync(lambda: run("restore", "--from", target, "--data", again))
        assert done.returncode == 0, done.stderr
        assert check(again).problems == ()
        with _server(again) as server:
            for trader, acknowledged in zip(traders, before, strict=True):
                trader.url = server.url
                assert len(acknowledged) > 10
                assert await _lost(session, trader, acknowledged) == []
        # The control: the check can tell an order that is not in the copy.
        late = set(traders[0].acknowledged) - set(before[0])
        with _server(again) as server:
            traders[0].url = server.url
            newest = {key: traders[0].acknowledged[key] for key in late}
            assert await _lost(session, traders[0], newest) != []


@pytest.mark.timeout(120)
async def test_stop_takes_a_snapshot_where_it_is_asked_to(tmp_path: Path) -> None:
    """The server ends when it is made; the next start replays nothing. A clean stop leaves no log behind."""
    folder = tmp_path / "data"
    settings = {"EXCHANGE_SNAPSHOTS__AT_STOP_RECORDS": "1"}
    with ServerProcess(folder, ["--preset", "flow"], environment=settings) as server:
        async with client_session() as session:
            await register(session, server.url, "T", 1)
    assert _newest(folder) == "0000000000000002.snapshot"
    assert sorted(path.name for path in folder.iterdir()) == ["admin.key", "head", "journal.db", "snapshots"]
    with ServerProcess(folder, ["--preset", "flow"]) as server:
        assert "0 records replayed after the snapshot of 2," in server.ready_line
