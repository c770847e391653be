"""Messages of the WebSocket, flat: ``{"type", "seq", "timestamp", ...}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from exchange.model.types import (
    CancelReason,
    Liquidity,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.wire.envelope import ApiError

SocketId: TypeAlias = (
    Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")] | Annotated[int, Meta(ge=-(2**53), le=2**53)]
)
"""A client's name for a request on a socket: what ``X-Request-ID`` may be, or an integer."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of everything the server sends unasked. ``seq`` counts per stream, from 1, without gaps."""

    seq: int
    timestamp: str


class NewOrderAck(Event, frozen=True, kw_only=True, tag="new_order_ack"):
    """Match took the order, also an immediate-or-cancel or market one, and a stop, which waits.

    ``price`` is that of the order in the book, which a post-only order may have had to leave for another.
    """

    order_id: str
    request_id: str
    instrument_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    price: float | None = None
    client_order_id: str | None = None
    stop_price: float | None = None
    post_only: PostOnly | None = None
    display_quantity: int | None = None
    reduce_only: bool = False
    expires_at: str | None = None
    label: str | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    quote_group: str | None = None


class OrderTriggered(Event, frozen=True, kw_only=True, tag="order_triggered"):
    """The last trade price reached the stop price: the order is in the market. Its fills, if any, follow."""

    order_id: str
    request_id: str
    instrument_id: str
    side: Side
    quantity: int
    price: float | None = None
    client_order_id: str | None = None


class ExecutionReport(Event, frozen=True, kw_only=True, tag="execution_report"):
    """One fill of one of the team's orders; both sides of a trade get their own."""

    order_id: str
    request_id: str
    instrument_id: str
    side: Side
    exec_id: str
    trade_id: str
    price: float
    quantity: int
    liquidity_type: Liquidity
    fees: float
    filled_quantity: int
    remaining_quantity: int
    client_order_id: str | None = None
    auction_id: str | None = None


class OrderAmended(Event, frozen=True, kw_only=True, tag="order_amended"):
    """After the trades of the amend; ``quantity`` is the new total. ``reason`` where nobody asked for it."""

    order_id: str
    request_id: str
    instrument_id: str
    side: Side
    quantity: int
    filled_quantity: int
    remaining_quantity: int
    price: float | None = None
    client_order_id: str | None = None
    stop_price: float | None = None
    reason: Literal["self_trade"] | None = None


class OrderCancelled(Event, frozen=True, kw_only=True, tag="order_cancelled"):
    """The one end of an order that was not filled."""

    order_id: str
    request_id: str
    instrument_id: str
    side: Side
    cancelled_quantity: int
    filled_quantity: int
    reason: CancelReason
    price: float | None = None
    client_order_id: str | None = None


class PositionUpdate(Event, frozen=True, kw_only=True, tag="position_update"):
    """After each fill; ``cash`` and ``fees`` are those of the whole team."""

    instrument_id: str
    position: int
    realised_pnl: float
    cash: float
    fees: float
    average_price: float | None = None


class PositionSnapshot(Event, frozen=True, kw_only=True, tag="position_snapshot"):
    """First message of a private stream that does not resume; ``seq`` is that of the last event before."""

    positions: dict[str, int]
    cash: float
    fees: float
    open_orders: list[Any]


class BookSnapshot(Event, frozen=True, kw_only=True, tag="book_snapshot"):
    """Whole depth, best first; replaces what was known. ``epoch`` changes when the server restarts.

    ``checksum`` is that of :mod:`exchange.wire.checksum`, over prices of ``price_decimals``.
    """

    channel: str
    epoch: str
    bids: list[tuple[float, int]]
    asks: list[tuple[float, int]]
    checksum: int | None = None
    price_decimals: int | None = None


class BookUpdate(Event, frozen=True, kw_only=True, tag="book_update"):
    """Levels that changed, absolute quantities, 0 deletes. Applies to the state of ``prev_seq``.

    ``checksum`` is that of the book after it.
    """

    channel: str
    prev_seq: int
    bids: list[tuple[float, int]]
    asks: list[tuple[float, int]]
    checksum: int | None = None


PlaceInQueue: TypeAlias = tuple[int, float, int]
"""Reference, price and lots. Within a price the smaller reference trades first."""


class OrdersSnapshot(Event, frozen=True, kw_only=True, tag="orders_snapshot"):
    """Every order at rest, in priority; replaces what was known. Large ones come in ``parts``.

    All parts have the ``seq`` up to which they tell everything together; nothing comes between them.
    """

    channel: str
    epoch: str
    bids: list[PlaceInQueue]
    asks: list[PlaceInQueue]
    part: int = 1
    parts: int = 1


class OrdersUpdate(Event, frozen=True, kw_only=True, tag="orders_update"):
    """Places that changed: 0 lots for one that is free, an unknown reference stands last at its price."""

    channel: str
    prev_seq: int
    bids: list[PlaceInQueue]
    asks: list[PlaceInQueue]


class Ticker(Event, frozen=True, kw_only=True, tag="ticker"):
    """Where the market stands. ``open``, ``high``, ``low``, ``volume`` and ``trades`` are the session's.

    ``mark_price`` is what positions are valued at: the middle of the book, else the last price.
    """

    channel: str
    volume: int
    trades: int
    mark_price: float
    best_bid: float | None = None
    best_bid_quantity: int | None = None
    best_ask: float | None = None
    best_ask_quantity: int | None = None
    last_price: float | None = None
    last_quantity: int | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    prev_seq: int | None = None


class InstrumentStatus(Event, frozen=True, kw_only=True, tag="instrument_status"):
    """The phase of one instrument; in a call what an uncross would come to now.

    ``indicative_price`` is absent while nothing would trade. ``imbalance``: lots left over, positive to buy.
    """

    channel: str
    phase: Phase
    reason: str
    indicative_price: float | None = None
    indicative_volume: int | None = None
    imbalance: int | None = None
    prev_seq: int | None = None


class CandleUpdate(Event, frozen=True, kw_only=True, tag="candle"):
    """The candle that begins at ``start`` as it is now; final once one with a later start was told."""

    channel: str
    start: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    trades: int
    prev_seq: int | None = None


class TradeEvent(Event, frozen=True, kw_only=True, tag="trade"):
    """A public trade; ``side`` is the taker's, in an auction that of the later order."""

    channel: str
    trade_id: str
    price: float
    quantity: int
    side: Side
    auction_id: str | None = None


class PhaseChange(Event, frozen=True, kw_only=True, tag="phase_change"):
    """The market day moved on; sent to everyone. With ``instrument_id``, for that one alone."""

    channel: str
    phase: Phase
    reason: str
    instrument_id: str | None = None


AnyEvent: TypeAlias = (
    NewOrderAck
    | OrderTriggered
    | ExecutionReport
    | OrderAmended
    | OrderCancelled
    | PositionUpdate
    | PositionSnapshot
    | BookSnapshot
    | BookUpdate
    | OrdersSnapshot
    | OrdersUpdate
    | Ticker
    | InstrumentStatus
    | CandleUpdate
    | TradeEvent
    | PhaseChange
)


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="hello", omit_defaults=True):
    """First message on every socket. ``authenticated`` is false until the key came with ``login``."""

    api_version: str
    epoch: str
    timestamp: str
    authenticated: bool
    team_id: str | None = None
    private_seq: int | None = None


class ServerShutdown(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="server_shutdown", omit_defaults=True
):
    """To every socket: in ``grace_ms`` the server takes nothing new, then it closes the socket with 1012."""

    timestamp: str
    grace_ms: int


class SocketRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``id`` is the client's and comes back in the answer; ``params`` depends on ``method``."""

    id: SocketId
    method: Annotated[str, Meta(max_length=64)]
    params: msgspec.Raw = msgspec.Raw()


class SocketAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of ``result`` and ``error``; ``id`` is None where that of the request could not be read.

    ``order_id`` names an order that was accepted although its request failed.
    """

    id: str | int | None
    result: Any = None
    error: ApiError | None = None
    status: int = 200
    order_id: str | None = None
