"""What is kept of a game, as its operator asks for it: replay, snapshot, backup, restore, audit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from exchange.app import replay_journal
from exchange.journal.backup import back_up, restore
from exchange.process import ServerProcess
from tests.support.commands import run

STATE_HASH = re.compile(r"state hash +│ ([0-9a-f]{32}) ")
ORDERS = 6


class Game(NamedTuple):
    """The folder of a running game, and what its server says about it."""

    folder: Path
    acts: list[dict[str, Any]]
    state_hash: str


def _get(server: ServerProcess, path: str) -> Any:
    answer = httpx.get(server.url + path, headers={"X-API-Key": server.admin_key})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _play(server: ServerProcess) -> None:
    """Two teams, an operator, some orders."""
    admin = {"X-API-Key": server.admin_key}
    keys = []
    for name in ("A", "B"):
        team = {"name": name, "role": "market_maker"}
        keys.append(httpx.post(f"{server.url}/game/teams/register", json=team).json()["data"]["api_key"])
    acts: tuple[tuple[str, dict[str, str] | None], ...] = (
        ("teams/TEAM_2/disable", {"reason": "runaway bot"}),
        ("teams/TEAM_2/enable", {"reason": "repaired"}),
        ("phase", {"phase": "halted", "reason": "wrong expiry", "instrument_id": "SPY"}),
        ("teams/TEAM_2/cancel_orders", None),
    )
    for act, body in acts:
        httpx.post(f"{server.url}/admin/{act}", json=body, headers=admin).raise_for_status()
    for number in range(ORDERS):
        order = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400 + number}
        answer = httpx.post(f"{server.url}/exchange/orders", json=order, headers={"X-API-Key": keys[0]})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A game with a snapshot in its middle."""
    folder = tmp_path_factory.mktemp("records") / "game"
    with ServerProcess(folder, ["--preset", "small"]) as server:
        _play(server)
        acts: list[dict[str, Any]] = _get(server, "/admin/audit")["acts"]
        page = _get(server, "/admin/audit?limit=2")
        rest = _get(server, f"/admin/audit?after={page['next_cursor']}")
        assert "next_cursor" not in rest
        state_hash = str(_get(server, "/admin/status?state_hash=true")["state_hash"])
        assert page["acts"] + rest["acts"] == acts
        assert run("snapshot", "--data", folder).returncode == 0
        yield Game(folder, acts, state_hash)


# --- replay ---------------------------------------------------------------------------------------------


def test_replay_shows_the_game_beside_its_server(game: Game) -> None:
    """The state hash that the server tells, every team, and what it holds; from the snapshot or not."""
    for more in ((), ("--no-snapshots",)):
        done = run("replay", "--data", game.folder, *more)
        assert done.returncode == 0, done.stderr
        assert STATE_HASH.findall(done.stdout) == [game.state_hash]
        assert re.search(rf"open orders +│ {ORDERS} ", done.stdout)
        assert re.search(rf"TEAM_1 │ A +│ {ORDERS} +│ flat ", done.stdout)
        assert re.search(r"from the snapshot of │ none" if more else r"snapshot of │ \d+", done.stdout)


def test_replay_until_a_sequence_or_a_time(game: Game) -> None:
    """Both name the same state: after the registration of the second team, before its first order."""
    second = next(act for act in game.acts if act["actor"] == "TEAM_2")
    by_sequence = run("replay", "--data", game.folder, "--until", str(second["sequence"]))
    by_time = run("replay", "--data", game.folder, "--until", str(second["timestamp"]))
    assert by_sequence.returncode == by_time.returncode == 0, by_time.stderr
    assert by_sequence.stdout == by_time.stdout
    assert re.search(r"open orders +│ 0 ", by_time.stdout)
    assert STATE_HASH.findall(by_time.stdout) != [game.state_hash]


@pytest.mark.parametrize(
    ("until", "code", "complaint"),
    [("yesterday", 2, "neither a sequence nor a time"), ("1000000", 1, "the journal ends at")],
)
def test_replay_until_what_is_not_there(game: Game, until: str, code: int, complaint: str) -> None:
    """Said, and told apart by the exit code."""
    done = run("replay", "--data", game.folder, "--until", until)
    assert done.returncode == code
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "command", [("replay",), ("snapshot",), ("backup", "--to", "b"), ("audit", "list"), ("audit", "verify")]
)
def test_records_of_no_game_end_with_1(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The folder is named, nothing is made."""
    done = run(*command, "--data", tmp_path / "absent", cwd=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / "absent") in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- backup and restore ---------------------------------------------------------------------------------


def test_backup_of_a_running_game_is_restored_and_starts(game: Game, tmp_path: Path) -> None:
    """Everything acknowledged is there; nothing is overwritten, on the way there or back."""
    target = tmp_path / "monday.tar.gz"
    done = run("backup", "--data", game.folder, "--to", target)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"{target}: everything up to sequence \d+, 1 snapshot, [\d,]+ bytes, verified\n", done.stdout
    )
    again = run("backup", "--data", game.folder, "--to", target)
    assert (again.returncode, "nothing is overwritten" in again.stderr) == (1, True)
    restored = run("restore", "--from", target, "--data", tmp_path / "again")
    assert restored.returncode == 0, restored.stderr
    assert STATE_HASH.findall(restored.stdout) == [game.state_hash]
    refused = run("restore", "--from", target, "--data", tmp_path / "again")
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)
    with ServerProcess(tmp_path / "again", ["--preset", "small"]) as server:
        assert "0 records replayed after the snapshot of" in server.ready_line
        assert _get(server, "/admin/teams")["teams"] != []
        entry = _get(server, "/admin/audit")["acts"][-2:]
        assert {act["act"] for act in entry} == {"configuration", "set_phase"}


# --- check and audit ------------------------------------------------------------------------------------


@pytest.fixture
def stopped(game: Game, tmp_path: Path) -> Path:
    """A copy of the game, with no server."""
    back_up(game.folder, tmp_path / "backup", 0)
    restore(tmp_path / "backup", tmp_path / "game")
    return tmp_path / "game"


def test_check_journal_checks_the_snapshots(stopped: Path) -> None:
    """Intact, or the file that is not, and exit code 1."""
    done = run("check-journal", "--data", stopped)
    assert done.returncode == 0, done.stderr
    assert re.search(r"snapshot \d+ +│ intact", done.stdout)
    (path,) = (stopped / "snapshots").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = run("check-journal", "--data", stopped)
    assert done.returncode == 1
    assert f"{path.name}: " in done.stderr
    assert replay_journal(stopped, snapshots=True).snapshot == 0


def test_audit_list_tells_what_the_server_tells(game: Game) -> None:
    """The same acts, as a table and as JSON; who did them, and no secret."""
    as_json = run("audit", "list", "--data", game.folder, "--json")
    assert [json.loads(line) for line in as_json.stdout.splitlines()] == game.acts
    acts = [(act["actor"], act["act"]) for act in game.acts]
    assert acts == [
        ("console", "open_game"),
        ("TEAM_1", "register_team"),
        ("TEAM_2", "register_team"),
        ("operator", "disable_team"),
        ("operator", "enable_team"),
        ("operator", "set_phase"),
        ("operator", "cancel_orders"),
    ]
    table = run("audit", "list", "--data", game.folder).stdout
    assert re.search(r"│ operator [0-9a-f]{8} │ disable_team +│ team_id TEAM_2, reason runaway bot", table)
    assert (game.folder / "admin.key").read_text().strip() not in as_json.stdout


def test_audit_verify_vouches_for_a_game_and_names_what_is_broken(stopped: Path, game: Game) -> None:
    """Of a running one it says so. A changed reason is found at its record; the acts before it are listed."""
    done = run("audit", "verify", "--data", stopped)
    assert done.returncode == 0, done.stderr
    assert re.search(r"verified: \d+ records, the last is \d+, chain [0-9a-f]{64}", done.stdout)
    assert "in use" in run("audit", "verify", "--data", game.folder).stderr
    path = stopped / "journal.db"
    content = path.read_bytes()
    assert content.count(b"runaway bot") == 1
    path.write_bytes(content.replace(b"runaway bot", b"harmless bo"))
    done = run("audit", "verify", "--data", stopped)
    assert done.returncode == 1
    broken = next(act["sequence"] for act in game.acts if act["act"] == "disable_team")
    assert f"damaged at sequence {broken}" in done.stderr
    assert "register_team" in done.stdout
    assert "disable_team" not in done.stdout
    shutil.rmtree(stopped)
