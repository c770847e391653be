"""One WebSocket: uvicorn's sans-I/O protocol with bounds, and a direct way in and out for frames."""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseTransport, Transport
from typing import Any, ClassVar, cast

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from exchange.api import refusals
from exchange.api.frame_channel import EXTENSION, CloseHandler, FrameChannel, MessageHandler
from exchange.api.frame_writer import FrameWriter, TurnFlusher
from exchange.api.frames import BINARY, TEXT, frame_span
from exchange.api.request_reader import ProtocolSettings
from exchange.api.ws_connection import Inbox, WsConnection

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C extension
    from websockets.utils import apply_mask


def make_ws_protocol(given: ProtocolSettings) -> type[WebSocketProtocol]:
    """The class for ``uvicorn.Config(ws=...)`` of one server."""

    class BoundWebSocketProtocol(WebSocketProtocol):
        settings = given
        flusher = TurnFlusher()

    return BoundWebSocketProtocol


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection, from the upgrade of an HTTP connection on, whose place at the counter it gives back.

    Whole messages in one frame are taken from what arrives directly; fragments, control frames and whatever
    breaks the rules go, frame by frame, through ``websockets``. That library therefore always stands between
    two frames, and the two ways can alternate. Compression is off whatever the configuration says.
    """

    __slots__ = (
        "_counter",
        "_discarded_bytes",
        "_end",
        "_holding",
        "_incoming",
        "_limits",
        "_needed",
        "_on_close",
        "_on_message",
        "_writer",
    )

    settings: ClassVar[ProtocolSettings]
    flusher: ClassVar[TurnFlusher]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = self.settings.limits
        self._counter = self.settings.counter
        self.close_timeout = self._limits.close_timeout_s
        self.queue = Inbox(self._ended)
        self.conn = WsConnection(self.settings.envelopes, self._limits.max_message_bytes, self._closing_begun)
        self._writer: FrameWriter
        self._incoming = bytearray()
        self._needed = 0
        self._discarded_bytes = 0
        # Until it is accepted a client has nothing to say.
        self._holding = True
        self._on_message: MessageHandler | None = None
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
        elif self._incoming or self._holding:
            self._gather(data)
        else:
            self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.lost()
        self._on_message = None
        if self._end is None:
            self._counter.client_gone()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE})
        super().connection_lost(exc)
        self._counter.release(None if self.client is None else self.client[0])

    # --- what arrives ----------------------------------------------------------------------------------

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

    def _gather(self, data: bytes) -> None:
        self._incoming += data
        if self._holding:
            self.transport.pause_reading()
        elif len(self._incoming) >= self._needed:
            self._take_gathered()

    def _take_gathered(self) -> None:
        data = bytes(self._incoming)
        self._incoming.clear()
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Every whole frame of ``data``; the rest waits in ``_incoming``, for more or to be released."""
        position = self._needed = 0
        end = len(data)
        writer = self._writer
        most = self._limits.max_message_bytes
        while position < end and not self._holding:
            payload, stop = frame_span(data, position)
            size = stop - payload
            if (not stop or stop > end) and size <= most:
                self._needed = stop - position if stop else 0
                break
            first = data[position]
            direct = first in (TEXT, BINARY) and size <= most and payload - position > 2
            if direct and writer.open and self.conn.current_size is None:
                content = apply_mask(data[payload:stop], data[payload - 4 : payload])
                self._deliver(content, first == TEXT)
            else:
                self._take_other(data[position:stop])
            if writer.closing:
                return
            position = stop
        if position < end:
            self._incoming += data[position:]

    def _take_other(self, frame: bytes) -> None:
        self.conn.receive_data(frame)
        if self.conn.parser_exc is not None:
            self.handle_parser_exception()
        else:
            self.handle_events()

    def _deliver(self, content: bytes, is_text: bool) -> None:
        message: str | bytes = content
        if is_text:
            try:
                message = content.decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return
        if self._on_message is None:
            self._queue_message(message)
        else:
            self._hand_over(message)

    def _hand_over(self, message: str | bytes) -> None:
        assert self._on_message is not None
        try:
            self._on_message(message)
        except Exception:
            self.logger.exception("Exception in the handler of a WebSocket message\n")
            self.close_socket(CloseCode.INTERNAL_ERROR, "")

    def _queue_message(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.queue.put_nowait({"type": "websocket.receive", "text": message})
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": message})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

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

    def send_receive_event_to_app(self) -> None:
        content = b"".join(self.frames)
        self.frames = []
        if not self.close_sent:
            self._deliver(content, self.curr_msg_data_type == "text")

    def handle_cont(self, event: Frame) -> None:
        # Empty fragments weigh nothing in the size of a message, but something in memory.
        if len(self.frames) >= self._limits.max_fragments:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        else:
            super().handle_cont(event)

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

    def set_message_handler(self, handler: MessageHandler) -> None:
        self._on_message = handler
        self._hand_over_queued()

    def set_close_handler(self, handler: CloseHandler) -> None:
        self._on_close = handler
        if self._end is not None:
            handler(*self._end)

    def hold_messages(self) -> None:
        self._holding = True
        self.transport.pause_reading()

    def release_messages(self) -> None:
        if self._holding:
            self._holding = False
            # Later, because this may well be called by the handler itself.
            self.loop.call_soon(self._go_on)

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

    def _go_on(self) -> None:
        if self._on_message is not None:
            self._hand_over_queued()
        if self._incoming and not self._holding and not self._writer.closing:
            self._take_gathered()
        if not self._holding and not self.read_paused:
            self.transport.resume_reading()

    def _hand_over_queued(self) -> None:
        """What came for ``receive`` before there was a handler, as far as it is not held."""
        others = []
        while not self.queue.empty() and not self._holding:
            event = cast(dict[str, Any], self.queue.get_nowait())
            if event["type"] == "websocket.receive":
                self._hand_over(event["text"] if "text" in event else event["bytes"])
            else:
                others.append(event)
        for event in others:
            self.queue.put_nowait(cast(Any, event))
        if self.read_paused and not self._holding:
            self.read_paused = False
            self.transport.resume_reading()

    def _closing_begun(self) -> None:
        self._writer.open = False
        self.release_messages()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def _ended(self, code: int, reason: str) -> None:
        if self._end is not None:
            return
        self._end = (int(code), reason)
        if self._on_close is not None:
            self._on_close(*self._end)
