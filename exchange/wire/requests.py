"""Bodies and parameters that clients send. Every field is bounded, unknown ones are refused."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from exchange.base.bounds import (
    MAX_BATCH_ORDERS,
    MAX_BATCH_QUOTES,
    MAX_CANCEL_AFTER_MS,
    MAX_PRICE,
    MAX_PROTECTION_FILLS,
    MAX_PROTECTION_US,
    MAX_QUANTITY,
)
from exchange.model.types import OrderType, Phase, PostOnly, SelfTradePrevention, Side, TimeInForce
from exchange.wire.ids import DEFAULT_GROUP, ClientOrderId, Label, QuoteGroup
from exchange.wire.times import Moment

InstrumentId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Price = Annotated[float, Meta(gt=0, le=MAX_PRICE)]
TeamName = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,64}\Z")]
RoleName = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every body."""


class OrderRequest(Request, frozen=True, kw_only=True):
    """A price means a limit order, none a market order, a ``stop_price`` a stop-limit or a stop, unless
    ``order_type`` says the same; a contradiction is refused. ``time_in_force`` is ``ioc`` for a market order
    that names none; for the others ``gtc``, or ``day`` in a game whose close cancels every order.

    ``post_only``: what becomes of an order that must not take when it would. ``display_quantity`` makes it an
    iceberg. ``expires_at`` goes with ``gtd``. ``label`` names orders that are to be cancelled together.
    """

    instrument_id: InstrumentId
    side: Side
    quantity: Quantity
    price: Price | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    client_order_id: ClientOrderId | None = None
    stop_price: Price | None = None
    post_only: PostOnly | None = None
    display_quantity: Quantity | None = None
    reduce_only: bool = False
    expires_at: Moment | None = None
    label: Label | None = None
    self_trade_prevention: SelfTradePrevention | None = None


class BatchRequest(Request, frozen=True, kw_only=True):
    """``POST /exchange/orders/batch``: orders, entered one behind the other."""

    orders: Annotated[list[OrderRequest], Meta(min_length=1, max_length=MAX_BATCH_ORDERS)]


class QuoteRequest(Request, frozen=True, kw_only=True):
    """A bid, an ask or both in one instrument, each a price with a quantity; a side that is left out is to
    be empty.
    """

    instrument_id: InstrumentId
    bid_price: Price | None = None
    bid_quantity: Quantity | None = None
    ask_price: Price | None = None
    ask_quantity: Quantity | None = None

    def __post_init__(self) -> None:
        if (self.bid_price is None) is not (self.bid_quantity is None):
            raise ValueError("bid_price and bid_quantity go together")
        if (self.ask_price is None) is not (self.ask_quantity is None):
            raise ValueError("ask_price and ask_quantity go together")


class QuotesRequest(Request, frozen=True, kw_only=True):
    """``POST /exchange/quotes`` and ``quotes.new``: quotes of one group, entered one behind the other."""

    quote_group: QuoteGroup = DEFAULT_GROUP
    quotes: Annotated[list[QuoteRequest], Meta(min_length=1, max_length=MAX_BATCH_QUOTES)]


class ProtectionRequest(Request, frozen=True, kw_only=True):
    """What fires the protection of a group of quotes: ``fills``, or that many ``lots``, at least one of the
    two, within ``window_ms``. The group is then frozen for ``frozen_ms``, 0 until this is set again.
    """

    fills: Annotated[int, Meta(ge=1, le=MAX_PROTECTION_FILLS)] | None = None
    lots: Quantity | None = None
    window_ms: Annotated[int, Meta(ge=1, le=MAX_PROTECTION_US // 1_000)]
    frozen_ms: Annotated[int, Meta(ge=0, le=MAX_PROTECTION_US // 1_000)] = 0

    def __post_init__(self) -> None:
        if self.fills is None and self.lots is None:
            raise ValueError("needs fills, lots or both")


class AmendRequest(Request, frozen=True, kw_only=True):
    """``quantity`` is the new total, ``price`` the new limit, ``stop_price`` the new one of a stop that was
    not triggered yet; at least one of them.
    """

    quantity: Quantity | None = None
    price: Price | None = None
    stop_price: Price | None = None


class CancelAfterRequest(Request, frozen=True, kw_only=True):
    """``POST /exchange/orders/cancel_all_after`` and ``session.cancel_all_after``; 0 turns it off."""

    timeout_ms: Annotated[int, Meta(ge=0, le=MAX_CANCEL_AFTER_MS)]


class DisconnectRequest(Request, frozen=True, kw_only=True):
    """``session.cancel_on_disconnect``."""

    enabled: bool


class TeamRequest(Request, frozen=True, kw_only=True):
    """Any role of the game will do."""

    name: TeamName
    role: RoleName


class RegisterTeamRequest(TeamRequest, frozen=True, kw_only=True):
    """The role must be one that is open."""

    invite_code: Annotated[str, Meta(max_length=200)] | None = None


class PhaseRequest(Request, frozen=True, kw_only=True):
    """``POST /admin/phase``; with ``instrument_id`` only halted, reopening and continuous."""

    phase: Phase
    reason: Reason = "operator"
    instrument_id: InstrumentId | None = None


class DisableTeamRequest(Request, frozen=True, kw_only=True):
    """``reason`` is kept in the journal."""

    reason: Reason = "operator"
