"""What goes wrong around a server at night: its files, its signals, its neighbours."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from exchange.process import ServerDidNotStart, ServerProcess
from tests.support.audit import check_quiet, check_stopped
from tests.support.raid import Raid, raid
from tests.support.traffic import client_session

BUY = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 160.0}


def _server(folder: Path) -> ServerProcess:
    return ServerProcess(folder / "data", ["--preset", "flow"])


# --- the operator's key -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"  \n", b"short\n", b"\xff" * 40, b"two keys in one file\n"], ids=range(6)
)
def test_admin_key_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """A torn or mistyped file must not make a guessable key, least of all an empty one, the operator's."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_bytes(content)
    with pytest.raises(ServerDidNotStart, match=r"admin\.key") as refused, _server(tmp_path):
        pass
    assert "Traceback" not in str(refused.value)


def test_admin_key_of_an_operators_own_is_taken(tmp_path: Path) -> None:
    """Any key of enough characters, whatever line ending an editor left."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_bytes(b"correct-horse-battery-staple\r\n")
    with _server(tmp_path) as server:
        assert server.admin_key == "correct-horse-battery-staple"


async def test_empty_key_is_nobodys(tmp_path: Path) -> None:
    """An empty header or bearer token is answered as an unknown key, on every path that needs one."""
    async with raid(tmp_path) as attack:
        for headers in ({"X-API-Key": ""}, {"Authorization": "Bearer "}, {"X-API-Key": " "}):
            for path in ("/admin/status", "/positions", "/exchange/orders"):
                assert (await attack.send("GET", path, headers=headers))[0] == 401


# --- signals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signals", [[signal.SIGTERM] * 5, [signal.SIGINT, signal.SIGTERM], [signal.SIGINT]])
async def test_signals_while_draining_change_nothing(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """An impatient operator: the drain goes on to its end, exit code 0, a clean journal."""
    async with client_session() as session:
        with _server(tmp_path) as server:
            attack = Raid(server, session)
            team = await attack.team("Alpha")
            orders = [asyncio.create_task(attack.order(team, "settlement", **BUY)) for _ in range(50)]
            await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
            for number in signals:
                os.kill(server.pid, number)
            assert await asyncio.to_thread(server.wait) == 0
            await asyncio.gather(*orders, return_exceptions=True)
        check_stopped(tmp_path / "data")
        check_quiet(server.log_text())
        with _server(tmp_path) as server:
            attack.server = server
            await attack.audit()


async def test_server_that_was_suspended_goes_on(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT of the server: who waited is answered, nothing is lost, no time is lost twice."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        os.kill(attack.server.pid, signal.SIGSTOP)
        orders = [asyncio.create_task(attack.order(team, "settlement", **BUY)) for _ in range(20)]
        done, _ = await asyncio.wait(orders, timeout=0.3)
        assert not done
        os.kill(attack.server.pid, signal.SIGCONT)
        assert {status for status, _ in await asyncio.gather(*orders)} == {200}


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["journal.db", "head"])
def test_data_folder_with_a_stray_directory_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """Where a file should be there is a folder: refused with its name, without a traceback."""
    (tmp_path / "data" / name).mkdir(parents=True)
    with pytest.raises(ServerDidNotStart) as refused, _server(tmp_path):
        pass
    assert "Traceback" not in str(refused.value)


async def test_data_folder_removed_under_a_running_server_loses_no_answer(tmp_path: Path) -> None:
    """``rm -r`` at the wrong place: the open journal goes on or the server stops, but it never lies."""
    async with client_session() as session:
        with _server(tmp_path) as server:
            attack = Raid(server, session)
            team = await attack.team("Alpha")
            for file in (tmp_path / "data").iterdir():
                file.unlink()
            statuses = {(await attack.order(team, **BUY))[0] for _ in range(5)}
            assert statuses <= {200, 503}
            server.terminate()
            await asyncio.to_thread(server.wait)
        assert "Traceback" not in server.log_text()
