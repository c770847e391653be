"""Every code a client can be answered with, and the expected refusals of the rules as values."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any

import msgspec


class Category(Enum):
    """What kind of refusal it is; the wire turns it into an HTTP status."""

    INVALID = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN = 404
    CONFLICT = 409
    TOO_FAST = 429
    INTERNAL = 500
    UNAVAILABLE = 503
    TIMEOUT = 504


class Code(StrEnum):
    """Machine-readable error codes. Constraints may be configured to answer with others."""

    # The request itself
    BAD_JSON = "BAD_JSON"
    BODY_TOO_DEEP = "BODY_TOO_DEEP"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    INVALID_REQUEST = "INVALID_REQUEST"
    BAD_HTTP_REQUEST = "BAD_HTTP_REQUEST"
    UNKNOWN_PATH = "UNKNOWN_PATH"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    URI_TOO_LONG = "URI_TOO_LONG"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    # Who is asking
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    TEAM_DISABLED = "TEAM_DISABLED"
    # Orders
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    UNKNOWN_REQUEST = "UNKNOWN_REQUEST"
    HISTORY_LIMITED = "HISTORY_LIMITED"
    PRICE_NOT_ON_TICK = "PRICE_NOT_ON_TICK"
    PRICE_OUT_OF_RANGE = "PRICE_OUT_OF_RANGE"
    PRICE_OUT_OF_BAND = "PRICE_OUT_OF_BAND"
    ORDER_TYPE_CONTRADICTION = "ORDER_TYPE_CONTRADICTION"
    TIME_IN_FORCE_NOT_ALLOWED = "TIME_IN_FORCE_NOT_ALLOWED"
    CONTROL_CONTRADICTION = "CONTROL_CONTRADICTION"
    POST_ONLY_NOT_ALLOWED = "POST_ONLY_NOT_ALLOWED"
    POST_ONLY_WOULD_TRADE = "POST_ONLY_WOULD_TRADE"
    DISPLAY_QUANTITY_OUT_OF_RANGE = "DISPLAY_QUANTITY_OUT_OF_RANGE"
    EXPIRES_AT_OUT_OF_RANGE = "EXPIRES_AT_OUT_OF_RANGE"
    REDUCE_ONLY_REFUSED = "REDUCE_ONLY_REFUSED"
    REDUCE_ONLY_OPEN = "REDUCE_ONLY_OPEN"
    SELF_TRADE_PREVENTION_NOT_ALLOWED = "SELF_TRADE_PREVENTION_NOT_ALLOWED"
    TOO_MANY_STOP_ORDERS = "TOO_MANY_STOP_ORDERS"
    QUOTES_NOT_ALLOWED = "QUOTES_NOT_ALLOWED"
    QUOTE_EMPTY = "QUOTE_EMPTY"
    QUOTE_CROSSED = "QUOTE_CROSSED"
    QUOTE_SPREAD_TOO_WIDE = "QUOTE_SPREAD_TOO_WIDE"
    QUOTE_TOO_SMALL = "QUOTE_TOO_SMALL"
    QUOTES_FROZEN = "QUOTES_FROZEN"
    TOO_MANY_QUOTE_GROUPS = "TOO_MANY_QUOTE_GROUPS"
    CLIENT_ORDER_ID_REUSED = "CLIENT_ORDER_ID_REUSED"
    POSITION_LIMIT_EXCEEDED = "POSITION_LIMIT_EXCEEDED"
    PORTFOLIO_LIMIT_EXCEEDED = "PORTFOLIO_LIMIT_EXCEEDED"
    ORDER_SIZE_OUT_OF_RANGE = "ORDER_SIZE_OUT_OF_RANGE"
    ORDER_RATE_EXCEEDED = "ORDER_RATE_EXCEEDED"
    ORDER_TYPE_NOT_ALLOWED = "ORDER_TYPE_NOT_ALLOWED"
    INSTRUMENT_NOT_ALLOWED = "INSTRUMENT_NOT_ALLOWED"
    TWO_SIDED_NOT_ALLOWED = "TWO_SIDED_NOT_ALLOWED"
    MARKET_CLOSED = "MARKET_CLOSED"
    PHASE_NOT_ALLOWED = "PHASE_NOT_ALLOWED"
    CANCEL_FAILED = "CANCEL_FAILED"
    AMEND_FAILED = "AMEND_FAILED"
    # Teams
    UNKNOWN_TEAM = "UNKNOWN_TEAM"
    UNKNOWN_ROLE = "UNKNOWN_ROLE"
    ROLE_NOT_OPEN = "ROLE_NOT_OPEN"
    TEAM_NAME_TAKEN = "TEAM_NAME_TAKEN"
    TOO_MANY_TEAMS = "TOO_MANY_TEAMS"
    INVALID_INVITE_CODE = "INVALID_INVITE_CODE"
    # Streams
    UNKNOWN_METHOD = "UNKNOWN_METHOD"
    UNKNOWN_CHANNEL = "UNKNOWN_CHANNEL"
    ALREADY_SUBSCRIBED = "ALREADY_SUBSCRIBED"
    NOT_SUBSCRIBED = "NOT_SUBSCRIBED"
    TOO_MANY_SUBSCRIPTIONS = "TOO_MANY_SUBSCRIPTIONS"
    RESUME_TOO_OLD = "RESUME_TOO_OLD"
    # The server
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    TOO_MANY_IN_FLIGHT = "TOO_MANY_IN_FLIGHT"
    TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
    VENUE_HALTED = "VENUE_HALTED"
    JOURNAL_FAILED = "JOURNAL_FAILED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    REQUEST_EXPIRED = "REQUEST_EXPIRED"
    RESPONSE_TIMEOUT = "RESPONSE_TIMEOUT"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Refusal(msgspec.Struct, frozen=True):
    """An expected "no": never an exception. ``retry_after_ms`` is set where waiting helps."""

    category: Category
    code: str
    message: str
    details: dict[str, Any] | None = None
    retry_after_ms: int | None = None


def unknown_instrument(instrument_id: str) -> Refusal:
    """Nothing of this name is traded."""
    return Refusal(
        Category.UNKNOWN, Code.UNKNOWN_INSTRUMENT, "No such instrument", {"instrument_id": instrument_id}
    )


def cancel_failed() -> Refusal:
    """The same words for unknown, foreign and finished orders: a stranger learns nothing from them."""
    return Refusal(Category.UNKNOWN, Code.CANCEL_FAILED, "No open order of yours has this id")


def amend_failed() -> Refusal:
    """The same words for unknown, foreign and finished orders: a stranger learns nothing from them."""
    return Refusal(Category.UNKNOWN, Code.AMEND_FAILED, "No open order of yours has this id")


def post_only_would_trade() -> Refusal:
    """An amend of a post-only order to a price where it would take; the order stands as it was."""
    return Refusal(
        Category.CONFLICT, Code.POST_ONLY_WOULD_TRADE, "At this price the post-only order would trade at once"
    )
