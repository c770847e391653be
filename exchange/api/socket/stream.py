"""``/ws``: the handshake, then a socket's life."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from exchange.api.auth import Caller, Gate
from exchange.api.context import ApiContext
from exchange.api.replies import Header, render
from exchange.api.socket.session import SocketSession, Streams
from exchange.api.transport.frame_channel import EXTENSION, FrameChannel
from exchange.api.transport.frames import binary_frame, text_frame
from exchange.base.bounds import SOCKET_IDLE_S
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import Scope as KeyScope
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.pipeline.publish import Publisher
from exchange.wire.encode_events import Encoding

FRAMERS: Final[Mapping[Encoding, Callable[[bytes], bytes]]] = {
    Encoding.JSON: text_frame,
    Encoding.MSGPACK: binary_frame,
}
"""How the hub's messages become frames."""

IDLE: Final = 4001
"""Close code of a socket that neither logged in nor subscribed to anything."""
_LOST: Final = 1006
_CREDENTIALS: Final = (b"x-api-key", b"authorization")
_GIVEN_TWICE: Final = Refusal(Category.INVALID, Code.INVALID_REQUEST, "The API key is given twice")


class SocketOutlet:
    """The hub's way out of one socket.

    Counts messages by where they end in all that was written: the channel's own count goes back to none only
    when the kernel has taken everything, which under a steady flow may never be.
    """

    __slots__ = ("_channel", "_ends", "_send", "_write", "_written", "buffered_bytes", "close")

    def __init__(self, channel: FrameChannel, send: Send) -> None:
        self._channel = channel
        self._send = send
        self._write = channel.write
        self._written = 0
        self._ends: deque[int] = deque()
        self.buffered_bytes = channel.buffered_bytes
        self.close = channel.close

    def write(self, frame: bytes) -> bool:
        """Hand in one frame; False when the socket is not open any more."""
        if not self._write(frame):
            return False
        self._written += len(frame)
        self._ends.append(self._written)
        return True

    def is_behind(self, most_bytes: int, most_messages: int) -> bool:
        """Whether more is unsent; a message counts until the kernel has taken its last byte."""
        ends, unsent = self._ends, self.buffered_bytes()
        if not unsent:
            ends.clear()
            return False
        taken = self._written - unsent
        while ends and ends[0] <= taken:
            ends.popleft()
        return unsent > most_bytes or len(ends) > most_messages

    async def drained(self) -> None:
        """Until little of what was written is left here, or the socket is not open any more."""
        # At the end of this turn the transport gets what was written, and says whether that is too much.
        await asyncio.sleep(0)
        try:
            if self._channel.is_open:
                # uvicorn waits for room before it looks at a message; one without content is not sent.
                await self._send({"type": "websocket.send"})
        except (OSError, RuntimeError):
            if self._channel.is_open:
                raise


class StreamEndpoint:
    """The ASGI application behind ``/ws``. ``idle_s`` is how long a socket may be there for nothing."""

    def __init__(self, shared: Streams, idle_s: float = SOCKET_IDLE_S) -> None:
        self._shared = shared
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        key = _credentials(scope["headers"])
        if isinstance(key, Refusal):
            await self._deny(key, send)
            return
        address = _address(scope)
        caller = self._counted(address) or self._identify(key)
        if isinstance(caller, Refusal):
            await self._deny(caller, send)
            return
        encoding = _encoding(scope["subprotocols"])
        await send({"type": "websocket.accept", "subprotocol": encoding and encoding.value})
        channel: FrameChannel = scope["extensions"][EXTENSION]
        if channel.is_open:
            hub = self._shared.hub
            connection = hub.open(SocketOutlet(channel, send), encoding or Encoding.JSON)
            channel.on_close(lambda code, reason: hub.closed(connection, lost=code == _LOST))
            await self._converse(channel, connection, key, address, caller, receive)

    async def _converse(
        self,
        channel: FrameChannel,
        connection: Connection,
        key: Mapping[bytes, bytes],
        address: str,
        caller: Caller | None,
        receive: Receive,
    ) -> None:
        # Requests under way when the socket ends are finished, with nobody to answer.
        async with asyncio.TaskGroup() as tasks:
            session = SocketSession(self._shared, connection, key, address, tasks.create_task)
            session.greet(caller)
            channel.on_message(session.receive)
            watch = tasks.create_task(self._close_idle(session, connection))
            await receive()
            watch.cancel()

    def _counted(self, address: str) -> Refusal | None:
        """A handshake is a request of its address, whoever it is from: until it is read nobody knows."""
        context = self._shared.context
        limiter = context.limits.addresses
        if not context.limits.enabled:
            return None
        left = limiter.take(address, context.clock.monotonic_ns())
        return None if left >= 0 else limiter.refusal(left)

    def _identify(self, key: Mapping[bytes, bytes]) -> Caller | Refusal | None:
        return self._shared.gate.admit(key, KeyScope.READ, of_team=False) if key else None

    async def _close_idle(self, session: SocketSession, connection: Connection) -> None:
        while not session.is_logged_in:
            await asyncio.sleep(self._idle_s)
            if session.is_idle:
                self._shared.hub.close(connection, IDLE, "neither a key nor a subscription")
                return

    async def _deny(self, refusal: Refusal, send: Send) -> None:
        context = self._shared.context
        rendered = render(refusal, context.request_ids.next(), context.clock.now_us(), context.grids)
        length = (b"content-length", b"%d" % len(rendered.body))
        await send(
            {
                "type": "websocket.http.response.start",
                "status": rendered.status,
                "headers": [*rendered.headers, length],
            }
        )
        await send({"type": "websocket.http.response.body", "body": rendered.body})


def stream_routes(
    context: ApiContext, hub: Hub, publisher: Publisher, epoch: str
) -> tuple[WebSocketRoute, ...]:
    """What :func:`exchange.api.app.build_api` takes as ``sockets``."""
    gate = Gate(context.teams, context.settings.admin_key_hash)
    return (WebSocketRoute("/ws", StreamEndpoint(Streams(context, gate, hub, publisher, epoch))),)


def _credentials(headers: list[Header]) -> dict[bytes, bytes] | Refusal:
    """The headers that carry a key, each given once."""
    given = [header for header in headers if header[0] in _CREDENTIALS]
    return _GIVEN_TWICE if len({name for name, _ in given}) < len(given) else dict(given)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _encoding(subprotocols: list[str]) -> Encoding | None:
    """The first offered that is known; None where the client offered none of ours, which means JSON."""
    known = {each.value: each for each in Encoding}
    return next((known[each] for each in subprotocols if each in known), None)
