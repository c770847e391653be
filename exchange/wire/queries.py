"""Query parameters of the HTTP API. Every one is bounded, unknown and repeated ones are refused."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exchange.base.bounds import MAX_BOOK_LEVELS, PAGE_DEFAULT, PAGE_MAX
from exchange.model.types import Side
from exchange.wire.requests import InstrumentId

_AFTER = "The `next_cursor` of the page before, or any id of this kind."

OrderCursor = Annotated[str, Meta(pattern=r"^ORD_[1-9][0-9]{0,17}\Z", description=_AFTER)]
TradeCursor = Annotated[str, Meta(pattern=r"^TRD_[1-9][0-9]{0,17}\Z", description=_AFTER)]
ExecutionCursor = Annotated[str, Meta(pattern=r"^EXE_[1-9][0-9]{0,17}\Z", description=_AFTER)]
ActCursor = Annotated[str, Meta(pattern=r"^ACT_[1-9][0-9]{0,17}\Z", description=_AFTER)]
PageLimit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description="Rows of the page.")]
Depth = Annotated[int, Meta(ge=1, le=MAX_BOOK_LEVELS, description="Levels of each side.")]
OfInstrument = Annotated[InstrumentId, Meta(description="Only this instrument.")]
OfSide = Annotated[Side, Meta(description="Only this side.")]


class WaitFor(Enum):
    """Which stage answers an order."""

    VALIDATION = "validation"
    MATCHING = "matching"
    SETTLEMENT = "settlement"


class OrderFilter(Enum):
    """Which orders are listed; in-flight ones are open."""

    OPEN = "open"
    FINISHED = "finished"
    ALL = "all"


StateHash = Annotated[bool, Meta(description="Also compute the hash of the whole state.")]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parameters of one operation."""


class NoQuery(Query, frozen=True, kw_only=True):
    """The operation takes no parameters."""


class SubmitQuery(Query, frozen=True, kw_only=True):
    """``matching`` and ``settlement`` put the order's state into ``data``."""

    wait: WaitFor = WaitFor.VALIDATION


class OrdersQuery(Query, frozen=True, kw_only=True):
    """Newest first; ``after`` is the ``next_cursor`` of the page before."""

    status: OrderFilter = OrderFilter.OPEN
    instrument_id: OfInstrument | None = None
    after: OrderCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class CancelAllQuery(Query, frozen=True, kw_only=True):
    """Without ``instrument_id`` every instrument, without ``side`` both.

    ``side`` must not allow None: what a query string calls ``null`` would cancel both sides.
    """

    instrument_id: OfInstrument | None = None
    side: OfSide | UnsetType = UNSET


class OrderbookQuery(Query, frozen=True, kw_only=True):
    """``depth`` counts levels per side."""

    depth: Depth = 10


class TradesQuery(Query, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any trade id."""

    after: TradeCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class ExecutionsQuery(Query, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any execution id."""

    instrument_id: OfInstrument | None = None
    after: ExecutionCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class AuditQuery(Query, frozen=True, kw_only=True):
    """Oldest first; ``after`` is the ``next_cursor`` of the page before, or any act id."""

    after: ActCursor | None = None
    limit: PageLimit = PAGE_DEFAULT


class AdminStatusQuery(Query, frozen=True, kw_only=True):
    """The hash is left out unless asked for: it holds up the exchange while it is computed."""

    state_hash: StateHash = False
