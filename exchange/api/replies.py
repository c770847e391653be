"""What a handler returns, and the bytes it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from exchange.model.reasons import Code, Refusal
from exchange.wire.envelope import ApiResponse
from exchange.wire.errors import api_error, http_status, refused_order_id
from exchange.wire.orders import PriceGrids
from exchange.wire.times import time_text

Header: TypeAlias = tuple[bytes, bytes]


class Answered(msgspec.Struct, frozen=True, gc=False):
    """Success. ``timestamp_us`` is that of the order where there is one, else the time of the answer."""

    data: Any = None
    order_id: str | None = None
    timestamp_us: int | None = None
    headers: tuple[Header, ...] = ()


class Document(msgspec.Struct, frozen=True, gc=False):
    """Something that is not an envelope: metrics, the OpenAPI document, a page."""

    media_type: bytes
    body: bytes
    headers: tuple[Header, ...] = ()


Reply: TypeAlias = Answered | Document | Refusal

JSON: Final = (b"content-type", b"application/json")
# Answers hold keys and positions; nothing between here and the client may keep one.
NO_STORE: Final = (b"cache-control", b"no-store")
CHALLENGE: Final = (b"www-authenticate", b"Bearer")
CLOSE: Final = (b"connection", b"close")

PLAIN: Final = (JSON, NO_STORE)
"""Headers of an envelope that has no others."""

_encode = msgspec.json.Encoder().encode


class Rendered(NamedTuple):
    """An answer without the headers that depend on when it leaves."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


def render(reply: Reply, request_id: str, now_us: int, grids: PriceGrids) -> Rendered:
    """``reply`` as status, headers and body."""
    if type(reply) is Answered:
        timestamp_us = now_us if reply.timestamp_us is None else reply.timestamp_us
        envelope = ApiResponse(True, request_id, time_text(timestamp_us), reply.order_id, reply.data)
        return Rendered(200, PLAIN + reply.headers if reply.headers else PLAIN, _encode(envelope))
    if isinstance(reply, Refusal):
        return _render_refusal(reply, request_id, now_us, grids)
    assert isinstance(reply, Document)
    return Rendered(200, ((b"content-type", reply.media_type), *reply.headers), reply.body)


def _render_refusal(refusal: Refusal, request_id: str, now_us: int, grids: PriceGrids) -> Rendered:
    status = http_status(refusal)
    headers = [*PLAIN]
    if refusal.retry_after_ms is not None:
        headers.append((b"retry-after", b"%d" % max(1, -(-refusal.retry_after_ms // 1000))))
    if status == 401:
        headers.append(CHALLENGE)
    elif status == 413:
        # The rest of the body is not wanted.
        headers.append(CLOSE)
    elif refusal.code == Code.METHOD_NOT_ALLOWED and refusal.details is not None:
        headers.append(allow_header(refusal.details["allowed_methods"]))
    envelope = ApiResponse(
        False,
        request_id,
        time_text(now_us),
        refused_order_id(refusal),
        error=api_error(refusal, grids),
    )
    return Rendered(status, tuple(headers), _encode(envelope))


def allow_header(methods: Sequence[str]) -> Header:
    """``Allow``, as RFC 9110 section 10.2.1 asks with every 405."""
    return b"allow", ", ".join(methods).encode()
