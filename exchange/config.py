"""Settings: built-in preset, then a TOML file, then the environment; strict, each with a default.

``EXCHANGE_SERVER__PORT=9000`` sets ``port`` of ``[server]``; values are read as TOML, else as text.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from exchange.base import bounds
from exchange.model.instrument import Instrument
from exchange.model.presets import PRESETS, preset_rules
from exchange.model.roles import Role
from exchange.model.rules import Bands, BatchAuctions, Closing, GameRules
from exchange.model.schedule import Schedule
from exchange.model.types import SelfTradePrevention

ENVIRONMENT_PREFIX = "EXCHANGE_"

REPLACEABLE = (
    "instruments",
    "roles",
    "bands",
    "self_trade_prevention",
    "schedule",
    "closing",
    "batch_auctions",
    "max_teams",
    "seed",
)
"""Rules of a preset that ``[game]`` can replace."""

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class ConfigError(Exception):
    """The settings cannot be used; the message names file or variable, and what is wrong with it."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown settings are refused."""


class ServerConfig(Section, frozen=True, kw_only=True):
    """Where the server listens and what it bears. Deadlines in seconds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    data: str = "./data/exchange"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    drain_timeout_s: Seconds = 10.0
    shutdown_notice_s: Seconds = 1.0
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 10.0
    keep_alive_s: Seconds = 60.0
    ws_ping_interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 20.0
    ws_ping_timeout_s: Annotated[float, Meta(gt=0, le=86_400)] = 20.0
    max_connections_per_address: Count = 1_000
    max_body_bytes: Count = 65_536


class CoordinationConfig(Section, frozen=True, kw_only=True):
    """Order response coordination: how long an answer is waited for, and how many are."""

    default_timeout_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 5.0
    max_pending_requests: Count = bounds.MAX_PENDING_REQUESTS
    max_pending_per_team: Count = bounds.MAX_PENDING_PER_TEAM
    cleanup_interval_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    enable_metrics: bool = True
    enable_detailed_logging: bool = False


Rate = Annotated[float, Meta(gt=0, le=1_000_000)]


class LimitsConfig(Section, frozen=True, kw_only=True):
    """Token buckets at the edge, apart from the rules of the game; the defaults stop only what runs away."""

    enabled: bool = True
    team_orders_per_second: Rate = 10_000.0
    team_orders_burst: Count = 20_000
    team_reads_per_second: Rate = 10_000.0
    team_reads_burst: Count = 20_000
    address_per_second: Rate = 20_000.0
    address_burst: Count = 40_000
    socket_messages_per_second: Rate = 10_000.0
    socket_messages_burst: Count = 20_000
    refusals: Count = 1_000
    refusals_window_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0


class JournalConfig(Section, frozen=True, kw_only=True):
    """``full`` survives a power cut, ``normal`` a killed process, ``off`` is for measurements only."""

    synchronous: Literal["full", "normal", "off"] = "full"
    restart_grace_s: Seconds = 10.0


class MarketConfig(Section, frozen=True, kw_only=True):
    """How the market day is kept. What comes of it is journaled, so these may change from start to start."""

    check_interval_s: Annotated[float, Meta(gt=0, le=3_600)] = 0.1
    reopening_s: Seconds = 60.0


class GameConfig(Section, frozen=True, kw_only=True):
    """The game. What is given here replaces that part of the preset's rules."""

    preset: str = "always_open"
    invite_code: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    seed: int = 1
    instruments: tuple[Instrument, ...] | None = None
    roles: tuple[Role, ...] | None = None
    bands: Bands | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    schedule: Schedule | None = None
    closing: Closing | None = None
    batch_auctions: BatchAuctions | None = None
    max_teams: Count | None = None


class Config(Section, frozen=True, kw_only=True):
    """Everything an organiser can set."""

    server: ServerConfig = ServerConfig()
    responses: CoordinationConfig = CoordinationConfig()
    limits: LimitsConfig = LimitsConfig()
    journal: JournalConfig = JournalConfig()
    market: MarketConfig = MarketConfig()
    game: GameConfig = GameConfig()

    def rules(self) -> GameRules:
        """The preset's rules with what ``[game]`` replaces; raises ConfigError for an unknown preset."""
        if self.game.preset not in PRESETS:
            raise ConfigError(f"unknown preset {self.game.preset!r}; there are {', '.join(sorted(PRESETS))}")
        replaced = {name: value for name in REPLACEABLE if (value := getattr(self.game, name)) is not None}
        return msgspec.structs.replace(preset_rules(self.game.preset), **replaced)


def load_config(
    path: Path | None, environment: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Settings from ``path`` (TOML, may be None), ``environment`` and ``overrides`` (dotted names), in this
    order; raises ConfigError.
    """
    values = _read_file(path) if path is not None else {}
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            _put(values, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), _value(text), name)
    for name, value in (overrides or {}).items():
        if value is not None:
            _put(values, name.split("."), value, name)
    try:
        config = msgspec.convert(values, Config)
        config.rules()
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{path or 'settings'}: {error}") from None
    return config


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(values: dict[str, Any], path: list[str], value: Any, source: str) -> None:
    section = values
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError(f"{source}: {part} is not a section")
    section[path[-1]] = value
