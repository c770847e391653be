"""What is sequenced and journaled. State is a function of these, in order, and of nothing else.

An order's number is the sequence of the command that entered it: no second counter exists.
``account`` is the number of a team (1, 2, ...); 0 is the house.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.model.rules import GameRules
from exchange.model.types import CancelReason, OrderType, Phase, Side, TimeInForce

HOUSE_ACCOUNT = 0

# Reading a member of an Enum costs more than a function call on Python 3.11.
_LIMIT, _IOC = OrderType.LIMIT, TimeInForce.IOC


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of everything that can be sequenced."""


class Configuration(msgspec.Struct, frozen=True, array_like=True):
    """What a start was given beside the rules of the game, for the audit: it decides nothing in a replay.

    ``admin_key_id`` identifies the operator's key without telling it; ``settings`` is JSON, without secrets.
    """

    version: str
    admin_key_id: str
    settings: str


class OpenGame(Command, frozen=True, array_like=True, tag=0):
    """The first record of a journal. Old ones have no ``configuration``."""

    rules: GameRules
    configuration: Configuration | None = None


class NewOrder(Command, frozen=True, array_like=True, tag=1, gc=False):
    """``price_ticks`` is None for a market order. ``request_id`` travels into every event of the order."""

    account: int
    instrument_id: str
    side: Side
    order_type: OrderType
    price_ticks: int | None
    quantity: int
    time_in_force: TimeInForce
    client_order_id: str | None
    request_id: str

    def same_order(self, other: NewOrder) -> bool:
        """Whether a resend carries the same body; the request id may differ."""
        return (
            self.instrument_id == other.instrument_id
            and self.side is other.side
            and self.order_type is other.order_type
            and self.price_ticks == other.price_ticks
            and self.quantity == other.quantity
            and self.time_in_force is other.time_in_force
        )

    @property
    def can_rest(self) -> bool:
        """Whether what it does not trade at once stays in the book."""
        return self.order_type is _LIMIT and self.time_in_force is not _IOC


class CancelOrder(Command, frozen=True, array_like=True, tag=2, gc=False):
    """Cancel one order of ``account``."""

    account: int
    order_id: int
    instrument_id: str
    request_id: str


class AmendOrder(Command, frozen=True, array_like=True, tag=3, gc=False):
    """``quantity`` is the new total (FIX OrderQty), ``price_ticks`` the new limit; None keeps what is."""

    account: int
    order_id: int
    instrument_id: str
    quantity: int | None
    price_ticks: int | None
    request_id: str


class CancelScope(msgspec.Struct, frozen=True, array_like=True):
    """None means every instrument, or both sides."""

    instrument_id: str | None = None
    side: Side | None = None


class CancelOrders(Command, frozen=True, array_like=True, tag=4):
    """Cancel the orders of ``account`` within any of ``scopes``.

    ``request_id`` is that of the request for it, None for a system command: then each event names the
    request that entered the order.
    """

    account: int
    scopes: tuple[CancelScope, ...]
    reason: CancelReason
    request_id: str | None = None


class SetPhase(Command, frozen=True, array_like=True, tag=5):
    """System command: everything after it is judged by the new phase. ``reason`` is for the audit.

    With an instrument: halted or reopening it alone, or continuous, which is whatever the market does.
    ``due_us`` is when the phase begins by the clock, where that is not when it is sequenced.
    """

    phase: Phase
    reason: str
    instrument_id: str | None = None
    due_us: int | None = None
    by_operator: bool = False


class RegisterTeam(Command, frozen=True, array_like=True, tag=6):
    """``key_hash`` is the SHA-256 of the API key; the key itself is told once and kept nowhere."""

    name: str
    role: str
    key_hash: bytes
    request_id: str
    account: int = 0
    """Given at admission: the next free number."""
    by_operator: bool = False
    """Set by the API for the admin scope: roles that are not open need it."""


class RotateKey(Command, frozen=True, array_like=True, tag=7):
    """The old key is void from this sequence on."""

    account: int
    key_hash: bytes
    request_id: str


class DisableTeam(Command, frozen=True, array_like=True, tag=8):
    """A disabled team may read, not trade; its orders are cancelled. ``disabled=False`` lets it back."""

    account: int
    disabled: bool
    reason: str
    request_id: str


class Void(Command, frozen=True, array_like=True, tag=9):
    """Operator's act: every replay skips ``sequence``. Never reaches the venue."""

    sequence: int
    reason: str


class AcceptLoss(Command, frozen=True, array_like=True, tag=10):
    """Operator's act: the journal was cut after ``after_sequence``; ``facts`` says what was given up."""

    after_sequence: int
    reason: str
    facts: str


class GuardOrders(Command, frozen=True, array_like=True, tag=20):
    """The team wants its orders cancelled in case of ``against``: DISCONNECTED or DEAD_MAN_SWITCH.

    Holds until ``enabled=False`` or a CancelOrders of that reason. A restart is such a case.
    """

    account: int
    against: CancelReason
    enabled: bool
    request_id: str


class NoteConfiguration(Command, frozen=True, array_like=True, tag=30):
    """System command: a start's configuration is not the one last noted."""

    configuration: Configuration


AnyCommand: TypeAlias = (
    OpenGame
    | NewOrder
    | CancelOrder
    | AmendOrder
    | CancelOrders
    | SetPhase
    | RegisterTeam
    | RotateKey
    | DisableTeam
    | Void
    | AcceptLoss
    | GuardOrders
    | NoteConfiguration
)


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command with its place in the order of all things."""

    sequence: int
    timestamp_us: int
    command: AnyCommand
