"""``exchange demo`` as its users run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.commands import children, eventually, run, start

pytestmark = pytest.mark.timeout(120)

ADDRESS = re.compile(r"A market with 9 bots in 3 roles, on (http://127\.0\.0\.1:(\d+))\n")
SUMMARY = re.compile(
    r"demo: [\d.]+ s, ([\d,]+) orders \(\d+/s\), ([\d,]+) trades, p50 [\d.]+ ms, p99 [\d.]+ ms;"
    r" (\d+) orders left open; (data .*)\n\Z"
)


class Running(NamedTuple):
    """A demonstration under way."""

    process: subprocess.Popen[str]
    url: str

    def finish(self) -> tuple[int, str, str]:
        """Exit code and what it still says."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def _start(folder: Path, *arguments: str) -> Running:
    process = start("demo", "--port", "0", *arguments, cwd=folder)
    assert process.stdout is not None
    found = ADDRESS.fullmatch(process.stdout.readline())
    assert found
    return Running(process, found[1])


def _teams(folder: Path, url: str) -> list[dict[str, str]]:
    (key_file,) = folder.glob("data/demo-*/game/admin.key")
    headers = {"X-API-Key": key_file.read_text().strip()}
    teams: list[dict[str, str]] = httpx.get(f"{url}/admin/teams", headers=headers).json()["data"]["teams"]
    return teams


def _trades(url: str) -> int:
    found = re.search(r"^exchange_trades_total ([\d.]+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def test_demo_trades_for_its_time_and_cleans_up(tmp_path: Path) -> None:
    """Exit code 0, trades, nothing left open, nothing left behind; a busy port is no obstacle."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        done = run("demo", "--port", str(port), cwd=tmp_path, given={"DEMO_SECONDS": "5"})
    assert (done.returncode, done.stderr) == (0, "")
    address, summary = ADDRESS.match(done.stdout), SUMMARY.search(done.stdout)
    assert address
    assert summary
    assert int(address[2]) != port
    assert f"curl -s {address[1]}/exchange/orderbook/SPX" in done.stdout
    assert f"{address[1]}/docs" in done.stdout
    assert re.search(r"\d+ orders/s +[\d,]+ trades  p50 [\d.]+ ms  p99 [\d.]+ ms", done.stdout)
    orders, trades, left, data = summary.groups()
    assert int(orders.replace(",", "")) > int(trades.replace(",", "")) > 0
    assert (left, data) == ("0", "data removed")
    assert list(tmp_path.iterdir()) == []


def test_demo_listens_where_it_says_with_nine_teams_in_three_roles(tmp_path: Path) -> None:
    """Bots trade over HTTP and WebSocket; Ctrl-C, which a terminal sends to the whole group, ends it."""
    running = _start(tmp_path)
    (server,) = children(running.process.pid)
    assert os.getpgid(server) != os.getpgid(running.process.pid)
    teams = _teams(tmp_path, running.url)
    assert len(teams) == 9
    assert {team["role"] for team in teams} == {"market_maker", "hedge_fund", "arbitrage"}
    eventually(lambda: _trades(running.url) > 0)
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.finish()
    assert (code, err) == (0, "")
    assert SUMMARY.search(out)
    assert not Path(f"/proc/{server}").exists()
    assert list(tmp_path.iterdir()) == []


def test_demo_keeps_its_data_when_asked(tmp_path: Path) -> None:
    """The game of the demonstration can be checked, and its log read."""
    done = run("demo", "--port", "0", cwd=tmp_path, given={"DEMO_SECONDS": "1", "DEMO_KEEP": "1"})
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("data/demo-*")
    assert f"data kept in data/{folder.name}\n" in done.stdout
    assert (folder / "server.log").exists()
    assert run("check-journal", "--data", folder / "game").returncode == 0


def test_demo_whose_server_dies_says_so_and_ends_with_1(tmp_path: Path) -> None:
    """No traceback, no bot that goes on; journal and logs stay where they are."""
    running = _start(tmp_path)
    (server,) = children(running.process.pid)
    os.kill(server, signal.SIGKILL)
    code, out, err = running.finish()
    assert code == 1
    (folder,) = tmp_path.glob("data/demo-*")
    assert err == f"exchange: the server ended with exit code -9; logs are in data/{folder.name}\n"
    assert "nobody knows which orders are open" in out


def test_demo_that_is_stopped_before_it_began_ends_with_0(tmp_path: Path) -> None:
    """SIGTERM while the server starts: no server stays."""
    process = start("demo", "--port", "0", cwd=tmp_path)
    (server,) = eventually(lambda: children(process.pid))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert not Path(f"/proc/{server}").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_demo_refuses_a_time_that_is_none(tmp_path: Path, seconds: str) -> None:
    """A wrong DEMO_SECONDS is a wrong command line, and nothing is started."""
    done = run("demo", cwd=tmp_path, given={"DEMO_SECONDS": seconds})
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
