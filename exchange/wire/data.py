"""What stands in ``data`` of an answer. Prices and money are decimals here."""

from __future__ import annotations

from typing import Any

import msgspec

from exchange.model.order import OrderStatus
from exchange.model.rules import ClosingCancels
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    Interval,
    Liquidity,
    OptionKind,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.wire.envelope import ApiError
from exchange.wire.times import Timestamp


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every ``data``: absent optionals are omitted."""


class OrderResult(Data, frozen=True, kw_only=True):
    """``data`` of an order, cancel or amend that was waited for; ``duplicate`` marks a resend."""

    client_order_id: str | None = None
    duplicate: bool = False
    status: OrderStatus | None = None
    quantity: int | None = None
    price: float | None = None
    stop_price: float | None = None
    filled_quantity: int | None = None
    remaining_quantity: int | None = None
    average_price: float | None = None
    fees: float | None = None


class BatchAnswer(Data, frozen=True, kw_only=True):
    """The ApiResponse of one order of a batch; ``status`` is the one it would have had over HTTP."""

    success: bool
    request_id: str
    timestamp: str
    status: int
    order_id: str | None = None
    data: OrderResult | None = None
    error: ApiError | None = None


class BatchResult(Data, frozen=True, kw_only=True):
    """One answer for each order of the batch, in its order."""

    answers: list[BatchAnswer]


class QuoteAnswer(Data, frozen=True, kw_only=True):
    """The answer to one quote; ``status`` is the one it would have had alone, as ``POST /exchange/orders``.

    An order id is that of the side's order, new or amended; it is absent where the quote has no such side.
    """

    success: bool
    request_id: str
    timestamp: str
    status: int
    bid_order_id: str | None = None
    ask_order_id: str | None = None
    error: ApiError | None = None


class QuotesResult(Data, frozen=True, kw_only=True):
    """One answer for each quote of the request, in its order."""

    answers: list[QuoteAnswer]


class ProtectionView(Data, frozen=True, kw_only=True):
    """Market-maker protection of one group of quotes as it stands.

    ``recent_fills`` and ``recent_lots`` are what the window holds now. ``frozen_until`` is absent where a
    frozen group stays so until its protection is set again.
    """

    quote_group: str
    is_protected: bool
    fills: int | None = None
    lots: int | None = None
    window_ms: int | None = None
    frozen_ms: int | None = None
    recent_fills: int | None = None
    recent_lots: int | None = None
    is_frozen: bool = False
    frozen_until: Timestamp | None = None


class CancelAllResult(Data, frozen=True, kw_only=True):
    """Every open order with an id below ``ORD_<sequence>`` that the request named is cancelled.

    ``cancelled`` counts them; each is told as ``order_cancelled``.
    """

    sequence: int
    cancelled: int


class CancelAfter(Data, frozen=True, kw_only=True):
    """The dead-man switch of the team; off, it has no time."""

    armed: bool
    timeout_ms: int | None = None
    expires_at: Timestamp | None = None


class DisconnectGuard(Data, frozen=True, kw_only=True):
    """Whether this socket is flagged, and how many of the team are."""

    enabled: bool
    sockets: int


class OrderView(Data, frozen=True, kw_only=True):
    """One order of the team that asks. A stop is ``untriggered`` until its ``stop_price`` trades."""

    order_id: str
    instrument_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    quantity: int
    filled_quantity: int
    remaining_quantity: int
    fees: float
    timestamp: Timestamp
    price: float | None = None
    average_price: float | None = None
    client_order_id: str | None = None
    cancel_reason: CancelReason | None = None
    stop_price: float | None = None
    post_only: PostOnly | None = None
    display_quantity: int | None = None
    reduce_only: bool = False
    expires_at: Timestamp | None = None
    label: str | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    quote_group: str | None = None


class OrderList(Data, frozen=True, kw_only=True):
    """A page of orders, newest first. ``limited``: some that belong here may no longer be kept."""

    orders: list[OrderView]
    next_cursor: str | None = None
    limited: ApiError | None = None


class Execution(Data, frozen=True, kw_only=True):
    """One fill of the team that asks."""

    exec_id: str
    trade_id: str
    order_id: str
    instrument_id: str
    side: Side
    price: float
    quantity: int
    liquidity_type: Liquidity
    fees: float
    timestamp: Timestamp
    client_order_id: str | None = None
    auction_id: str | None = None


class ExecutionList(Data, frozen=True, kw_only=True):
    """A page of executions, oldest first. ``limited``: some before the first may no longer be kept."""

    executions: list[Execution]
    next_cursor: str | None = None
    limited: ApiError | None = None


class PublicTrade(Data, frozen=True, kw_only=True):
    """A trade as everyone sees it; ``side`` is the taker's, in an auction that of the later order."""

    trade_id: str
    price: float
    quantity: int
    side: Side
    timestamp: Timestamp
    auction_id: str | None = None


class TradeList(Data, frozen=True, kw_only=True):
    """A page of trades of one instrument, oldest first. ``limited`` as for executions."""

    instrument_id: str
    trades: list[PublicTrade]
    next_cursor: str | None = None
    limited: ApiError | None = None


class Orderbook(Data, frozen=True, kw_only=True):
    """Depth, best first; each level is ``[price, quantity]``. ``stale`` after the venue failed.

    In a call (``phase`` pre_open, reopening or pre_close) both sides may cross, and it is told what an
    auction would come to now: no price where nothing would trade. ``imbalance``: lots left over, positive to
    buy.
    """

    instrument_id: str
    bids: list[tuple[float, int]]
    asks: list[tuple[float, int]]
    timestamp: Timestamp
    stale: bool = False
    phase: Phase | None = None
    indicative_price: float | None = None
    indicative_volume: int | None = None
    imbalance: int | None = None


class InstrumentView(Data, frozen=True, kw_only=True):
    """One tradable instrument. ``multiplier`` turns a price into the value of one lot; with
    ``batch_interval_ms`` it trades in batch auctions that often.
    """

    instrument_id: str
    kind: InstrumentKind
    tick_size: float
    multiplier: int
    reference_price: float
    underlying_id: str | None = None
    option_kind: OptionKind | None = None
    strike: float | None = None
    expiry: str | None = None
    low_band: float | None = None
    high_band: float | None = None
    batch_interval_ms: int | None = None


class InstrumentList(Data, frozen=True, kw_only=True):
    """Every instrument of the game."""

    instruments: list[InstrumentView]
    next_cursor: str | None = None


class PositionDetail(Data, frozen=True, kw_only=True):
    """Average-cost accounting; money in the currency, received positive."""

    position: int
    average_price: float | None = None
    realised_pnl: float
    unrealised_pnl: float
    mark_price: float


class Positions(Data, frozen=True, kw_only=True):
    """``positions`` is net lots by instrument. ``equity`` = cash + fees + mark value."""

    team_id: str
    positions: dict[str, int]
    details: dict[str, PositionDetail]
    cash: float
    fees: float
    realised_pnl: float
    unrealised_pnl: float
    equity: float
    stale: bool = False


class LimitView(Data, frozen=True, kw_only=True):
    """One limit: ``used`` counts what the rule counts, and is absent where nothing adds up over time."""

    type: str
    limit: int
    used: int | None = None
    instrument_id: str | None = None


class CandleView(Data, frozen=True, kw_only=True):
    """The trades of one interval, from ``start`` on; ``volume`` in lots."""

    start: Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: int
    trades: int


class CandleList(Data, frozen=True, kw_only=True):
    """Candles that have a trade, oldest first; the last one of all is still growing."""

    instrument_id: str
    interval: Interval
    candles: list[CandleView]
    next_cursor: Timestamp | None = None
    limited: ApiError | None = None


class Limits(Data, frozen=True, kw_only=True):
    """Every limit of the team's role and how much of it is used; instruments without use are omitted."""

    team_id: str
    role: str
    limits: list[LimitView]


class TeamRegistered(Data, frozen=True, kw_only=True):
    """``api_key`` is told this once and kept nowhere."""

    team_id: str
    name: str
    role: str
    api_key: str


class TeamView(Data, frozen=True, kw_only=True):
    """A team as others see it."""

    team_id: str
    name: str
    role: str
    registered_at: Timestamp
    disabled: bool = False


class TeamList(Data, frozen=True, kw_only=True):
    """Every team, for the operator."""

    teams: list[TeamView]


class RotatedKey(Data, frozen=True, kw_only=True):
    """A new key; the old one is void."""

    team_id: str
    api_key: str


class DryRun(Data, frozen=True, kw_only=True):
    """The order would be accepted now."""

    valid: bool


class RequestView(Data, frozen=True, kw_only=True):
    """Where a request is: pending, validating, matching, settling, completed, timeout or error."""

    request_id: str
    status: str
    registered_at: Timestamp
    order_id: str | None = None
    http_status: int | None = None
    processing_time_us: int | None = None


class FeesView(Data, frozen=True, kw_only=True):
    """Money per lot, signed like all money: a rebate is positive. ``auction``: fills of an auction."""

    maker: float
    taker: float
    auction: float


class ConstraintView(Data, frozen=True, kw_only=True):
    """One constraint with its parameters as configured; ``error_code`` is what it refuses with."""

    type: str
    parameters: dict[str, Any]
    error_code: str


class QuoteRulesView(Data, frozen=True, kw_only=True):
    """What a quote must be. The spread is at most the larger of ``max_spread`` of the mid price, 0.01 is 1 %,
    and ``max_spread_ticks``; without both any will do.
    """

    min_quantity: int
    max_spread: float | None = None
    max_spread_ticks: int | None = None


class RoleView(Data, frozen=True, kw_only=True):
    """What a team of this role pays and may do. ``open``: anyone may register in it. Without ``quotes`` it
    may send no quotes.

    Constraints are checked in this order, the first that fails answers.
    """

    role: str
    open: bool
    fees: FeesView
    constraints: list[ConstraintView]
    aliases: list[str] = []
    quotes: QuoteRulesView | None = None


class BandsView(Data, frozen=True, kw_only=True):
    """How far from its reference price an order may be; shares of a price, 0.2 is 20 %.

    Underlyings: ``underlying`` of the reference. Options: the largest of ``option`` of the reference,
    ``option_underlying`` of the underlying's reference and ``option_min_ticks``.
    """

    underlying: float
    option: float
    option_underlying: float
    option_min_ticks: int


class GameRulesView(Data, frozen=True, kw_only=True):
    """The rules of the game, the same for the whole game. Without ``bands`` any price may be sent.

    ``closing_cancels``: which orders the close of the market ends; absent where it never closes by the clock.
    """

    preset: str
    self_trade_prevention: SelfTradePrevention
    roles: list[RoleView]
    max_teams: int
    invite_code_needed: bool
    bands: BandsView | None = None
    closing_cancels: ClosingCancels | None = None


class GameStatus(Data, frozen=True, kw_only=True):
    """The game as a whole."""

    preset: str
    phase: Phase
    teams: int
    instruments: int
    sequence: int
    timestamp: Timestamp
    api_version: str
    halted_by_failure: bool = False


class ServerTime(Data, frozen=True, kw_only=True):
    """The clock that timestamps and expiries are read from; ``unix_us``: microseconds since 1970."""

    timestamp: Timestamp
    unix_us: int


class AdminStatus(Data, frozen=True, kw_only=True):
    """``state`` is the server's, ``cause`` says why it is not running; ``queues`` are items waiting."""

    state: str
    sequence: int
    timestamp: Timestamp
    phase: Phase
    teams: int
    queues: dict[str, int]
    responses: dict[str, int]
    cause: str | None = None
    state_hash: str | None = None


class AuditAct(Data, frozen=True, kw_only=True):
    """Who did what. ``actor`` is `operator`, `console` (whoever starts the server), a team, `schedule`,
    `restart` or `exchange`; ``admin_key_id`` tells one key of an operator from another.
    """

    act_id: str
    sequence: int
    timestamp: Timestamp
    actor: str
    act: str
    details: dict[str, Any]
    admin_key_id: str | None = None


class AuditList(Data, frozen=True, kw_only=True):
    """Oldest first."""

    acts: list[AuditAct]
    next_cursor: str | None = None


class PhaseSet(Data, frozen=True, kw_only=True):
    """Everything after ``sequence`` is judged by ``phase``."""

    phase: Phase
    sequence: int
    instrument_id: str | None = None


class Health(Data, frozen=True, kw_only=True):
    """``status`` is ok, starting, draining, halted or failed."""

    status: str
    checks: dict[str, Any] | None = None
