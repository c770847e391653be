"""One WebSocket: how it is opened, what it may cost, how it ends."""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseTransport, Transport
from typing import Any, ClassVar, cast

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import CloseCode
from websockets.http11 import Request

from exchange.api.transport import refusals
from exchange.api.transport.frame_channel import EXTENSION, CloseHandler, FrameChannel
from exchange.api.transport.frame_writer import FrameWriter, TurnFlusher
from exchange.api.transport.request_reader import ProtocolSettings
from exchange.api.transport.ws_connection import Inbox, WsConnection
from exchange.api.transport.ws_intake import WsIntake


def make_ws_protocol(given: ProtocolSettings, flushes: TurnFlusher | None = None) -> type[WebSocketProtocol]:
    """The class for ``uvicorn.Config(ws=...)`` of one server, whose sockets ``flushes`` writes."""

    class BoundWebSocketProtocol(WebSocketProtocol):
        settings = given
        flusher = flushes or TurnFlusher()

    return BoundWebSocketProtocol


class WebSocketProtocol(WsIntake):
    """One connection, from the upgrade of an HTTP connection on, whose place at the counter it gives back.

    Compression is off whatever the configuration says.
    """

    __slots__ = ("_counter", "_discarded_bytes", "_end", "_on_close")

    flusher: ClassVar[TurnFlusher]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._counter = self.settings.counter
        self.close_timeout = self._limits.close_timeout_s
        self.queue = Inbox(self._ended)
        self.conn = WsConnection(self.settings.envelopes, self._limits.max_message_bytes, self._closing_begun)
        self._discarded_bytes = 0
        self._on_close: CloseHandler | None = None
        self._end: tuple[int, str] | None = None

    # --- from the transport ----------------------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._writer = FrameWriter(
            cast(Transport, transport), self.loop, self.flusher, self._limits.close_timeout_s
        )
        self.transport = cast(Transport, self._writer)

    def data_received(self, data: bytes) -> None:
        if self._writer.closing:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > self._limits.max_discarded_bytes:
                self._writer.abort()
        elif not self.handshake_initiated:
            self._shake_hands(data)
        else:
            self.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.lost()
        self._counter.release(None if self.client is None else self.client[0])
        if self._end is None:
            self._counter.client_gone()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE})
        super().connection_lost(exc)

    def _shake_hands(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is None or self.close_sent:
            return
        # What the library could not read as a request it answers with nothing at all, or too late to be sent.
        self._counter.refused(refusals.BAD_HTTP_REQUEST.code)
        self.conn.data_to_send()
        self.close_sent = self.handshake_complete = True
        self.transport.write(self.settings.envelopes.response(refusals.BAD_HTTP_REQUEST))
        self.transport.close()

    # --- in place of uvicorn's -------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[EXTENSION] = FrameChannel(self, self._writer)
        else:
            self._counter.refused(refusals.BAD_HTTP_REQUEST.code)

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI ``send``; raises ClientDisconnected, an OSError, once the connection is ending."""
        if self._writer.closing:
            # uvicorn takes a connection it failed itself for one the application closed, and blames that.
            raise ClientDisconnected
        await super().send(message)

    def start_keepalive(self) -> None:
        """Called once the handshake has been answered."""
        super().start_keepalive()
        self._writer.open = True
        self.release_messages()

    def handle_ping(self) -> None:
        if self._writer.buffered_bytes() > self._limits.max_buffered_bytes:
            # Pongs nobody reads; a close frame would only join them.
            self._writer.abort()
        else:
            super().handle_ping()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        if self.conn.close_sent is not None:
            self._counter.refused(f"WS_{int(self.conn.close_sent.code)}")

    def keepalive_timeout(self) -> None:
        if self.ping_timeout is not None and (self._holding or self.read_paused):
            # The pong may have arrived; it is the server that does not read.
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def send_500_response(self) -> None:
        if self._writer.open:
            self.close_socket(CloseCode.INTERNAL_ERROR, "")
        else:
            super().send_500_response()

    def shutdown(self) -> None:
        if self._writer.closing:
            self.stop_keepalive()
        else:
            super().shutdown()

    # --- for the channel -------------------------------------------------------------------------------

    def set_close_handler(self, handler: CloseHandler) -> None:
        self._on_close = handler
        if self._end is not None:
            handler(*self._end)

    def close_socket(self, code: int, reason: str) -> None:
        if not self._writer.open:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _closing_begun(self) -> None:
        self._writer.open = False
        self.release_messages()

    def _ended(self, code: int, reason: str) -> None:
        if self._end is not None:
            return
        self._end = (int(code), reason)
        if self._on_close is None:
            return
        try:
            self._on_close(*self._end)
        except Exception:
            self.logger.exception("Exception in the handler of a WebSocket's end\n")
