"""Reading HTTP/1.1 requests within bounds: uvicorn's parser callbacks, rewritten where they had none."""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from asyncio import AbstractEventLoop
from typing import Any, ClassVar, Final

import httptools
import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from exchange.api import refusals
from exchange.api.connections import ConnectionCounter, ProtocolLimits
from exchange.api.refusals import Envelopes, ProtocolRefusal
from exchange.api.response_cycle import ResponseCycle

# What the client still owes of a request that has begun.
NOTHING: Final = 0
HEAD: Final = 1
BODY: Final = 2
UPGRADED: Final = 3
"""The request asked for a WebSocket; nothing after it is HTTP."""

_SHORTEST_REQUEST: Final = 16
"""Bytes of ``GET / HTTP/1.1`` and two bare line feeds."""
_RAW_PER_BODY_BYTE: Final = 8
"""Chunked coding of a single byte takes six; what exceeds this is chunk extensions or trailers."""


class ProtocolSettings(msgspec.Struct, frozen=True):
    """What both protocols are given: bounds, the shared counter, and the writer of refusals."""

    limits: ProtocolLimits
    counter: ConnectionCounter
    envelopes: Envelopes


_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Refused(Exception):
    """Raised inside a parser callback; the parser stops and names it as the cause."""

    def __init__(self, refusal: ProtocolRefusal) -> None:
        self.refusal = refusal


class RequestReader(HttpToolsProtocol):
    """Bytes in, request cycles out. At most ``max_in_flight`` requests are parsed and unanswered.

    One read can hold thousands of pipelined requests, and the parser cannot be stopped between two of them.
    It is therefore fed pieces too short to complete more requests than there are places; the rest is held.
    """

    # Slots, because uvicorn's own attributes just fit into the size up to which CPython keeps attribute
    # access of instances fast.
    __slots__ = (
        "_body_bytes",
        "_content_length",
        "_fewest_places",
        "_one_go",
        "_part_bytes",
        "_upgrading",
        "active",
        "held",
        "limits",
        "owed",
        "refusal",
    )
    settings: ClassVar[ProtocolSettings]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits: ProtocolLimits = self.settings.limits
        self.refusal: ProtocolRefusal | None = None
        self.active: RequestResponseCycle | None = None
        self.owed = NOTHING
        self.held = b""
        self._one_go = _SHORTEST_REQUEST * (self.limits.max_in_flight - 2) + 1
        # Below this many places pieces would be crumbs; parsing goes on when requests have been answered.
        self._fewest_places = max(1, min(8, self.limits.max_in_flight // 4))
        self._part_bytes = -1
        self._body_bytes = 0
        self._content_length = 0
        self._upgrading = False

    # --- what the protocol around it does --------------------------------------------------------------

    def refuse(self, refusal: ProtocolRefusal) -> None:
        """Read no further request, answer ``refusal`` after those already read, and close."""
        raise NotImplementedError

    def part_begun(self) -> None:
        """A head or a body has begun and did not end with the same read."""
        raise NotImplementedError

    # --- feeding the parser --------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Parse ``data`` as far as there are places, and hold the rest."""
        if self.held or self.pipeline or len(data) > self._one_go:
            self._take_pieces(self.held + data)
        elif (taken := self._parse(data)) < len(data):
            self._take_pieces(data[taken:])
        if self.owed == UPGRADED:
            self.handle_websocket_upgrade()

    def take_held(self) -> None:
        """Go on with what had been held, now that a request has been answered."""
        self._take_pieces(self.held)
        if self.owed == UPGRADED:
            self.handle_websocket_upgrade()

    def _take_pieces(self, data: bytes) -> None:
        position = 0
        while position < len(data) and self.refusal is None and self.owed != UPGRADED:
            size = self._piece_size()
            if not size:
                break
            position += self._parse(data[position : position + size])
        if self.refusal is None:
            self.held = data[position:]
            if self.held:
                self.flow.pause_reading()

    def _piece_size(self) -> int:
        places = self.limits.max_in_flight - len(self.pipeline) - (self.active is not None)
        if self.owed != BODY:
            return _SHORTEST_REQUEST * (places - 1) + 1 if places >= self._fewest_places else 0
        # The request whose body this is has its place already.
        rest = self._content_length - self._body_bytes
        if places < self._fewest_places and self.pipeline:
            return max(rest, 0)
        return max(rest, _SHORTEST_REQUEST * places + 1)

    def _parse(self, piece: bytes) -> int:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            # Any other upgrade than to a WebSocket is ignored, and what follows is the next request.
            if self._upgrading:
                self.owed = UPGRADED
            return int(upgrade.args[0])
        except httptools.HttpParserError as error:
            self.refuse(self._reason(error))
            return len(piece)
        if self.owed != NOTHING:
            self._count_part(len(piece))
        return len(piece)

    def _reason(self, error: httptools.HttpParserError) -> ProtocolRefusal:
        cause = error.__context__
        if isinstance(cause, Refused):
            return cause.refusal
        if cause is None or isinstance(cause, httptools.HttpParserError | UnicodeError):
            return refusals.BAD_HTTP_REQUEST
        self.logger.error("A request could not be taken in\n", exc_info=cause)
        return refusals.INTERNAL_ERROR

    def _count_part(self, size: int) -> None:
        # What the callbacks count is exact, but they come late: a name or value only when it is complete.
        # Pieces that lie wholly inside one head or body bound what the parser has gathered meanwhile.
        limits = self.limits
        if self._part_bytes < 0:
            self._part_bytes = 0
            self.part_begun()
        else:
            self._part_bytes += size
        most = limits.max_header_bytes
        if self.owed == BODY:
            most += _RAW_PER_BODY_BYTE * limits.max_body_bytes
        if len(self.headers) > limits.max_headers:
            self.refuse(refusals.HEADERS_TOO_LARGE)
        elif self._part_bytes > most:
            self.refuse(refusals.BODY_TOO_LARGE if self.owed == BODY else refusals.HEADERS_TOO_LARGE)

    # --- parser callbacks ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.owed = HEAD
        self._part_bytes = -1
        self._content_length = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.max_target_bytes:
            raise Refused(refusals.URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length" and self.owed == HEAD:
            self._content_length = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._part_bytes >= 0:
            self._check_head_size()
        if len(self.headers) > self.limits.max_headers:
            raise Refused(refusals.HEADERS_TOO_LARGE)
        if self._content_length > self.limits.max_body_bytes:
            raise Refused(refusals.BODY_TOO_LARGE)
        parser = self.parser
        version = parser.get_http_version()
        scope = self._make_scope(version)
        self.owed = BODY
        self._part_bytes = -1
        self._body_bytes = 0
        if parser.should_upgrade() and self._should_upgrade():
            self._upgrading = True
            return
        # Trailers go elsewhere: among the headers they could pass for what the head did not say.
        self.headers = []
        cycle = self.cycle = ResponseCycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0" and parser.should_keep_alive(),
            self.on_response_complete,
        )
        cycle.envelopes = self.settings.envelopes
        limit = self.limit_concurrency
        app = self.app if limit is None else self._app_within_concurrency(limit)
        if self.active is not None:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            self._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            raise Refused(refusals.BODY_TOO_LARGE)
        cycle = self.cycle
        if self._upgrading or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self.owed = NOTHING
        if self._upgrading:
            return
        self.request_arrived()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def request_arrived(self) -> None:
        """The client owes nothing more of the request."""
        raise NotImplementedError

    def _make_scope(self, version: str) -> Any:
        raw_path, query = _path_and_query(self.url)
        path = raw_path.decode("ascii")
        if "%" in path:
            path = urllib.parse.unquote(path)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
        }
        self.scope = scope
        return scope

    def _check_head_size(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            raise Refused(refusals.HEADERS_TOO_LARGE)

    def _app_within_concurrency(self, limit: int) -> ASGI3Application:
        if len(self.connections) >= limit or len(self.tasks) >= limit:
            return self._overloaded
        app: ASGI3Application = self.app
        return app

    async def _overloaded(self, scope: Any, receive: Any, send: Any) -> None:
        body = self.settings.envelopes.body(refusals.OVERLOADED)
        headers = self.settings.envelopes.headers(refusals.OVERLOADED, len(body))
        await send({"type": "http.response.start", "status": refusals.OVERLOADED.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _path_and_query(target: bytes) -> tuple[bytes, bytes]:
    """Of any request target of RFC 9112 section 3.2; raises Refused for what is none."""
    if not target.startswith(b"/") and target != b"*":
        origin = _ABSOLUTE.match(target)
        if origin is None:
            raise Refused(refusals.BAD_HTTP_REQUEST)
        target = target[origin.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        target = target[: target.index(b"#")]
    path, _, query = target.partition(b"?")
    return path, query
