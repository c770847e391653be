"""From bytes to messages: what a WebSocket client sends, for a handler or for ASGI's ``receive``."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame

from exchange.api.transport.connections import ProtocolLimits
from exchange.api.transport.frame_channel import MessageHandler
from exchange.api.transport.frame_writer import FrameWriter
from exchange.api.transport.frames import BINARY, TEXT, frame_span
from exchange.api.transport.request_reader import ProtocolSettings

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C extension
    from websockets.utils import apply_mask


class WsIntake(WebSocketsSansIOProtocol):
    """Whole messages in one frame are taken from what arrives directly; all else goes through ``websockets``.

    Fragments, control frames and whatever breaks the rules reach that library frame by frame. It therefore
    always stands between two frames, and the two ways can alternate.
    """

    __slots__ = ("_holding", "_incoming", "_limits", "_needed", "_on_message", "_writer")

    settings: ClassVar[ProtocolSettings]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits: ProtocolLimits = self.settings.limits
        self._writer: FrameWriter
        self._incoming = bytearray()
        self._needed = 0
        # Until it is accepted a client has nothing to say.
        self._holding = True
        self._on_message: MessageHandler | None = None

    def close_socket(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        raise NotImplementedError

    # --- for the channel -------------------------------------------------------------------------------

    def set_message_handler(self, handler: MessageHandler) -> None:
        self._on_message = handler
        self._hand_over_queued()

    def hold_messages(self) -> None:
        self._holding = True
        self.transport.pause_reading()

    def release_messages(self) -> None:
        if self._holding:
            self._holding = False
            # Later, because this may well be called by the handler itself.
            self.loop.call_soon(self._go_on)

    # --- frames ----------------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take in what arrived after the opening handshake."""
        if self._incoming or self._holding:
            self._gather(data)
        else:
            self._take(data)

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

    # --- called by uvicorn for what goes through the library -------------------------------------------

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

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    # --- after a pause ---------------------------------------------------------------------------------

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
