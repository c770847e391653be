"""Acts in words: who, what, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.model.commands import (
    AcceptLoss,
    AnyCommand,
    CancelOrders,
    CancelScope,
    Configuration,
    DisableTeam,
    NoteConfiguration,
    OpenGame,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.presets import preset_rules
from exchange.model.types import CancelReason, Phase
from exchange.services.game.keys import hash_key, key_id
from exchange.wire.audit import audit_act

KEY = hash_key("itg_key")
CONFIGURATION = Configuration("0.1", "cc25cb6e", '{"limits":{"enabled":true}}')
NOTED = {"version": "0.1", "admin_key_id": "cc25cb6e", "settings": {"limits": {"enabled": True}}}


@pytest.mark.parametrize(
    ("command", "actor", "act", "details"),
    [
        (
            RegisterTeam("A", "retail", KEY, "r", 3),
            *("TEAM_3", "register_team"),
            {"team_id": "TEAM_3", "name": "A", "role": "retail", "key_id": key_id(KEY)},
        ),
        (
            RegisterTeam("A", "retail", KEY, "r", 3, by_operator=True),
            *("operator", "register_team"),
            {"team_id": "TEAM_3", "name": "A", "role": "retail", "key_id": key_id(KEY)},
        ),
        (RotateKey(3, KEY, "r"), "operator", "rotate_key", {"team_id": "TEAM_3", "key_id": key_id(KEY)}),
        (DisableTeam(3, True, "w", "r"), "operator", "disable_team", {"team_id": "TEAM_3", "reason": "w"}),
        (DisableTeam(3, False, "w", "r"), "operator", "enable_team", {"team_id": "TEAM_3", "reason": "w"}),
        (
            CancelOrders(3, (CancelScope(),), CancelReason.OPERATOR, "r"),
            *("operator", "cancel_orders", {"team_id": "TEAM_3"}),
        ),
        (
            SetPhase(Phase.HALTED, "schedule", "SPY", by_operator=True),
            *("operator", "set_phase"),
            {"phase": "halted", "reason": "schedule", "instrument_id": "SPY"},
        ),
        (
            SetPhase(Phase.CLOSED, "schedule", None, 1_000_000),
            *("schedule", "set_phase"),
            {"phase": "closed", "reason": "schedule", "due": "1970-01-01T00:00:01.000000Z"},
        ),
        (
            SetPhase(Phase.HALTED, "restart_grace"),
            *("restart", "set_phase", {"phase": "halted", "reason": "restart_grace"}),
        ),
        (
            SetPhase(Phase.HALTED, "breaker"),
            *("exchange", "set_phase", {"phase": "halted", "reason": "breaker"}),
        ),
        (OpenGame(preset_rules("flow"), CONFIGURATION), "console", "open_game", {"preset": "flow", **NOTED}),
        (OpenGame(preset_rules("flow")), "console", "open_game", {"preset": "flow"}),
        (NoteConfiguration(CONFIGURATION), "console", "configuration", NOTED),
        (Void(9, "w"), "console", "void", {"voided": 9, "reason": "w"}),
        (AcceptLoss(9, "w", "f"), "console", "accept_loss", {"after": 9, "reason": "w", "facts": "f"}),
    ],
)
def test_act_tells_who_and_what(command: AnyCommand, actor: str, act: str, details: dict[str, Any]) -> None:
    """The admin key's id stands with acts of an operator alone; what is absent is left out."""
    told = audit_act(12, 1_500_000, command, "cc25cb6e")
    assert (told.act_id, told.sequence, told.timestamp) == ("ACT_12", 12, "1970-01-01T00:00:01.500000Z")
    assert (told.actor, told.act, told.details) == (actor, act, details)
    assert told.admin_key_id == ("cc25cb6e" if actor == "operator" else None)
