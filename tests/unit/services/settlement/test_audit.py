"""The audit trail: what is an act, under which key, and what is kept of it."""

from __future__ import annotations

import msgspec
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
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.presets import preset_rules
from exchange.model.types import CancelReason, Phase, Side
from exchange.services.settlement.audit import AUDITED, AuditSnapshot, AuditTrail
from tests.support.settling import new_order

FIRST, SECOND = Configuration("1", "aaaaaaaa", "{}"), Configuration("1", "bbbbbbbb", "{}")
ACTS: tuple[AnyCommand, ...] = (
    SetPhase(Phase.HALTED, "r"),
    RegisterTeam("A", "player", b"k" * 32, "r", 1),
    RotateKey(1, b"l" * 32, "r"),
    DisableTeam(1, True, "r", "r"),
    CancelOrders(1, (CancelScope(),), CancelReason.OPERATOR, "r"),
    Void(3, "r"),
    AcceptLoss(3, "r", "f"),
)


def _noted(*commands: AnyCommand, kept: int = 100) -> AuditTrail:
    trail = AuditTrail(kept)
    for number, command in enumerate(commands, 1):
        trail.note(Record(number, 10 * number, command))
    return trail


def test_audit_keeps_every_act_under_the_key_in_force() -> None:
    """The key of the start before it; an old journal, that notes none, has no key."""
    opening = OpenGame(preset_rules("flow"), FIRST)
    trail = _noted(opening, *ACTS, NoteConfiguration(SECOND), *ACTS)
    entries = trail.entries(100)
    assert [entry.sequence for entry in entries] == list(range(1, 2 * len(ACTS) + 3))
    assert [entry.operator for entry in entries] == ["aaaaaaaa"] * 8 + ["bbbbbbbb"] * 8
    assert trail.configuration == SECOND
    old = _noted(OpenGame(preset_rules("flow")), *ACTS)
    assert {entry.operator for entry in old.entries(100)} == {""}
    assert {type(each) for each in (opening, NoteConfiguration(FIRST), *ACTS)} == AUDITED


@pytest.mark.parametrize("reason", set(CancelReason) - {CancelReason.OPERATOR})
def test_audit_leaves_trading_out(reason: CancelReason) -> None:
    """Orders, and cancels that no operator made."""
    trail = _noted(new_order(1, Side.BUY, 1), CancelOrders(1, (CancelScope(),), reason))
    assert trail.entries(100) == []


def test_audit_keeps_a_phase_that_comes_in_slices_once() -> None:
    """Settle sees the command once for each slice."""
    trail, record = AuditTrail(), Record(1, 0, SetPhase(Phase.CLOSED, "r"))
    assert trail.note(record) is not None
    assert trail.note(record) is None
    assert len(trail.entries(100)) == 1


def test_audit_forgets_the_oldest_and_pages() -> None:
    """Bounded; ``after`` is a sequence, known or not."""
    trail = _noted(*ACTS, kept=3)
    assert [entry.sequence for entry in trail.entries(100)] == [5, 6, 7]
    assert [entry.sequence for entry in trail.entries(1, 5)] == [6]
    assert [entry.sequence for entry in trail.entries(100, 2)] == [5, 6, 7]
    assert trail.entries(100, 7) == []


def test_audit_snapshot_goes_on_in_the_same_way() -> None:
    """Entries, bound and configuration."""
    trail = _noted(OpenGame(preset_rules("flow"), FIRST), *ACTS, kept=4)
    loaded = AuditTrail(4)
    payload = msgspec.json.encode(trail.snapshot())
    loaded.load(msgspec.json.decode(payload, type=AuditSnapshot))
    for each in (trail, loaded):
        each.note(Record(50, 0, ACTS[0]))
    assert loaded.entries(100) == trail.entries(100)
    assert len(loaded.entries(100)) == 4
    assert loaded.state() == trail.state()
