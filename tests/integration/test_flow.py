"""``exchange flow`` as its users run it: the acceptance test of the whole order path."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bench.flowgen import SHAPES, generate
from bench.flows import RECORDED, FlowPlayer, write_flow
from exchange.client import ExchangeClient, WaitFor, register
from exchange.model.presets import FLOW_INSTRUMENT
from exchange.process import ServerProcess
from tests.support.commands import children, eventually, run, start

TRANSPORTS = ("ws", "http")
DEADLINE_S = 400.0
CASES = [(name, transport) for transport in TRANSPORTS for name in RECORDED]

Runs = dict[tuple[str, str], "Future[subprocess.CompletedProcess[str]]"]

pytestmark = pytest.mark.timeout(2 * DEADLINE_S)


@pytest.fixture(scope="module")
def runs(shared_data: Path) -> Iterator[Runs]:
    """Every recorded flow over both transports, as many at a time as there are processors.

    Client and server of a run take turns, so that one run keeps one processor busy.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield {case: pool.submit(_play, shared_data, *case) for case in CASES}
        pool.shutdown(cancel_futures=True)


def _play(shared_data: Path, name: str, transport: str) -> subprocess.CompletedProcess[str]:
    path = shared_data / f"flow_{name}.csv.gz"
    return run("flow", path, "--transport", transport, "--expect", RECORDED[name], deadline_s=DEADLINE_S)


def _generated(folder: Path, orders: int = 200) -> tuple[Path, str, int]:
    """A flow from a seed, what the bare book's reports of it hash to, and its trades."""
    messages = generate(SHAPES["overlapping"], orders, 5)
    path = folder / "flow.csv.gz"
    write_flow(path, messages)
    book = FlowPlayer()
    lines = [line for message in messages for line in book.play(message)]
    return path, hashlib.sha256("\n".join(lines).encode()).hexdigest(), book.trades


@pytest.mark.parametrize(("name", "transport"), CASES)
def test_flow_recorded_gives_the_recorded_reports(runs: Runs, name: str, transport: str) -> None:
    """What four clients are told about a recorded flow has the hash that any correct exchange gives."""
    done = runs[name, transport].result()
    assert done.returncode == 0, done.stderr
    assert RECORDED[name] in done.stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("clients", [1, 3])
def test_flow_generated_gives_the_reports_of_the_book(tmp_path: Path, transport: str, clients: int) -> None:
    """Through sockets, journal and settlement the clients hear what the bare book says."""
    path, digest, trades = _generated(tmp_path)
    reports = tmp_path / "reports.txt"
    arguments = ("--transport", transport, "--clients", str(clients), "--reports", reports)
    done = run("flow", path, *arguments, "--expect", digest.upper())
    assert done.returncode == 0, done.stderr
    assert f"sha256    {digest}\n" in done.stdout
    assert f"{trades} trades" in done.stdout
    assert f"of {clients} clients, order entry by {transport}" in done.stdout
    assert hashlib.sha256(reports.read_bytes()).hexdigest() == digest


def test_flow_with_other_reports_than_expected_ends_with_1(tmp_path: Path) -> None:
    """The hash is told all the same, and the server that was started is gone."""
    path, digest, _ = _generated(tmp_path, 50)
    done = run("flow", path, "--expect", "0" * 64)
    assert done.returncode == 1
    assert digest in done.stdout
    assert "other reports than expected" in done.stderr


def test_flow_where_rules_forbid_it_ends_with_2_and_names_them(tmp_path: Path) -> None:
    """Nothing is sent to an exchange on which the flow cannot be reproduced."""
    path, _, _ = _generated(tmp_path, 50)
    with ServerProcess(tmp_path / "game", ["--preset", "small"]) as server:
        done = run("flow", path, "--url", server.url)
        teams = run("team", "list", "--url", server.url, "--admin-key", tmp_path / "game" / "admin.key")
    assert done.returncode == 2
    for rule in ("tick grid", "price bands", "self-trade prevention", "role constraint"):
        assert f"  {rule}: " in done.stderr
    assert "no teams yet" in teams.stdout


async def test_flow_elsewhere_needs_an_empty_book_and_the_invite_code(tmp_path: Path) -> None:
    """A server that is as the flow needs it is played on, until an order is at rest in its book."""
    path, digest, _ = _generated(tmp_path, 100)
    code = {"EXCHANGE_GAME__INVITE_CODE": "sesame"}
    with ServerProcess(tmp_path / "game", ["--preset", "flow"], environment=code) as server:
        uninvited = run("flow", path, "--url", server.url)
        invited = run("flow", path, "--url", server.url, "--invite-code", "sesame", "--expect", digest)
        team = await register(server.url, "guest", "player", "sesame")
        async with ExchangeClient.connect(server.url, team.api_key) as guest:
            await guest.buy(FLOW_INSTRUMENT, 1, price=1.0, wait=WaitFor.SETTLEMENT)
        late = run("flow", path, "--url", server.url, "--invite-code", "sesame")
    assert (uninvited.returncode, invited.returncode, late.returncode) == (2, 0, 2), invited.stderr
    assert "  invite code: " in uninvited.stderr
    assert "  empty book: " in late.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--instrument", "SPX"), "instruments: there is no SPX"),
        (("--role", "king"), "roles: there is no king"),
        (("--expect", "123"), "64 hexadecimal digits"),
        (("--clients", "0"), "clients"),
        (("--transport", "fax"), "transport"),
        (("--url", "gopher"), "not the address of an exchange"),
    ],
)
def test_flow_with_a_wrong_command_line_ends_with_2(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    """What cannot be meant is named."""
    path, _, _ = _generated(tmp_path, 10)
    done = run("flow", path, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_flow_of_a_file_that_is_none_ends_with_2(tmp_path: Path) -> None:
    """Absent, or something else."""
    (tmp_path / "notes.txt").write_text("hello\n")
    assert "is not a recorded flow" in run("flow", tmp_path / "notes.txt").stderr
    for name in ("notes.txt", "absent.csv"):
        assert run("flow", tmp_path / name).returncode == 2


def test_flow_without_an_exchange_ends_with_1(tmp_path: Path) -> None:
    """Nobody listens there."""
    path, _, _ = _generated(tmp_path, 10)
    done = run("flow", path, "--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "cannot reach http://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_flow_ends_when_its_exchange_dies(tmp_path: Path, transport: str) -> None:
    """Waiting has an end: a failure, no traceback."""
    path, _, _ = _generated(tmp_path, 5_000)
    with ServerProcess(tmp_path / "game", ["--preset", "flow"]) as server:
        process = start("flow", path, "--url", server.url, "--transport", transport)
        _wait_for_orders(server)
        server.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("exchange: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("log_bytes", [0, 100_000], ids=["starting", "playing"])
def test_flow_that_is_interrupted_leaves_no_server(
    tmp_path: Path, number: signal.Signals, log_bytes: int
) -> None:
    """Ctrl-C ends the flow and the server it started, and removes that server's data."""
    path, _, _ = _generated(tmp_path, 5_000)
    process = start("flow", path, given={"TMPDIR": str(tmp_path)})
    (child,) = eventually(lambda: children(process.pid))
    eventually(
        lambda: log_bytes <= sum(each.stat().st_size for each in tmp_path.glob("exchange-flow-*/game/*-wal"))
    )
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "exchange: interrupted\n"
    assert not Path(f"/proc/{child}").exists()
    assert not list(tmp_path.glob("exchange-flow-*"))


def _wait_for_orders(server: ServerProcess) -> None:
    eventually(lambda: httpx.get(f"{server.url}/game/status").json()["data"]["sequence"] > 50)
