"""One row of the route table: router, documentation and tests are all made from these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from exchange.api.auth import ANONYMOUS, Access, Caller
from exchange.api.context import ApiContext
from exchange.api.rate_limits import RateLimiter
from exchange.api.replies import Reply
from exchange.model.reasons import Code
from exchange.pipeline.connection import Connection
from exchange.pipeline.responses import PendingRequest
from exchange.wire.queries import NoQuery, Query
from exchange.wire.requests import Request

Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound="Request | None")


class Call(msgspec.Struct, Generic[Q, B], eq=False, gc=False):
    """One request on its way through a handler. ``pending`` is set by a handler that submits a command.

    ``connection`` is the socket it came over, None over HTTP. ``limiter`` counted it and has ``left`` tokens
    for more; ``closes`` says that too many were refused.
    """

    request_id: str
    query: Q
    body: B
    path: Mapping[str, str]
    caller: Caller = ANONYMOUS
    pending: PendingRequest | None = None
    connection: Connection | None = None
    limiter: RateLimiter | None = None
    left: int = 0
    closes: bool = False


AnyCall: TypeAlias = Call[Any, Any]
Handler: TypeAlias = Callable[[ApiContext, AnyCall], Awaitable[Reply]]


class Topic(Enum):
    """Sections of the documentation, in its order."""

    ORDERS = "Orders"
    MARKET = "Market"
    POSITIONS = "Positions"
    GAME = "Game"
    ADMIN = "Admin"
    SERVER = "Server"


COMMAND_CODES: Final = (
    Code.OVERLOADED,
    Code.VENUE_HALTED,
    Code.SHUTTING_DOWN,
    Code.JOURNAL_FAILED,
    Code.REQUEST_EXPIRED,
    Code.RESPONSE_TIMEOUT,
)
"""What anything that enters the pipeline can be answered with."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A method on a path. ``data`` is the type in the envelope; ``media_type`` is set where there is none.

    ``query`` is None where the query string is nobody's business. ``codes`` lists what this operation refuses
    with of its own; what any operation can answer is added. ``example`` is a body. ``prepare`` is called
    before the first request: work that would hold up the loop.
    """

    operation_id: str
    method: str
    path: str
    topic: Topic
    access: Access
    handler: Handler
    summary: str
    description: str = ""
    query: type[Query] | None = NoQuery
    body: type[Request] | None = None
    body_optional: bool = False
    data: Any = None
    data_optional: bool = False
    has_order_id: bool = False
    media_type: str | None = None
    codes: tuple[Code, ...] = ()
    example: dict[str, Any] | None = None
    prepare: Callable[[], object] | None = None
