"""Every error code: its status, what it means, what to do. OpenAPI, reference and tests read this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from exchange.model.reasons import Code


class ErrorEntry(NamedTuple):
    """One row: HTTP status, meaning, and what a client does about it."""

    status: int
    meaning: str
    advice: str


_FIX: Final = "Correct the request; the same one will be refused again."
_LATER: Final = "Wait `retry_after_ms` where it is given, then send the same request again."
_RESEND: Final = (
    "Send the same body with the same `client_order_id` again: an accepted order is not entered twice."
)

CATALOGUE: Final[Mapping[Code, ErrorEntry]] = {
    # The request itself
    Code.BAD_JSON: ErrorEntry(400, "The body is empty, not JSON or not UTF-8.", _FIX),
    Code.BODY_TOO_DEEP: ErrorEntry(400, "The body is nested too deeply.", _FIX),
    Code.BODY_TOO_LARGE: ErrorEntry(413, "The body is larger than 64 KiB (`details.limit`).", _FIX),
    Code.INVALID_REQUEST: ErrorEntry(
        400, "A field, parameter or header is missing, unknown or out of bounds: `details.field`.", _FIX
    ),
    Code.BAD_HTTP_REQUEST: ErrorEntry(400, "What arrived is not HTTP/1.1.", "Use an HTTP library."),
    Code.UNKNOWN_PATH: ErrorEntry(404, "There is nothing at this path.", "See `/docs`."),
    Code.METHOD_NOT_ALLOWED: ErrorEntry(
        405,
        "The path does not take this method.",
        "Use one that `Allow` lists.",
    ),
    Code.UNSUPPORTED_MEDIA_TYPE: ErrorEntry(
        415, "The body is not `application/json` in UTF-8, or is compressed.", _FIX
    ),
    Code.HEADERS_TOO_LARGE: ErrorEntry(431, "Too many or too large header fields.", _FIX),
    Code.URI_TOO_LONG: ErrorEntry(414, "Path and query are too long.", _FIX),
    Code.REQUEST_TIMEOUT: ErrorEntry(408, "The request did not arrive in time.", "Send it in one go."),
    # Who is asking
    Code.UNAUTHENTICATED: ErrorEntry(401, "No API key, or one that is not known.", "Send a valid key."),
    Code.FORBIDDEN: ErrorEntry(403, "The key does not allow this.", "Use another key."),
    Code.TEAM_DISABLED: ErrorEntry(
        403, "The operator disabled the team: it may read and cancel, not trade.", "Ask the operator."
    ),
    # Orders
    Code.UNKNOWN_INSTRUMENT: ErrorEntry(404, "No such instrument.", "See `GET /exchange/instruments`."),
    Code.UNKNOWN_ORDER: ErrorEntry(404, "No order of the team has this id, or it ended too long ago.", _FIX),
    Code.UNKNOWN_REQUEST: ErrorEntry(
        404, "No request of the team has this id, or it was answered too long ago.", _FIX
    ),
    Code.HISTORY_LIMITED: ErrorEntry(
        200,
        "In `limited` of a page that is answered: rows that belong to it may no longer be kept,"
        " `details.kept_after` is the last of them and `details.kept_from` its time.",
        "Use what is there, or ask for less: `after` and `from` that are not before these.",
    ),
    Code.PRICE_NOT_ON_TICK: ErrorEntry(
        400, "The price is not a multiple of `details.tick_size`.", "Round it to the tick size."
    ),
    Code.PRICE_OUT_OF_RANGE: ErrorEntry(
        400, "The price is not one the exchange can handle, or outside the role's range.", _FIX
    ),
    Code.PRICE_OUT_OF_BAND: ErrorEntry(
        400,
        "The price is outside the instrument's band, `details.low` to `details.high`.",
        "Price within.",
    ),
    Code.ORDER_TYPE_CONTRADICTION: ErrorEntry(
        400,
        "A limit or stop_limit order without a price, a market or stop order with one, or a `stop_price` that"
        " is missing, or given for what is no stop.",
        _FIX,
    ),
    Code.TIME_IN_FORCE_NOT_ALLOWED: ErrorEntry(
        400,
        "An order of this type, in this phase or in this game, cannot have this `time_in_force`.",
        _FIX,
    ),
    Code.CONTROL_CONTRADICTION: ErrorEntry(
        400, "Two terms of the order exclude one another; `details.field` is one of them.", _FIX
    ),
    Code.POST_ONLY_NOT_ALLOWED: ErrorEntry(
        409, "Before an auction no order can be post-only.", "Wait for continuous trading."
    ),
    Code.POST_ONLY_WOULD_TRADE: ErrorEntry(
        409,
        "At the new price the post-only order would trade; it stays as it was.",
        "Amend to a price behind the other side.",
    ),
    Code.DISPLAY_QUANTITY_OUT_OF_RANGE: ErrorEntry(
        400, "The `display_quantity` is larger than the order, or less than a hundredth of it.", _FIX
    ),
    Code.EXPIRES_AT_OUT_OF_RANGE: ErrorEntry(
        400, "`expires_at` is not in the future, or more than 366 days away.", _FIX
    ),
    Code.REDUCE_ONLY_REFUSED: ErrorEntry(
        400,
        "With the open orders of its side filled, the order would do more than reduce the position.",
        "Cancel orders of that side, or send a smaller one.",
    ),
    Code.REDUCE_ONLY_OPEN: ErrorEntry(
        400,
        "While a reduce-only order is open, all orders of its side together may not pass the position.",
        "Cancel the reduce-only order first.",
    ),
    Code.SELF_TRADE_PREVENTION_NOT_ALLOWED: ErrorEntry(
        400, "The game prevents self-trades, and `none` would let one happen.", _FIX
    ),
    Code.TOO_MANY_STOP_ORDERS: ErrorEntry(
        400, "The team has 1,000 stop orders in the instrument.", "Cancel some of them."
    ),
    Code.QUOTES_NOT_ALLOWED: ErrorEntry(403, "The role may send orders, not quotes.", "Send orders."),
    Code.QUOTE_EMPTY: ErrorEntry(
        400, "The quote has neither a bid nor an ask.", "Cancel the quote: `quote_group` of the mass cancel."
    ),
    Code.QUOTE_TOO_SMALL: ErrorEntry(
        400, "A side of the quote has fewer lots than the role must show, `details.min_quantity`.", _FIX
    ),
    Code.QUOTE_CROSSED: ErrorEntry(400, "The bid of the quote is not below its ask.", _FIX),
    Code.QUOTE_SPREAD_TOO_WIDE: ErrorEntry(
        400,
        "Bid and ask of the quote are further apart than the role may quote, `details.max_spread`.",
        _FIX,
    ),
    Code.QUOTES_FROZEN: ErrorEntry(
        409,
        "Market-maker protection has cancelled the quotes of this group and keeps new ones out.",
        "Set the protection again, or wait until it ends.",
    ),
    Code.TOO_MANY_QUOTE_GROUPS: ErrorEntry(
        409, "The team protects as many groups of quotes as it may, 100.", "Remove a protection first."
    ),
    Code.CLIENT_ORDER_ID_REUSED: ErrorEntry(
        409, "The `client_order_id` belongs to a different order, `details.order_id`.", "Take a new one."
    ),
    Code.POSITION_LIMIT_EXCEEDED: ErrorEntry(
        400,
        "With every open order filled the position would pass the role's limit.",
        "Cancel orders.",
    ),
    Code.PORTFOLIO_LIMIT_EXCEEDED: ErrorEntry(
        400, "The sum of positions would pass the role's limit.", "Reduce positions first."
    ),
    Code.ORDER_SIZE_OUT_OF_RANGE: ErrorEntry(400, "The quantity is not one the role may send.", _FIX),
    Code.ORDER_RATE_EXCEEDED: ErrorEntry(429, "Too many orders and amends within one second.", _LATER),
    Code.ORDER_TYPE_NOT_ALLOWED: ErrorEntry(400, "The role may not send orders of this type.", _FIX),
    Code.INSTRUMENT_NOT_ALLOWED: ErrorEntry(400, "The role may not trade this instrument.", _FIX),
    Code.TWO_SIDED_NOT_ALLOWED: ErrorEntry(
        400, "The role may not rest a bid and an ask in one instrument.", "Cancel the other side first."
    ),
    Code.MARKET_CLOSED: ErrorEntry(
        409, "The phase of the market does not take this now.", "Wait for the phase to change."
    ),
    Code.PHASE_NOT_ALLOWED: ErrorEntry(
        409,
        "The market day cannot go from its phase to that one.",
        "Reopen what is halted before it trades again.",
    ),
    Code.CANCEL_FAILED: ErrorEntry(
        404,
        "No open order of the team has this id: unknown, another team's, or finished.",
        "Read the order.",
    ),
    Code.AMEND_FAILED: ErrorEntry(
        404,
        "No open order of the team has this id: unknown, another team's, or finished.",
        "Read the order.",
    ),
    # Teams
    Code.UNKNOWN_TEAM: ErrorEntry(404, "No such team.", _FIX),
    Code.UNKNOWN_ROLE: ErrorEntry(400, "No such role in this game.", _FIX),
    Code.ROLE_NOT_OPEN: ErrorEntry(403, "Only an operator may register this role.", "Ask the operator."),
    Code.TEAM_NAME_TAKEN: ErrorEntry(409, "Another team has this name.", "Take another name."),
    Code.TOO_MANY_TEAMS: ErrorEntry(409, "The game is full.", "Ask the operator."),
    Code.INVALID_INVITE_CODE: ErrorEntry(
        403, "The invite code is missing or wrong.", "Ask the organiser for it."
    ),
    # Streams
    Code.UNKNOWN_METHOD: ErrorEntry(404, "No such method (WebSocket).", _FIX),
    Code.UNKNOWN_CHANNEL: ErrorEntry(404, "No such channel (WebSocket).", _FIX),
    Code.ALREADY_SUBSCRIBED: ErrorEntry(409, "The socket has this channel already (WebSocket).", "Go on."),
    Code.NOT_SUBSCRIBED: ErrorEntry(409, "The socket does not have this channel (WebSocket).", "Go on."),
    Code.TOO_MANY_SUBSCRIPTIONS: ErrorEntry(
        409, "The socket has as many channels as it may have (WebSocket).", "Unsubscribe from others."
    ),
    Code.RESUME_TOO_OLD: ErrorEntry(
        409, "The events after `resume_from` are no longer kept (WebSocket).", "Start from the snapshot."
    ),
    # The server
    Code.RATE_LIMITED: ErrorEntry(
        429, "Too many requests of the team, the address or the socket; nothing else was looked at.", _LATER
    ),
    Code.OVERLOADED: ErrorEntry(503, "Too many requests wait, or the exchange is starting.", _LATER),
    Code.TOO_MANY_IN_FLIGHT: ErrorEntry(
        429, "Too many requests of one socket are under way (WebSocket).", "Wait for answers first."
    ),
    Code.TOO_MANY_CONNECTIONS: ErrorEntry(
        503, "Too many connections, of this address or in all.", "Use fewer connections."
    ),
    Code.VENUE_HALTED: ErrorEntry(
        503,
        "The venue is halted by a failure; `details.accepted` is true where the order is in the journal.",
        "Wait for the operator. " + _RESEND,
    ),
    Code.JOURNAL_FAILED: ErrorEntry(
        503, "The journal failed; whether the order survived is known after the restart.", _RESEND
    ),
    Code.SHUTTING_DOWN: ErrorEntry(503, "The exchange is shutting down.", "Connect again later."),
    Code.REQUEST_EXPIRED: ErrorEntry(
        504, "The request waited too long and was dropped before it was sequenced.", _LATER
    ),
    Code.RESPONSE_TIMEOUT: ErrorEntry(
        504,
        "No answer in time: `details.stage` says where the request is stuck, `details.accepted` whether it"
        " will take effect (absent: unknown).",
        _RESEND,
    ),
    Code.INTERNAL_ERROR: ErrorEntry(500, "The server failed.", "Report `request_id`. " + _RESEND),
}
