"""What operators and teams did to the game itself, as rows of ``audit``. Keys and their hashes stay out."""

from __future__ import annotations

import json
from typing import Final, TypeAlias

from exchange.model.commands import (
    AcceptLoss,
    AnyCommand,
    CancelOrders,
    DisableTeam,
    NoteConfiguration,
    OpenGame,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.types import CancelReason
from exchange.projection.rows import plain
from exchange.storage.changes import Row

_Act: TypeAlias = tuple[str, int | None, str | None, str | None, dict[str, object]]
"""Act, team, request, reason, details."""

VOIDED: Final = "voided"


def audit_row(record: Record) -> Row | None:
    """None for what is no act: orders, cancels, amends and guards of the teams."""
    act = _act(record.command)
    return None if act is None else _row(record, act)


def voided_row(record: Record) -> Row:
    """For a command that every replay skips; what it was is told, not done."""
    kind = type(record.command).__name__
    return _row(record, (VOIDED, None, None, None, {"command": kind}))


def _row(record: Record, act: _Act) -> Row:
    name, team_id, request_id, reason, details = act
    return {
        "sequence": record.sequence,
        "recorded_at": record.timestamp_us,
        "act": name,
        "team_id": team_id,
        "request_id": None if request_id is None else plain(request_id),
        "reason": None if reason is None else plain(reason),
        "details": plain(json.dumps(details, sort_keys=True, ensure_ascii=False)),
    }


def _act(command: AnyCommand) -> _Act | None:
    match command:
        case OpenGame(rules):
            return "open_game", None, None, None, {"preset": rules.preset, "seed": rules.seed}
        case SetPhase():
            phase = {"phase": command.phase.value, "instrument_id": command.instrument_id}
            return "set_phase", None, None, command.reason, dict(phase)
        case NoteConfiguration(configuration):
            noted = {"version": configuration.version, "admin_key_id": configuration.admin_key_id}
            return "note_configuration", None, None, None, dict(noted)
        case Void():
            return "void", None, None, command.reason, {"sequence": command.sequence}
        case AcceptLoss():
            lost = {"after_sequence": command.after_sequence, "facts": command.facts}
            return "accept_loss", None, None, command.reason, dict(lost)
        case _:
            return _act_on_team(command)


def _act_on_team(command: AnyCommand) -> _Act | None:
    match command:
        case RegisterTeam():
            names = {"name": command.name, "role": command.role}
            details = {**names, "by_operator": command.by_operator}
            return "register_team", command.account, command.request_id, None, details
        case RotateKey():
            return "rotate_key", command.account, command.request_id, None, {}
        case DisableTeam():
            name = "disable_team" if command.disabled else "enable_team"
            return name, command.account, command.request_id, command.reason, {}
        case CancelOrders() if command.reason is CancelReason.OPERATOR:
            return "cancel_orders", command.account, command.request_id, command.reason.value, {}
        case _:
            return None
