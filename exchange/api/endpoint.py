"""Operations as ASGI applications: from the headers of a request to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from exchange.api.auth import Access, Gate
from exchange.api.context import ApiContext
from exchange.api.inputs import (
    UNSUPPORTED_MEDIA_TYPE,
    body_too_large,
    decode_body,
    is_json,
    parse_query,
    read_body,
)
from exchange.api.operation import AnyCall, Call, Operation, Topic
from exchange.api.rate_limits import RateLimits
from exchange.api.replies import CLOSE, PLAIN, Header, Rendered, Reply, render
from exchange.api.request_ids import INVALID_REQUEST_ID, client_request_id
from exchange.api.timing import server_timing
from exchange.base.bounds import PARSED_QUERIES
from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.queries import Query
from exchange.wire.requests import Request

_SINGLE: Final = frozenset(
    (b"x-api-key", b"authorization", b"x-request-id", b"content-type", b"content-encoding", b"content-length")
)

_PLAIN_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"%b: %b\r\n" % header for header in PLAIN)
    + b"%bcontent-length: %b\r\nx-request-id: %b\r\nserver-timing: %b\r\n\r\n"
)
_NO_PATH: Final[Mapping[str, str]] = MappingProxyType({})

INTERNAL_ERROR: Final = Refusal(
    Category.INTERNAL, Code.INTERNAL_ERROR, "The server failed; its log knows this request by its id"
)
HEADER_GIVEN_TWICE: Final = Refusal(
    Category.INVALID, Code.INVALID_REQUEST, "A header that decides about the request is given twice"
)


def _cannot(head: bytes, body: bytes) -> bool:
    return False


class Endpoint:
    """One operation. Whatever happens, the answer is an envelope, or the document the operation serves."""

    def __init__(self, operation: Operation, context: ApiContext, gate: Gate) -> None:
        self._operation_id = operation.operation_id
        self._handler = operation.handler
        self._scope, self._of_team = operation.access.scope, operation.access.of_team
        self._body_optional = operation.body_optional
        self._decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)
        self._default_query = None if operation.query is None else operation.query()
        self._parse_query = None if operation.query is None else _query_parser(operation.query)
        limits = context.limits
        self._limits = limits if limits.enabled and operation.topic is not Topic.SERVER else None
        self._limiter = limits.orders if operation.access is Access.TRADER else limits.reads
        self._context = context
        self._gate = gate
        self._limit = context.settings.max_body_bytes
        self._grids = context.grids
        self._clock = context.clock
        self._next_request_id = context.request_ids.next
        self._count = context.tally.count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application: the body has still to be received."""
        await self.serve(scope, None, receive, send)

    async def serve(
        self,
        scope: Any,
        body: bytes | None,
        receive: Receive,
        send: Send,
        answer: Callable[[bytes, bytes], bool] = _cannot,
    ) -> None:
        """Answer the request of ``scope``, of which ``body`` is None while it has still to be received.

        ``answer`` writes head and body of a plain answer, or is False where ``send`` has to.
        """
        started_ns = self._clock.monotonic_ns()
        fields: list[Header] = scope["headers"]
        headers = dict(fields)
        given_id = headers.get(b"x-request-id")
        own_id = None if given_id is None else client_request_id(given_id)
        call: AnyCall = Call(own_id or self._next_request_id(), self._default_query, None, {})
        try:
            reply: Reply | None
            if given_id is not None and own_id is None:
                reply = INVALID_REQUEST_ID
            elif len(headers) != len(fields) and _repeats(fields):
                reply = HEADER_GIVEN_TWICE
            else:
                reply = self._judge(call, scope, headers, started_ns)
            if reply is None and self._decoder is not None:
                arrived = await read_body(receive, headers, self._limit) if body is None else body
                if arrived is None:
                    return
                reply = self._take_body(call, self._decoder, headers, arrived)
            if reply is None:
                reply = await self._handler(self._context, call)
            rendered = render(reply, call.request_id, self._clock.now_us(), self._grids)
        except Exception:
            self._context.log.exception(
                "request failed", request_id=call.request_id, operation=self._operation_id
            )
            rendered = render(INTERNAL_ERROR, call.request_id, self._clock.now_us(), self._grids)
        self._count(self._operation_id, rendered.status)
        timing = server_timing(call.pending, self._clock.monotonic_ns() - started_ns)
        if not self._answer(call, rendered, timing, answer):
            await self._send(scope, send, call, rendered, timing)

    def _judge(
        self, call: AnyCall, scope: Scope, headers: Mapping[bytes, bytes], now_ns: int
    ) -> Refusal | None:
        """Who asks, how often, and for what: everything but the body."""
        if self._scope is not None:
            caller = self._gate.admit(headers, self._scope, self._of_team)
            if isinstance(caller, Refusal):
                return self._count_stranger(call, scope, now_ns) or caller
            call.caller = caller
            if self._limits is not None and caller.account != HOUSE_ACCOUNT:
                call.limiter = self._limiter
                left = call.left = self._limiter.take(caller.account, now_ns)
                if left < 0:
                    return self._too_fast(self._limits, call, caller.account, now_ns)
        if call.limiter is None and (refusal := self._count_stranger(call, scope, now_ns)):
            return refusal
        raw_query: bytes = scope["query_string"]
        if raw_query and self._parse_query is not None:
            query = self._parse_query(raw_query)
            if isinstance(query, Refusal):
                return query
            call.query = query
        call.path = scope.get("path_params", _NO_PATH)
        return None

    def _count_stranger(self, call: AnyCall, scope: Scope, now_ns: int) -> Refusal | None:
        """Without a team's key a request counts for its address."""
        limits = self._limits
        if limits is None:
            return None
        client = scope.get("client")
        address = client[0] if client else ""
        call.limiter = limits.addresses
        call.left = limits.addresses.take(address, now_ns)
        return None if call.left >= 0 else self._too_fast(limits, call, address, now_ns)

    def _too_fast(self, limits: RateLimits, call: AnyCall, key: int | str, now_ns: int) -> Refusal:
        assert call.limiter is not None
        call.closes = limits.goes_on(key, now_ns)
        return call.limiter.refusal(call.left)

    def _take_body(
        self,
        call: AnyCall,
        decoder: msgspec.json.Decoder[Request],
        headers: Mapping[bytes, bytes],
        body: bytes | Refusal,
    ) -> Refusal | None:
        if isinstance(body, Refusal):
            return body
        if len(body) > self._limit:
            return body_too_large(self._limit)
        if not body and self._body_optional:
            call.body = decoder.type()
            return None
        if not is_json(headers):
            return UNSUPPORTED_MEDIA_TYPE
        decoded = decode_body(decoder, body)
        if isinstance(decoded, Refusal):
            return decoded
        call.body = decoded
        return None

    def _answer(
        self, call: AnyCall, rendered: Rendered, timing: bytes, answer: Callable[[bytes, bytes], bool]
    ) -> bool:
        """Write a plain answer; False where it is none or ``answer`` can't."""
        status, headers, body = rendered
        if headers is not PLAIN or status != 200:
            return False
        limiter = call.limiter
        limits = b"" if limiter is None else limiter.header_lines(call.left)
        return answer(_PLAIN_HEAD % (limits, b"%d" % len(body), call.request_id.encode(), timing), body)

    async def _send(self, scope: Scope, send: Send, call: AnyCall, rendered: Rendered, timing: bytes) -> None:
        status, headers, body = rendered
        if call.limiter is not None:
            headers += call.limiter.headers(call.left)
        if call.closes:
            headers += (CLOSE,)
        headers += (
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", call.request_id.encode()),
            (b"server-timing", timing),
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _query_parser(query_type: type[Query]) -> Callable[[bytes], Query | Refusal]:
    # Bots send the same few query strings all day; parsing is a pure function of them.
    return lru_cache(PARSED_QUERIES)(partial(parse_query, query_type))


def _repeats(fields: list[Header]) -> bool:
    names = [name for name, _ in fields if name in _SINGLE]
    return len(names) != len(set(names))
