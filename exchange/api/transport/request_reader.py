"""Feeding the HTTP/1.1 parser within bounds: how much at a time, how much in all, and what it refuses."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, TypeAlias

import httptools
import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from exchange.api.transport import refusals
from exchange.api.transport.connections import ConnectionCounter, ProtocolLimits
from exchange.api.transport.deadline import Deadline
from exchange.api.transport.refusals import Envelopes, ProtocolRefusal
from exchange.api.transport.response_cycle import ResponseCycle

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


Direct: TypeAlias = Callable[[ResponseCycle], Coroutine[Any, Any, None]]
"""Answers a request whose body is there."""


class ProtocolSettings(msgspec.Struct, frozen=True):
    """What both protocols are given: bounds, the shared counter, and the writer of refusals.

    With ``direct`` a request that has arrived whole goes there; ASGI is for those whose body is under way.
    """

    limits: ProtocolLimits
    counter: ConnectionCounter
    envelopes: Envelopes
    direct: Direct | None = None


class Refused(Exception):
    """Raised inside a parser callback; the parser stops and names it as the cause."""

    def __init__(self, refusal: ProtocolRefusal) -> None:
        self.refusal = refusal


class RequestReader(HttpToolsProtocol):
    """Bytes in, parser callbacks out. At most ``max_in_flight`` requests are parsed and unanswered.

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
        "deadline",
        "due",
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
        # One timer for the part that is owed, for the time between requests and for the close.
        self.deadline = Deadline(self.loop, self.deadline_passed)
        self.refusal: ProtocolRefusal | None = None
        self.active: ResponseCycle | None = None
        self.due: ASGI3Application | None = None
        """What ``active`` is to be begun with."""
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

    def begin(self) -> None:
        """Let the application begin with the request that is due, if it still is."""
        raise NotImplementedError

    def refuse(self, refusal: ProtocolRefusal) -> None:
        """Read no further request, answer ``refusal`` after those already read, and close."""
        raise NotImplementedError

    def discard(self, size: int) -> None:
        """So many bytes came after a refusal."""
        raise NotImplementedError

    def part_begun(self) -> None:
        """A head or a body has begun and did not end with the same read."""
        raise NotImplementedError

    def deadline_passed(self) -> None:
        """What is owed did not come in time."""
        raise NotImplementedError

    # --- feeding the parser --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse ``data`` as far as there are places, and hold the rest."""
        if self.refusal is not None:
            self.discard(len(data))
        elif self.held or self.pipeline or len(data) > self._one_go:
            self._take_pieces(self.held + data)
        elif (taken := self._parse(data)) < len(data):
            self._take_pieces(data[taken:])
        if self.owed == UPGRADED:
            self.handle_websocket_upgrade()
        # Not in a callback of the parser, which can't be entered twice: the answer may make it go on.
        if self.due is not None:
            self.begin()

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
