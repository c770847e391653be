"""Query parameters of the HTTP API. Every one is bounded, unknown and repeated ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exchange.base.bounds import MAX_BOOK_LEVELS, PAGE_DEFAULT, PAGE_MAX
from exchange.base.enums import FastEnum
from exchange.model.types import Interval, Side
from exchange.wire.ids import ClientOrderId, Label, QuoteGroup
from exchange.wire.requests import InstrumentId

_EPOCH = datetime.fromtimestamp(0, UTC)
_AFTER = "The `next_cursor` of the page before, or any id of this kind."

OrderCursor = Annotated[str, Meta(pattern=r"^ORD_[1-9][0-9]{0,17}\Z", description=_AFTER)]
TradeCursor = Annotated[str, Meta(pattern=r"^TRD_[1-9][0-9]{0,17}\Z", description=_AFTER)]
ExecutionCursor = Annotated[str, Meta(pattern=r"^EXE_[1-9][0-9]{0,17}\Z", description=_AFTER)]
ActCursor = Annotated[str, Meta(pattern=r"^ACT_[1-9][0-9]{0,17}\Z", description=_AFTER)]
PageLimit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description="Rows of the page.")]
Depth = Annotated[int, Meta(ge=1, le=MAX_BOOK_LEVELS, description="Levels of each side.")]
OfInstrument = Annotated[InstrumentId, Meta(description="Only this instrument.")]
OfSide = Annotated[Side, Meta(description="Only this side.")]
OfLabel = Annotated[Label, Meta(description="Only orders with this label.")]
OfQuoteGroup = Annotated[QuoteGroup, Meta(description="Only quotes of this group.")]
OfClientOrderId = Annotated[ClientOrderId, Meta(description="Only the order of this id.")]
OfOrderId = Annotated[
    str, Meta(pattern=r"^ORD_[1-9][0-9]{0,17}\Z", description="Only the fills of this order.")
]
UtcTime = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z\Z",
        extra_json_schema={"format": "date-time"},
    ),
]
"""Text: a query string would turn a number into a datetime, and the ``+`` of an offset into a space."""
FromTime = Annotated[UtcTime, Meta(description="Not before this time.")]
CandleCursor = Annotated[UtcTime, Meta(description="The `next_cursor` of the page before, or any time.")]
ToTime = Annotated[UtcTime, Meta(description="Before this time.")]


class WaitFor(FastEnum):
    """Which stage answers an order."""

    VALIDATION = "validation"
    MATCHING = "matching"
    SETTLEMENT = "settlement"


class OrderFilter(FastEnum):
    """Which orders are listed; in-flight ones are open, filled and cancelled ones are finished."""

    OPEN = "open"
    FINISHED = "finished"
    FILLED = "filled"
    CANCELLED = "cancelled"
    ALL = "all"


StateHash = Annotated[bool, Meta(description="Also compute the hash of the whole state.")]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parameters of one operation."""


class NoQuery(Query, frozen=True, kw_only=True):
    """The operation takes no parameters."""


class SubmitQuery(Query, frozen=True, kw_only=True):
    """``matching`` and ``settlement`` put the order's state into ``data``."""

    wait: WaitFor = WaitFor.VALIDATION


class PageQuery(Query, frozen=True, kw_only=True):
    """A page of what happened in a stretch of time: ``from`` is in it, ``to`` is not.

    No parameter may be None: what a query string calls ``null`` would be left out, and begin the list anew.
    """

    from_time: FromTime | UnsetType = msgspec.field(name="from", default=UNSET)
    to_time: ToTime | UnsetType = msgspec.field(name="to", default=UNSET)
    limit: PageLimit = PAGE_DEFAULT

    def __post_init__(self) -> None:
        from_us, to_us = self.from_us, self.to_us
        if from_us is not None and to_us is not None and from_us > to_us:
            raise ValueError("`from` is after `to`")

    @property
    def from_us(self) -> int | None:
        """``from`` in microseconds since 1970."""
        return _microseconds(self.from_time)

    @property
    def to_us(self) -> int | None:
        """``to`` in microseconds since 1970."""
        return _microseconds(self.to_time)


def _microseconds(text: str | UnsetType) -> int | None:
    if text is UNSET:
        return None
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


class OrdersQuery(PageQuery, frozen=True, kw_only=True):
    """Newest first; ``after`` is the ``next_cursor`` of the page before. Times are those of acceptance."""

    status: OrderFilter = OrderFilter.OPEN
    instrument_id: OfInstrument | UnsetType = UNSET
    side: OfSide | UnsetType = UNSET
    client_order_id: OfClientOrderId | UnsetType = UNSET
    label: OfLabel | UnsetType = UNSET
    after: OrderCursor | UnsetType = UNSET


class CancelAllQuery(Query, frozen=True, kw_only=True):
    """Without ``instrument_id`` every instrument, without ``side`` both, without ``label`` or
    ``quote_group`` any.

    ``side`` must not allow None: what a query string calls ``null`` would cancel both sides.
    """

    instrument_id: OfInstrument | None = None
    side: OfSide | UnsetType = UNSET
    label: OfLabel | None = None
    quote_group: OfQuoteGroup | UnsetType = UNSET


class OrderbookQuery(Query, frozen=True, kw_only=True):
    """``depth`` counts levels per side."""

    depth: Depth = 10


class TradesQuery(PageQuery, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any trade id."""

    side: OfSide | UnsetType = UNSET
    after: TradeCursor | UnsetType = UNSET


class CandlesQuery(PageQuery, frozen=True, kw_only=True):
    """Oldest first; ``from`` and ``to`` are about their starts, ``after`` the start of the last one known."""

    interval: Interval = Interval.MINUTE
    after: CandleCursor | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        _microseconds(self.after)

    @property
    def first_us(self) -> int:
        """Where the first candle may start, in microseconds since 1970."""
        after_us, from_us = _microseconds(self.after), self.from_us or 0
        return from_us if after_us is None else max(from_us, after_us + 1)


class ExecutionsQuery(PageQuery, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any execution id."""

    instrument_id: OfInstrument | UnsetType = UNSET
    side: OfSide | UnsetType = UNSET
    order_id: OfOrderId | UnsetType = UNSET
    client_order_id: OfClientOrderId | UnsetType = UNSET
    after: ExecutionCursor | UnsetType = UNSET


class AuditQuery(Query, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any act id."""

    after: ActCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class AdminStatusQuery(Query, frozen=True, kw_only=True):
    """The hash is left out unless asked for: it holds up the exchange while it is computed."""

    state_hash: StateHash = False
