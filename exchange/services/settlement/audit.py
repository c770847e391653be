"""The audit trail: who registered, what operators did, which configuration was in force, and when.

The journal holds all of it for ever, sealed by its hash chain; here are the last entries, for whoever asks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from exchange.base.bounds import AUDIT_ENTRIES
from exchange.model.commands import (
    AcceptLoss,
    AnyCommand,
    CancelOrders,
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
from exchange.model.types import CancelReason

AuditedCommand: TypeAlias = (
    OpenGame
    | SetPhase
    | RegisterTeam
    | RotateKey
    | DisableTeam
    | CancelOrders
    | Void
    | AcceptLoss
    | NoteConfiguration
)

AUDITED: Final[frozenset[type[AnyCommand]]] = frozenset(
    {
        OpenGame,
        SetPhase,
        RegisterTeam,
        RotateKey,
        DisableTeam,
        CancelOrders,
        Void,
        AcceptLoss,
        NoteConfiguration,
    }
)
"""What may be an act. Of CancelOrders only those of an operator are: the others are trading."""


class AuditEntry(msgspec.Struct, frozen=True, array_like=True):
    """An act. ``operator`` identifies the admin key that was in force, empty where none was noted."""

    sequence: int
    timestamp_us: int
    command: AuditedCommand
    operator: str


class AuditSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The last entries, oldest first, and the configuration in force."""

    entries: list[AuditEntry]
    configuration: Configuration | None


class AuditTrail:
    """Bounded: the oldest entry of a full trail goes first. ``configuration`` is the one last noted."""

    def __init__(self, kept: int = AUDIT_ENTRIES) -> None:
        self._kept = kept
        self._entries: deque[AuditEntry] = deque(maxlen=kept)
        self.configuration: Configuration | None = None

    def note(self, record: Record) -> AuditEntry | None:
        """Keep ``record`` if it is an act, and give its entry. It may come more than once in a row, as slices
        of a phase do.
        """
        command = record.command
        if not isinstance(command, AuditedCommand):
            return None
        if isinstance(command, CancelOrders) and command.reason is not CancelReason.OPERATOR:
            return None
        if self._entries and self._entries[-1].sequence == record.sequence:
            return None
        if isinstance(command, (OpenGame, NoteConfiguration)) and command.configuration is not None:
            self.configuration = command.configuration
        operator = "" if self.configuration is None else self.configuration.admin_key_id
        entry = AuditEntry(record.sequence, record.timestamp_us, command, operator)
        self._entries.append(entry)
        return entry

    def entries(self, limit: int, after: int | None = None) -> list[AuditEntry]:
        """Entries kept, those above sequence ``after``, oldest first."""
        kept = self._entries
        start = 0 if after is None else bisect_right(kept, after, key=lambda entry: entry.sequence)
        return list(islice(kept, start, start + limit))

    def state(self) -> object:
        """Canonical content for the state hash: encode it before the next command, it is not a copy."""
        return self.snapshot()

    def snapshot(self) -> AuditSnapshot:
        """Everything."""
        return AuditSnapshot(list(self._entries), self.configuration)

    def load(self, snapshot: AuditSnapshot) -> None:
        """Take over a snapshot."""
        self._entries = deque(snapshot.entries, self._kept)
        self.configuration = snapshot.configuration
