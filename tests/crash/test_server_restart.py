"""Stops of every kind: drained, poisoned, out of disk, damaged; and what the next start makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.app import replay_journal
from exchange.journal.check import check
from exchange.process import ServerDidNotStart, ServerProcess
from exchange.wire.ids import order_number
from tests.support.buggy_server import POISON
from tests.support.traffic import INSTRUMENT, Trader, client_session, load_until, register

AT_ONCE = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "0"}
BUGGY = "tests.support.buggy_server"
SMALL_DISK = "tests.support.small_disk_server"


def _server(
    folder: Path,
    arguments: Sequence[str] = (),
    *,
    module: str = "exchange",
    environment: Mapping[str, str] = AT_ONCE,
) -> ServerProcess:
    return ServerProcess(
        folder / "data", ["--preset", "flow", *arguments], environment=environment, module=module
    )


async def _order(
    session: aiohttp.ClientSession, trader: Trader, quantity: int = 1, wait: str = "settlement"
) -> tuple[int, dict[str, Any]]:
    body = {"instrument_id": INSTRUMENT, "side": "buy", "quantity": quantity, "price": 160.0}
    async with session.post(
        f"{trader.url}/exchange/orders?wait={wait}", json=body, headers={"X-API-Key": trader.api_key}
    ) as answer:
        return answer.status, await answer.json()


async def _cancel(session: aiohttp.ClientSession, trader: Trader, order_id: str) -> int:
    path = f"{trader.url}/exchange/orders/{order_id}"
    async with session.delete(path, headers={"X-API-Key": trader.api_key}) as answer:
        return answer.status


async def _ready(session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    async with session.get(f"{url}/health/ready") as answer:
        return answer.status, await answer.json()


# --- SIGTERM ------------------------------------------------------------------------------------------


async def test_sigterm_under_load_drains_and_notes_a_clean_stop(tmp_path: Path) -> None:
    """Everything acknowledged is kept, the exit code is 0, and the next start is not halted."""
    async with client_session() as session:
        with _server(tmp_path, environment={}) as server:
            trader = await register(session, server.url, "T", 1)
            await load_until(session, [trader], 200, 8, server.terminate)
            assert server.wait() == 0
        with _server(tmp_path, environment={}) as server:
            trader.url = server.url
            for order in list(trader.acknowledged.values()):
                again = await trader.resend(session, order)
                assert again["order_id"] == order.order_id
            assert (await _order(session, trader))[0] == 200


# --- restart grace ------------------------------------------------------------------------------------


async def test_unclean_stop_halts_for_the_grace_period_then_reopens(tmp_path: Path) -> None:
    """After a kill orders are refused and cancels allowed; then the market reopens by itself."""
    grace = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "2", "EXCHANGE_MARKET__REOPENING_S": "1"}
    async with client_session() as session:
        with _server(tmp_path) as server:
            trader = await register(session, server.url, "T", 1)
            _, kept = await _order(session, trader)
            server.kill()
        with _server(tmp_path, environment=grace) as server:
            trader.url = server.url
            status, refused = await _order(session, trader)
            assert (status, refused["error"]["code"]) == (409, "MARKET_CLOSED")
            assert await _cancel(session, trader, kept["order_id"]) == 200
            await _until_phase(session, trader, "continuous")
            assert (await _order(session, trader))[0] == 200


async def _until_phase(session: aiohttp.ClientSession, trader: Trader, phase: str) -> None:
    async with session.ws_connect(f"{trader.url}/ws") as socket:
        await socket.send_str(json.dumps({"id": 1, "method": "subscribe", "params": {"channels": ["phase"]}}))
        while True:
            event = json.loads(await socket.receive_str(timeout=20))
            if event.get("type") == "phase_change" and event["phase"] == phase:
                return


async def test_refused_start_keeps_the_mark_of_the_crash(tmp_path: Path) -> None:
    """A start with wrong settings after a kill does not cost the next one its grace period."""
    async with client_session() as session:
        with _server(tmp_path) as server:
            trader = await register(session, server.url, "T", 1)
            server.kill()
        with pytest.raises(ServerDidNotStart, match="other rules"):
            ServerProcess(tmp_path / "data", ["--preset", "small"]).start()
        assert not check(tmp_path / "data").clean
        with _server(tmp_path, environment={}) as server:
            trader.url = server.url
            assert (await _order(session, trader))[0] == 409
            assert "did not stop cleanly" in server.log_text()


# --- a command that makes match raise -------------------------------------------------------------------


async def test_poisoned_command_halts_and_can_be_voided(tmp_path: Path) -> None:
    """Match raises: halted; restarted: read-only before it; voided: the game goes on without it."""
    async with client_session() as session:
        with _server(tmp_path, module=BUGGY) as server:
            trader = await register(session, server.url, "T", 1)
            _, kept = await _order(session, trader)
            status, halted = await _order(session, trader, POISON)
            assert (status, halted["error"]["code"]) == (503, "VENUE_HALTED")
            assert (await _order(session, trader))[0] == 503
            book = await trader.get(session, f"/exchange/orderbook/{INSTRUMENT}")
            assert book["stale"] is True
            assert (await _ready(session, server.url))[0] == 503
        poisoned = order_number(kept["order_id"])
        assert poisoned is not None
        with _server(tmp_path, module=BUGGY) as server:
            trader.url = server.url
            assert f"sequence {poisoned + 1}" in server.ready_line
            assert (await _order(session, trader))[0] == 503
            order = await trader.get(session, f"/exchange/orders/{kept['order_id']}")
            assert order["status"] == "open"
        assert not check(tmp_path / "data").clean
        void = ["--void", str(poisoned + 1), "--reason", "planted by a test"]
        with _server(tmp_path, void, module=BUGGY) as server:
            trader.url = server.url
            status, after = await _order(session, trader)
            assert status == 200
        with _server(tmp_path, module=BUGGY) as server:
            trader.url = server.url
            assert "READ-ONLY" not in server.ready_line
            orders = await trader.get(session, "/exchange/orders")
            assert {each["order_id"] for each in orders["orders"]} == {kept["order_id"], after["order_id"]}


@pytest.mark.parametrize("arguments", [["--void", "2", "--reason", "x"], ["--void", "99", "--reason", "x"]])
def test_void_of_a_command_that_does_not_fail_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    """History is not edited: only what makes the replay fail can be voided."""
    with _server(tmp_path):
        pass
    with pytest.raises(ServerDidNotStart, match="cannot be voided"):
        _server(tmp_path, arguments).start()


# --- the disk -------------------------------------------------------------------------------------------


async def test_full_disk_stops_the_server_without_a_false_acknowledgement(tmp_path: Path) -> None:
    """After a failed write nothing is acknowledged; exit code 1; what was acknowledged is there."""
    environment = {**AT_ONCE, "EXCHANGE_TEST_DISK_BYTES": "120000"}
    async with client_session() as session:
        with _server(tmp_path, module=SMALL_DISK, environment=environment) as server:
            trader = await register(session, server.url, "T", 1)
            await load_until(session, [trader], 100_000, 4, lambda: None)
            assert server.wait() == 1
            assert "journal failed" in server.log_text()
        assert len(trader.acknowledged) > 10
        with _server(tmp_path) as server:
            trader.url = server.url
            for order in list(trader.acknowledged.values()):
                again = await trader.resend(session, order)
                assert (again["order_id"], again["data"]["duplicate"]) == (order.order_id, True)


async def test_truncated_journal_is_refused_and_opened_only_knowingly(tmp_path: Path) -> None:
    """A journal that ends before head refuses to start; --accept-loss-after opens it and notes the loss."""
    data = tmp_path / "data"
    async with client_session() as session:
        with _server(tmp_path) as server:
            trader = await register(session, server.url, "T", 1)
        _copy_journal(data, tmp_path / "earlier")
        with _server(tmp_path) as server:
            trader.url = server.url
            for _ in range(5):
                assert (await _order(session, trader))[0] == 200
        _restore_journal(data, tmp_path / "earlier")
        with pytest.raises(ServerDidNotStart, match="head says"):
            _server(tmp_path).start()
        assert check(data).problems != ()
        accept = ["--accept-loss-after", "2", "--reason", "restored an old copy"]
        with _server(tmp_path, accept) as server:
            trader.url = server.url
            assert (await _order(session, trader))[0] == 200
    assert replay_journal(data).failure is None


def _copy_journal(data: Path, to: Path) -> None:
    to.mkdir()
    for file in data.glob("journal.db*"):
        (to / file.name).write_bytes(file.read_bytes())


def _restore_journal(data: Path, source: Path) -> None:
    for file in data.glob("journal.db*"):
        file.unlink()
    for file in source.iterdir():
        (data / file.name).write_bytes(file.read_bytes())


def test_second_server_on_one_folder_is_refused(tmp_path: Path) -> None:
    """One writer: the second server says who has the folder and ends."""
    with _server(tmp_path), pytest.raises(ServerDidNotStart, match="in use"):
        _server(tmp_path).start()


def test_other_rules_on_an_old_game_are_refused(tmp_path: Path) -> None:
    """A game keeps the rules it began with; the message says what differs."""
    with _server(tmp_path):
        pass
    with pytest.raises(ServerDidNotStart, match="other rules"):
        ServerProcess(tmp_path / "data", ["--preset", "small"]).start()
