"""Acts as operators see them: who did what, when. Of keys only what tells one from another."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from exchange.model.commands import (
    AcceptLoss,
    AnyCommand,
    CancelOrders,
    Configuration,
    DisableTeam,
    NoteConfiguration,
    OpenGame,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.wire import data
from exchange.wire.ids import act_id_text, team_id_text
from exchange.wire.times import time_text

OPERATOR: Final = "operator"
CONSOLE: Final = "console"
"""Whoever can start the server: acts of the command line."""
_EXCHANGE: Final = "exchange"
_PHASE_ACTORS: Final = {"schedule": "schedule", "reopened": "schedule", "restart_grace": "restart"}
_KEY_ID_BYTES: Final = 4

Told: TypeAlias = tuple[str, str, dict[str, Any]]
"""Who, what, and its details."""


def audit_act(sequence: int, timestamp_us: int, command: AnyCommand, operator: str) -> data.AuditAct:
    """One act; ``operator`` is the id of the admin key in force."""
    actor, act, details = _told(command)
    return data.AuditAct(
        act_id=act_id_text(sequence),
        sequence=sequence,
        timestamp=time_text(timestamp_us),
        actor=actor,
        admin_key_id=operator or None if actor == OPERATOR else None,
        act=act,
        details={name: value for name, value in details.items() if value is not None},
    )


def _told(command: AnyCommand) -> Told:
    match command:
        case RegisterTeam():
            return _registration(command)
        case RotateKey():
            details = {"team_id": team_id_text(command.account), "key_id": _key_id(command.key_hash)}
            return OPERATOR, "rotate_key", details
        case DisableTeam():
            act = "disable_team" if command.disabled else "enable_team"
            return OPERATOR, act, {"team_id": team_id_text(command.account), "reason": command.reason}
        case CancelOrders():
            return OPERATOR, "cancel_orders", {"team_id": team_id_text(command.account)}
        case SetPhase():
            return _phase(command)
        case _:
            return _start(command)


def _registration(command: RegisterTeam) -> Told:
    team_id = team_id_text(command.account)
    details = {
        "team_id": team_id,
        "name": command.name,
        "role": command.role,
        "key_id": _key_id(command.key_hash),
    }
    return OPERATOR if command.by_operator else team_id, "register_team", details


def _phase(command: SetPhase) -> Told:
    actor = OPERATOR if command.by_operator else _PHASE_ACTORS.get(command.reason, _EXCHANGE)
    details = {
        "phase": command.phase.value,
        "reason": command.reason,
        "instrument_id": command.instrument_id,
        "due": None if command.due_us is None else time_text(command.due_us),
    }
    return actor, "set_phase", details


def _start(command: AnyCommand) -> Told:
    """What is decided when a server is started."""
    match command:
        case OpenGame():
            return CONSOLE, "open_game", {"preset": command.rules.preset, **_settings(command.configuration)}
        case NoteConfiguration():
            return CONSOLE, "configuration", _settings(command.configuration)
        case Void():
            return CONSOLE, "void", {"voided": command.sequence, "reason": command.reason}
        case AcceptLoss():
            details = {
                "after": command.after_sequence,
                "reason": command.reason,
                "facts": command.facts,
            }
            return CONSOLE, "accept_loss", details
    raise AssertionError(f"{type(command).__name__} is no act")


def _settings(configuration: Configuration | None) -> dict[str, Any]:
    if configuration is None:
        return {}
    return {
        "version": configuration.version,
        "admin_key_id": configuration.admin_key_id,
        "settings": msgspec.json.decode(configuration.settings),
    }


def _key_id(key_hash: bytes) -> str:
    return key_hash[:_KEY_ID_BYTES].hex()
