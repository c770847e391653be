"""Every command as its users run it: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exchange import __version__
from exchange.api.context import API_VERSION
from exchange.config import Config
from exchange.process import ServerProcess
from tests.support.commands import run, start

COMMANDS = (
    (),
    ("serve",),
    ("demo",),
    ("flow",),
    ("check-journal",),
    ("simulate",),
    ("project",),
    ("export",),
    ("replay",),
    ("snapshot",),
    ("backup",),
    ("restore",),
    ("audit",),
    ("audit", "list"),
    ("audit", "verify"),
    ("team",),
    ("team", "add"),
    ("team", "list"),
    ("team", "rotate"),
    ("team", "disable"),
    ("team", "enable"),
    ("config",),
    ("config", "show"),
)
KEY = re.compile(r"^API key  (itg_\S+)$", re.MULTILINE)


class Game(NamedTuple):
    """A running server, and how a team command is told about it."""

    server: ServerProcess
    environment: dict[str, str]


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A small game."""
    folder = tmp_path_factory.mktemp("cli") / "game"
    with ServerProcess(folder, ["--preset", "small"]) as server:
        key_file = str(folder / "admin.key")
        yield Game(server, {"EXCHANGE_URL": server.url, "EXCHANGE_ADMIN_KEY_FILE": key_file})


# --- help -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_given_for_every_command(command: tuple[str, ...]) -> None:
    """Usage, what it is for, and for whoever gives no command the list of them."""
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert f"Usage: python -m exchange {' '.join(command)}".strip() in done.stdout
    assert "[default: ]" not in done.stdout


def test_help_lists_the_commands() -> None:
    """Nothing is hidden."""
    out = run("--help").stdout
    listed = re.findall(r"^│ ([a-z][a-z-]+) ", out, re.MULTILINE)
    assert set(listed) == {command[0] for command in COMMANDS if command}


def test_an_unknown_command_ends_with_2() -> None:
    """With a hint where help is."""
    done = run("trade")
    assert done.returncode == 2
    assert "--help" in done.stderr


# --- teams ----------------------------------------------------------------------------------------------


def test_team_life(game: Game) -> None:
    """Added, listed, given another key, disabled, enabled; keys are told once and differ."""
    added = run("team", "add", "Al[red]pha", "market_maker", given=game.environment)
    assert added.returncode == 0, added.stderr
    assert "team     TEAM_1\nname     Al[red]pha\nrole     market_maker\n" in added.stdout
    rotated = run("team", "rotate", "TEAM_1", given=game.environment)
    keys = KEY.findall(added.stdout) + KEY.findall(rotated.stdout)
    assert len(set(keys)) == 2
    disabled = run("team", "disable", "TEAM_1", "--reason", "runaway bot", given=game.environment)
    assert disabled.stdout == "TEAM_1 Al[red]pha: disabled\n"
    listed = run("team", "list", given=game.environment).stdout
    assert re.search(r"TEAM_1 │ Al\[red\]pha │ market_maker │ \S+ \S+ UTC │ disabled", listed)
    assert not any(key in listed for key in keys)
    assert run("team", "enable", "TEAM_1", given=game.environment).stdout == "TEAM_1 Al[red]pha: active\n"


def test_team_add_may_give_a_role_that_is_not_open(game: Game) -> None:
    """House flow is the operator's to add, and the options do what the environment does."""
    key_file = game.environment["EXCHANGE_ADMIN_KEY_FILE"]
    done = run("team", "add", "House", "retail", "--url", game.server.url, "--admin-key", key_file)
    assert done.returncode == 0, done.stderr
    assert "role     retail" in done.stdout


def test_serve_voids_nothing_where_there_is_no_game(tmp_path: Path) -> None:
    """A mistyped folder is named, and not made."""
    done = run("serve", "--port", "0", "--data", tmp_path / "typo", "--void", "3", "--reason", "x")
    assert done.returncode == 1
    assert "there is no game in" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_serve_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The complaint is about the folder, not about the port."""
    (tmp_path / "file").touch()
    done = run("serve", "--port", "0", "--data", tmp_path / "file" / "game")
    assert done.returncode == 1
    assert str(tmp_path / "file" / "game") in done.stderr


def test_version_tells_that_of_the_program_and_of_the_api() -> None:
    """What a report of a fault begins with."""
    assert run("--version").stdout == f"exchange {__version__}, API version {API_VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "X", "king"), "UNKNOWN_ROLE"),
        (("add", "", "retail"), "INVALID_REQUEST"),
        (("rotate", "TEAM_99"), "`exchange team list` shows every team"),
        (("disable", "TEAM_99"), "UNKNOWN_TEAM"),
        (("enable", "nobody"), "UNKNOWN_TEAM"),
        (("list", "--admin-key", "absent.key"), "there is no admin key at absent.key"),
        (("list", "--admin-key", "README.md"), "README.md does not hold an admin key"),
        (("list", "--admin-key", "docs"), "cannot read the admin key docs"),
        (("list", "--url", "http://127.0.0.1:1"), "Is the server running at http://127.0.0.1:1?"),
    ],
)
def test_team_command_that_fails_says_what_to_do(
    game: Game, arguments: tuple[str, ...], complaint: str
) -> None:
    """Exit code 1, one message, no traceback, nothing on standard output."""
    done = run("team", *arguments, given=game.environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_team_command_with_another_games_key_is_refused(game: Game, tmp_path: Path) -> None:
    """The key of another game, as after starting anew in another folder."""
    key_file = tmp_path / "admin.key"
    key_file.write_text("itg_of_another_game\n")
    done = run("team", "list", "--admin-key", key_file, given=game.environment)
    assert done.returncode == 1
    assert f"does not know the key in {key_file}" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("add",), ("add", "X"), ("rotate",), ("list", "--url", "gopher"), ("list", "--colour")]
)
def test_team_command_with_a_wrong_command_line_ends_with_2(game: Game, arguments: tuple[str, ...]) -> None:
    """What is missing or not understood never reaches the server."""
    assert run("team", *arguments, given=game.environment).returncode == 2


# --- serve ----------------------------------------------------------------------------------------------


def test_serve_says_when_it_is_ready_and_stops_with_0(tmp_path: Path) -> None:
    """One line on standard output; SIGTERM drains."""
    process = start("serve", "--port", "0", "--preset", "small", cwd=tmp_path)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert re.fullmatch(
        r"exchange ready on http://127\.0\.0\.1:\d+ \(preset small, 22 instruments, 1 record replayed,"
        r" admin key in data/exchange/admin\.key\)\n",
        line,
    )
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert (tmp_path / "data" / "exchange" / "admin.key").stat().st_mode & 0o777 == 0o600


def test_serve_refuses_a_busy_port_and_a_used_folder(game: Game, tmp_path: Path) -> None:
    """Exit code 1, and both are named."""
    port = game.server.url.rpartition(":")[2]
    busy = run("serve", "--port", port, "--data", tmp_path / "other")
    assert busy.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in busy.stderr
    used = run("serve", "--port", "0", "--data", game.server.data_dir)
    assert used.returncode == 1
    assert str(game.server.data_dir) in used.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--preset", "casino"), "unknown preset 'casino'"),
        (("--void", "3"), "--void and --accept-loss-after need --reason"),
        (("--config", "absent.toml"), "cannot read absent.toml"),
        (("--port", "70000"), "port"),
    ],
)
def test_serve_with_a_wrong_command_line_ends_with_2(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    """Nothing is made and nothing is opened."""
    done = run("serve", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- journals -------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The folder of a game that was stopped."""
    folder = tmp_path / "game"
    with ServerProcess(folder, ["--preset", "small"]) as server:
        key_file = folder / "admin.key"
        assert run("team", "add", "A", "retail", "--url", server.url, "--admin-key", key_file).returncode == 0
    return folder


def test_check_journal_of_a_good_game_ends_with_0(stopped: Path) -> None:
    """Counts, and the same state hash each time."""
    first, second = (run("check-journal", "--data", stopped) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert re.search(r"records +│ 2 ", first.stdout), first.stdout
    assert re.search(r"state hash +│ [0-9a-f]{32} ", first.stdout)
    assert first.stdout == second.stdout
    assert "state hash" not in run("check-journal", "--data", stopped, "--no-replay").stdout


def test_check_journal_of_a_damaged_game_ends_with_1(stopped: Path) -> None:
    """A changed byte is noticed and named."""
    path = stopped / "journal.db"
    content = bytearray(path.read_bytes())
    content[content.rindex(b"retail")] ^= 1
    path.write_bytes(content)
    done = run("check-journal", "--data", stopped)
    assert done.returncode == 1
    assert "exchange: " in done.stderr
    assert "Traceback" not in done.stderr


def test_check_journal_without_a_game_ends_with_1(game: Game, tmp_path: Path) -> None:
    """No folder, an empty one, one that is in use."""
    for folder in (tmp_path / "absent", tmp_path, game.server.data_dir):
        done = run("check-journal", "--data", folder)
        assert done.returncode == 1
        assert str(folder) in done.stderr
        assert "Traceback" not in done.stderr


# --- settings -------------------------------------------------------------------------------------------


def test_config_show_prints_what_is_in_force(tmp_path: Path) -> None:
    """The file, then the environment; as lines, and the same as JSON."""
    (tmp_path / "game.toml").write_text('[server]\nport = 9001\n[game]\ninvite_code = "[red]"\n')
    given = {"EXCHANGE_SERVER__PORT": "9002"}
    shown = run("config", "show", "--config", "game.toml", cwd=tmp_path, given=given)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert {"[server]", "port = 9002", 'invite_code = "[red]"', "# roles is not set"} <= set(lines)
    values = json.loads(run("config", "show", "--json", "--preset", "flow", given=given).stdout)
    assert values["server"]["port"] == 9002
    assert values["game"]["preset"] == "flow"
    assert set(values) == set(Config.__struct_fields__)


def test_config_show_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """A typing error is no setting; the file and the setting are named."""
    (tmp_path / "game.toml").write_text("[server]\nprot = 9001\n")
    done = run("config", "show", "--config", "game.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "game.toml" in done.stderr
    assert "prot" in done.stderr
