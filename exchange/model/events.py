"""What happened. First what the venue reports, then what a team is told about it.

Venue events are in the order in which they happened within one command. Private events carry the place in
their team's stream (``seq``, from 1), the same on every replay.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.model.commands import OrderTerms
from exchange.model.types import CancelReason, Liquidity, OrderType, Phase, Side, TimeInForce


class VenueEvent(msgspec.Struct, frozen=True, gc=False):
    """Base of what match reports."""


class Acknowledged(VenueEvent, frozen=True, gc=False):
    """Match took the order, also an immediate-or-cancel or market one; comes before its trades.

    ``price_ticks`` of a market order is the edge of the band it was given; of one that waits for an auction
    it is beyond all prices (:data:`exchange.engine.book.MARKET_BID`), a level that is never shown.
    """

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    quantity: int


class Traded(VenueEvent, frozen=True, gc=False):
    """One match, at the resting order's price. Accounts are opaque to the venue.

    In an auction the price is that of all its trades, and the earlier order stands as the maker.
    """

    trade_id: int
    instrument_id: str
    price_ticks: int
    quantity: int
    maker_order_id: int
    taker_order_id: int
    maker_account: int
    taker_account: int
    taker_side: Side
    auction_id: int | None = None


LevelChange: TypeAlias = tuple[Side, int, int]
"""Side, price in ticks, and the lots that rest there now; 0 when the level is gone."""


class Uncrossed(VenueEvent, frozen=True, gc=False):
    """An auction in one instrument is over: after its trades, which change no level before this.

    ``auction_id`` is the sequence of the command that ended the call. ``surplus`` lots were left over at the
    price, positive to buy. ``levels`` are those of the book that differ from before.
    """

    instrument_id: str
    auction_id: int
    price_ticks: int
    quantity: int
    surplus: int
    levels: tuple[LevelChange, ...]


class Parked(VenueEvent, frozen=True, gc=False):
    """Match took a stop: it waits beside the book, in no level, until its price trades."""

    order_id: int
    instrument_id: str
    side: Side
    stop_price_ticks: int
    quantity: int


class Triggered(VenueEvent, frozen=True, gc=False):
    """A stop enters the market with ``quantity`` lots; to the book what Acknowledged is for other orders."""

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    quantity: int


class StopsWaiting(VenueEvent, frozen=True, gc=False):
    """More stops were triggered than one command carries out; :class:`TriggerStops` does the others."""

    instrument_id: str


class DisplayChanged(VenueEvent, frozen=True, gc=False):
    """The signed change of the lots that an iceberg shows which no other event explains.

    Other events count all lots of an order. Before it is cancelled or amended its hidden lots count as shown,
    after it came to rest they do not.
    """

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    quantity: int


class Decremented(VenueEvent, frozen=True, gc=False):
    """Self-trade prevention took ``by`` lots off an order that goes on; ``quantity`` is the new total."""

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    by: int
    quantity: int
    remaining: int


class Cancelled(VenueEvent, frozen=True, gc=False):
    """The order left the book, or its remainder never entered it. ``remaining`` lots were given up.

    ``parked``: it was a stop beside the book, and ``price_ticks`` is its stop price.
    """

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    remaining: int
    reason: CancelReason
    parked: bool = False


class Amended(VenueEvent, frozen=True, gc=False):
    """After the trades of the amend. ``quantity`` is the new total; ``old_*`` is what stood in the book.

    ``parked``: a stop beside the book; the prices are stop prices.
    """

    order_id: int
    instrument_id: str
    side: Side
    price_ticks: int
    quantity: int
    remaining: int
    old_price_ticks: int
    old_remaining: int
    parked: bool = False


class CancelRefused(VenueEvent, frozen=True, gc=False):
    """Not resting: filled, cancelled or never there."""

    order_id: int


class AmendRefused(VenueEvent, frozen=True, gc=False):
    """Not resting: filled, cancelled or never there. ``would_trade``: post-only, and it would cross."""

    order_id: int
    would_trade: bool = False


class PhaseChanged(VenueEvent, frozen=True, gc=False):
    """The market day moved on; with an instrument, that one alone and to the phase it is in now."""

    phase: Phase
    reason: str
    instrument_id: str | None = None


AnyVenueEvent: TypeAlias = (
    Acknowledged
    | Traded
    | Uncrossed
    | Cancelled
    | Amended
    | CancelRefused
    | AmendRefused
    | PhaseChanged
    | Parked
    | Triggered
    | StopsWaiting
    | DisplayChanged
    | Decremented
)


class PrivateEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of what one team is told. Fields as in :mod:`exchange.wire.events`, in integers."""

    account: int
    seq: int
    timestamp_us: int


class OrderEvent(PrivateEvent, frozen=True, gc=False):
    """Base of what happened to one order; ``request_id`` is that of the request that caused or entered it."""

    order_id: int
    client_order_id: str | None
    request_id: str
    instrument_id: str
    side: Side


class NewOrderAck(OrderEvent, frozen=True, tag=0, gc=False):
    """``price_ticks`` is None for an order without limit, and the new one where post-only moved it."""

    order_type: OrderType
    time_in_force: TimeInForce
    price_ticks: int | None
    quantity: int
    terms: OrderTerms | None = None


class OrderTriggered(OrderEvent, frozen=True, tag=5, gc=False):
    """A stop entered the market. ``price_ticks`` is None without a limit."""

    price_ticks: int | None
    quantity: int


class ExecutionReport(OrderEvent, frozen=True, tag=1, gc=False):
    """One fill: one order's half of a trade. ``fees`` in money, signed."""

    exec_id: int
    trade_id: int
    price_ticks: int
    quantity: int
    liquidity: Liquidity
    fees: int
    filled_quantity: int
    remaining_quantity: int
    auction_id: int | None = None


class OrderAmended(OrderEvent, frozen=True, tag=2, gc=False):
    """``quantity`` is the new total; ``price_ticks`` is None for a stop without limit.

    ``is_self_trade``: not asked for; self-trade prevention took lots off it.
    """

    price_ticks: int | None
    quantity: int
    filled_quantity: int
    remaining_quantity: int
    stop_price_ticks: int | None = None
    is_self_trade: bool = False


class OrderCancelled(OrderEvent, frozen=True, tag=3, gc=False):
    """``cancelled_quantity`` lots were given up; ``price_ticks`` is None for a market order."""

    price_ticks: int | None
    cancelled_quantity: int
    filled_quantity: int
    reason: CancelReason


class PositionUpdate(PrivateEvent, frozen=True, tag=4, gc=False):
    """After each fill. ``cost`` is the total cost of what is open, with the sign of the position; all but
    ``position`` is money. ``cash`` and ``fees`` are those of the whole account.
    """

    instrument_id: str
    position: int
    cost: int
    realised_pnl: int
    cash: int
    fees: int


AnyPrivateEvent: TypeAlias = (
    NewOrderAck | OrderTriggered | ExecutionReport | OrderAmended | OrderCancelled | PositionUpdate
)
