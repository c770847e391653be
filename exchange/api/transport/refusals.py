"""Answers the server gives below the routes, where no request could be made of what arrived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from exchange.base.clock import Clock
from exchange.model.reasons import Code
from exchange.wire.envelope import ApiError, ApiResponse
from exchange.wire.times import time_text


class ProtocolRefusal(msgspec.Struct, frozen=True):
    """One row of this module: HTTP status, error code, message, and where waiting helps, how long."""

    status: HTTPStatus
    code: str
    message: str
    retry_after_s: int | None = None


BAD_HTTP_REQUEST: Final = ProtocolRefusal(
    HTTPStatus.BAD_REQUEST, Code.BAD_HTTP_REQUEST, "what arrived is not a valid HTTP/1.1 request"
)
NOT_ACCEPTED: Final = ProtocolRefusal(
    HTTPStatus.FORBIDDEN, Code.FORBIDDEN, "the WebSocket connection was not accepted"
)
REQUEST_TIMEOUT: Final = ProtocolRefusal(
    HTTPStatus.REQUEST_TIMEOUT, Code.REQUEST_TIMEOUT, "the request did not arrive in time"
)
BODY_TOO_LARGE: Final = ProtocolRefusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Code.BODY_TOO_LARGE, "the body is larger than this server takes"
)
URI_TOO_LONG: Final = ProtocolRefusal(
    HTTPStatus.REQUEST_URI_TOO_LONG, Code.URI_TOO_LONG, "path and query are longer than this server takes"
)
HEADERS_TOO_LARGE: Final = ProtocolRefusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Code.HEADERS_TOO_LARGE, "too many or too large header fields"
)
TOO_MANY_CONNECTIONS: Final = ProtocolRefusal(
    HTTPStatus.SERVICE_UNAVAILABLE, Code.TOO_MANY_CONNECTIONS, "too many connections are open", 1
)
OVERLOADED: Final = ProtocolRefusal(
    HTTPStatus.SERVICE_UNAVAILABLE, Code.OVERLOADED, "the server has as much to do as it may have", 1
)
INTERNAL_ERROR: Final = ProtocolRefusal(
    HTTPStatus.INTERNAL_SERVER_ERROR, Code.INTERNAL_ERROR, "the server failed to answer this request"
)

Headers = Sequence[tuple[bytes, bytes]]


class Envelopes:
    """Writes a refusal as ApiResponse; time and request ids come from outside."""

    def __init__(self, clock: Clock, next_request_id: Callable[[], str]) -> None:
        self._clock = clock
        self._next_request_id = next_request_id
        self._encode = msgspec.json.Encoder().encode

    def body(self, refusal: ProtocolRefusal) -> bytes:
        """The JSON alone."""
        wait_s = refusal.retry_after_s
        error = ApiError(refusal.code, refusal.message, None, None if wait_s is None else wait_s * 1000)
        timestamp = time_text(self._clock.now_us())
        return self._encode(ApiResponse(False, self._next_request_id(), timestamp, error=error))

    def headers(self, refusal: ProtocolRefusal, length: int) -> Headers:
        """Header fields for a body of ``length`` bytes; the connection always ends with it."""
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % length),
            (b"connection", b"close"),
            # No route was reached: nothing of the time was spent there.
            (b"server-timing", b"total;dur=0.000"),
        ]
        if refusal.retry_after_s is not None:
            fields.append((b"retry-after", b"%d" % refusal.retry_after_s))
        return fields

    def response(self, refusal: ProtocolRefusal, default_headers: Headers = ()) -> bytes:
        """The whole HTTP/1.1 answer."""
        body = self.body(refusal)
        lines = [b"HTTP/1.1 %d %s\r\n" % (refusal.status, refusal.status.phrase.encode())]
        lines += [b"%s: %s\r\n" % field for field in (*default_headers, *self.headers(refusal, len(body)))]
        return b"".join([*lines, b"\r\n", body])
