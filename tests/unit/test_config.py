"""Settings: defaults, file, environment, overrides; strict at every step."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from exchange.config import Config, ConfigError, load_config, settings_in_force
from exchange.model.types import SelfTradePrevention


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "exchange.toml"
    path.write_text(text)
    return path


def test_load_config_without_anything_is_the_defaults() -> None:
    """Every setting has a default."""
    assert load_config(None, {}) == Config()


def test_load_config_reads_a_file(tmp_path: Path) -> None:
    """A file sets what it names and nothing else."""
    config = load_config(_file(tmp_path, "[server]\nport = 9000\n"), {})
    assert config.server.port == 9000
    assert config.server.host == Config().server.host


def test_load_config_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable is section and name joined by two underscores."""
    path = _file(tmp_path, "[server]\nport = 9000\n")
    assert load_config(path, {"EXCHANGE_SERVER__PORT": "9001"}).server.port == 9001
    assert load_config(path, {"EXCHANGE_SERVER__HOST": "0.0.0.0"}).server.host == "0.0.0.0"


def test_load_config_overrides_win_over_everything(tmp_path: Path) -> None:
    """The command line is asked last; None leaves a setting alone."""
    path = _file(tmp_path, "[server]\nport = 9000\n")
    environment = {"EXCHANGE_SERVER__PORT": "9001"}
    overrides = {"server.port": 9002, "server.host": None}
    config = load_config(path, environment, overrides)
    assert (config.server.port, config.server.host) == (9002, "127.0.0.1")


def test_load_config_leaves_other_variables_alone() -> None:
    """Variables without a section are somebody else's."""
    assert load_config(None, {"EXCHANGE_URL": "http://x", "PATH": "/bin"}) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nprot = 1\n", "prot"),
        ("[sever]\nport = 1\n", "sever"),
        ("[server]\nport = 70000\n", "port"),
        ('[server]\nport = "x"\n', "port"),
        ('[game]\npreset = "nope"\n', "nope"),
        ("[server\n", "TOML"),
        ('[journal]\nsynchronous = "sometimes"\n', "synchronous"),
    ],
)
def test_load_config_names_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    """An unknown or impossible setting is refused by its name."""
    with pytest.raises(ConfigError, match=named):
        load_config(_file(tmp_path, text), {})


def test_load_config_names_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an error, never silently the defaults."""
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml", {})


def test_rules_replace_parts_of_the_preset() -> None:
    """[game] replaces what it names of the preset's rules."""
    overrides = {"game.preset": "small", "game.self_trade_prevention": "none"}
    rules = load_config(None, {}, overrides).rules()
    assert rules.preset == "small"
    assert rules.self_trade_prevention is SelfTradePrevention.NONE
    assert rules.instruments == load_config(None, {}, {"game.preset": "small"}).rules().instruments


def test_settings_in_force_tell_no_secret_and_no_place() -> None:
    """What decides how the server behaves; where it listens and writes may differ from start to start."""
    first = load_config(None, {}, {"server.port": 1, "server.data": "a", "game.invite_code": "secret"})
    second = load_config(None, {}, {"server.port": 2, "server.data": "b", "game.invite_code": "other"})
    text = settings_in_force(first)
    assert text == settings_in_force(second)
    assert "secret" not in text
    told = msgspec.json.decode(text)
    assert told["game"] == {"invite_code": True}
    assert told["limits"] == msgspec.to_builtins(first.limits)
    assert set(told) == set(Config.__struct_fields__)
    slower = load_config(None, {}, {"limits.team_orders_per_second": 5.0})
    assert settings_in_force(slower) != settings_in_force(load_config(None, {}, {}))
