"""What is sequenced and journaled. State is a function of these, in order, and of nothing else.

An order's number is the sequence of the command that entered it: no second counter exists.
``account`` is the number of a team (1, 2, ...); 0 is the house.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.model.rules import GameRules
from exchange.model.types import (
    CancelReason,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

HOUSE_ACCOUNT = 0

# Reading a member of an Enum costs more than a function call on Python 3.11.
_LIMIT, _STOP_LIMIT = OrderType.LIMIT, OrderType.STOP_LIMIT
RESTING = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD)
"""The times in force with which an order stays in the book. A tuple: the members of an Enum hash slowly."""


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


class OrderTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What few orders have. One object, so that an order without any carries and journals a single None.

    ``display_quantity``: of what rests, the lots that are shown at a time (FIX DisplayQty, an iceberg).
    ``label`` and ``quote_group`` are names for mass cancels; a ``quote_group`` marks one side of a quote.
    """

    stop_price_ticks: int | None = None
    post_only: PostOnly | None = None
    display_quantity: int | None = None
    reduce_only: bool = False
    expires_at_us: int | None = None
    label: str | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    quote_group: str | None = None


NO_TERMS = OrderTerms()


class NewOrder(Command, frozen=True, array_like=True, tag=1, gc=False):
    """``price_ticks`` is None without a limit: market and stop. ``request_id`` travels into every event.

    ``terms`` is None where all of them are at their defaults.
    """

    account: int
    instrument_id: str
    side: Side
    order_type: OrderType
    price_ticks: int | None
    quantity: int
    time_in_force: TimeInForce
    client_order_id: str | None
    request_id: str
    terms: OrderTerms | None = None

    def same_order(self, other: NewOrder) -> bool:
        """Whether a resend carries the same body; the request id may differ."""
        return (
            self.instrument_id == other.instrument_id
            and self.side is other.side
            and self.order_type is other.order_type
            and self.price_ticks == other.price_ticks
            and self.quantity == other.quantity
            and self.time_in_force is other.time_in_force
            and self.terms == other.terms
        )

    @property
    def can_rest(self) -> bool:
        """Whether what it does not trade at once, or once triggered, stays in the book until it is ended."""
        order_type = self.order_type
        return (order_type is _LIMIT or order_type is _STOP_LIMIT) and self.time_in_force in RESTING

    @property
    def all_terms(self) -> OrderTerms:
        """``terms``, also where all are at their defaults."""
        return self.terms or NO_TERMS


class CancelOrder(Command, frozen=True, array_like=True, tag=2, gc=False):
    """Cancel one order of ``account``."""

    account: int
    order_id: int
    instrument_id: str
    request_id: str


class AmendOrder(Command, frozen=True, array_like=True, tag=3, gc=False):
    """``quantity`` is the new total (FIX OrderQty), ``price_ticks`` the new limit, ``stop_price_ticks`` the
    new stop price of a stop that waits; None keeps what is.
    """

    account: int
    order_id: int
    instrument_id: str
    quantity: int | None
    price_ticks: int | None
    request_id: str
    stop_price_ticks: int | None = None


class CancelScope(msgspec.Struct, frozen=True, array_like=True):
    """None means every instrument, both sides, any label, orders and quotes alike."""

    instrument_id: str | None = None
    side: Side | None = None
    label: str | None = None
    quote_group: str | None = None

    def covers(self, order: NewOrder) -> bool:
        """Whether ``order`` is one of those."""
        terms = order.all_terms
        return (
            self.instrument_id in (None, order.instrument_id)
            and self.side in (None, order.side)
            and self.label in (None, terms.label)
            and self.quote_group in (None, terms.quote_group)
        )


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


class SetProtection(Command, frozen=True, array_like=True, tag=23):
    """Market-maker protection of one group of quotes: both bounds None takes it away.

    ``fills`` trades or ``lots`` lots within ``window_us`` end the group's quotes and freeze it for
    ``frozen_us``, 0 until it is set anew. Setting it forgets what was counted.
    """

    account: int
    quote_group: str
    fills: int | None
    lots: int | None
    window_us: int
    frozen_us: int
    request_id: str


class ExpireOrders(Command, frozen=True, array_like=True, tag=21):
    """System command: the end of every GTD order whose time is not after ``due_us``."""

    due_us: int


class Uncross(Command, frozen=True, array_like=True, tag=24):
    """System command: a batch auction in one instrument."""

    instrument_id: str


class TriggerStops(Command, frozen=True, array_like=True, tag=22):
    """System command: the stops of an instrument that were triggered and are still to take their turn."""

    instrument_id: str


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
    | ExpireOrders
    | TriggerStops
    | SetProtection
    | Uncross
    | NoteConfiguration
)


class QuoteSide(msgspec.Struct, frozen=True, gc=False):
    """A limit in ticks and the lots to be open there."""

    price_ticks: int
    quantity: int


class Quote(msgspec.Struct, frozen=True, gc=False):
    """What a market maker asks for: its bid and ask in one instrument, None for a side to be empty.

    Never journaled: admission makes it the orders, amends and cancels that bring it about.
    """

    account: int
    instrument_id: str
    quote_group: str
    bid: QuoteSide | None
    ask: QuoteSide | None
    request_id: str


IN_STEPS = (SetPhase, ExpireOrders, Uncross, CancelOrders, DisableTeam)
"""Commands that may mean very many events: the venue carries them out in slices."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command with its place in the order of all things."""

    sequence: int
    timestamp_us: int
    command: AnyCommand
