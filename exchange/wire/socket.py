"""What is asked on a WebSocket and what is answered: ``params`` and ``result`` of each method."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from exchange.base.bounds import MAX_CONFLATE_MS, MAX_SUBSCRIPTIONS, PAGE_DEFAULT
from exchange.model.types import Side
from exchange.wire.data import Data
from exchange.wire.envelope import ApiError
from exchange.wire.ids import DEFAULT_GROUP, ClientOrderId, Label, QuoteGroup
from exchange.wire.queries import Depth, OrderCursor, PageLimit, WaitFor
from exchange.wire.requests import (
    AmendRequest,
    BatchRequest,
    InstrumentId,
    OrderRequest,
    ProtectionRequest,
    Request,
)

Channel = Annotated[str, Meta(min_length=1, max_length=100)]
Channels = Annotated[list[Channel], Meta(min_length=1, max_length=MAX_SUBSCRIPTIONS)]
Seq = Annotated[int, Meta(ge=0, le=2**53)]


class NoParams(Request, frozen=True, kw_only=True):
    """``ping`` and ``positions.get`` take nothing."""


class LoginParams(Request, frozen=True, kw_only=True):
    """``login``: for a client that cannot set headers. Once per socket."""

    api_key: Annotated[str, Meta(min_length=1, max_length=200)]


class SubscribeParams(Request, frozen=True, kw_only=True):
    """``subscribe``. ``resume_from`` says for a channel up to which sequence everything is known.

    ``epoch`` is that of the hello under which those sequences were seen; sequences of public channels mean
    nothing under another one. With ``conflate_ms`` each channel tells where it stands at most once in that
    time, and a reader that falls behind is told less rather than closed.
    """

    channels: Channels
    resume_from: dict[Channel, Seq] = msgspec.field(default_factory=dict)
    epoch: Annotated[str, Meta(max_length=64)] | None = None
    conflate_ms: Annotated[int, Meta(ge=1, le=MAX_CONFLATE_MS)] | None = None


class UnsubscribeParams(Request, frozen=True, kw_only=True):
    """``unsubscribe``."""

    channels: Channels


class NewOrderParams(OrderRequest, frozen=True, kw_only=True):
    """``order.new``: an order, and which stage answers."""

    wait: WaitFor = WaitFor.VALIDATION


class NewBatchParams(BatchRequest, frozen=True, kw_only=True):
    """``orders.new_batch``: orders, and which stage answers."""

    wait: WaitFor = WaitFor.VALIDATION


class OrderNameParams(Request, frozen=True, kw_only=True):
    """``order.cancel`` and ``order.get``: exactly one of the two names."""

    order_id: Annotated[str, Meta(max_length=64)] | None = None
    client_order_id: ClientOrderId | None = None


class AmendParams(AmendRequest, frozen=True, kw_only=True):
    """``order.amend``: exactly one of the two names, and what is to change."""

    order_id: Annotated[str, Meta(max_length=64)] | None = None
    client_order_id: ClientOrderId | None = None


class CancelAllParams(Request, frozen=True, kw_only=True):
    """``orders.cancel_all``: every open order, or those in one instrument, of one side, with one label, or
    the quotes of one group.
    """

    instrument_id: InstrumentId | None = None
    side: Side | None = None
    label: Label | None = None
    quote_group: QuoteGroup | None = None


class QuoteGroupParams(Request, frozen=True, kw_only=True):
    """``protection.get`` and ``protection.remove``."""

    quote_group: QuoteGroup = DEFAULT_GROUP


class ProtectionParams(ProtectionRequest, frozen=True, kw_only=True):
    """``protection.set``."""

    quote_group: QuoteGroup = DEFAULT_GROUP


class OpenOrdersParams(Request, frozen=True, kw_only=True):
    """``orders.open``: newest first; ``after`` is the ``next_cursor`` of the page before."""

    instrument_id: InstrumentId | None = None
    after: OrderCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class BookParams(Request, frozen=True, kw_only=True):
    """``book.get``: ``depth`` counts levels per side."""

    instrument_id: InstrumentId
    depth: Depth = 10


class Pong(Data, frozen=True, kw_only=True):
    """``result`` of ``ping``."""

    timestamp: str


class LoggedIn(Data, frozen=True, kw_only=True):
    """``result`` of ``login``; without a team for the operator's key."""

    team_id: str | None = None
    private_seq: int | None = None


class ChannelState(Data, frozen=True, kw_only=True):
    """``seq`` is the channel's last one now. ``resumed``: the messages after ``resume_from`` follow.

    Where it could not be resumed ``error`` says why, and the channel begins anew with its snapshot.
    """

    channel: str
    seq: int
    resumed: bool = False
    error: ApiError | None = None


class Subscribed(Data, frozen=True, kw_only=True):
    """``result`` of ``subscribe``, in the order of the request; what the channels send comes after it."""

    epoch: str
    channels: list[ChannelState]


class Unsubscribed(Data, frozen=True, kw_only=True):
    """``result`` of ``unsubscribe``; nothing of these channels comes after it."""

    channels: list[str]


class CommandResult(Data, frozen=True, kw_only=True):
    """``result`` of ``order.new``, ``order.cancel``, ``order.amend`` and ``orders.cancel_all``: as HTTP."""

    timestamp: str
    order_id: str | None = None
    data: Any = None
