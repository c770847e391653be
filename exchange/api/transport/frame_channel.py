"""``scope["extensions"]["exchange.frames"]``: a WebSocket without a queue, a task or an await per message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from exchange.api.transport.frame_writer import FrameWriter

EXTENSION: Final = "exchange.frames"

MessageHandler = Callable[[str | bytes], None]
CloseHandler = Callable[[int, str], None]


class FrameSource(Protocol):
    """What the channel asks of the protocol behind it."""

    def set_message_handler(self, handler: MessageHandler) -> None: ...

    def set_close_handler(self, handler: CloseHandler) -> None: ...

    def hold_messages(self) -> None: ...

    def release_messages(self) -> None: ...

    def close_socket(self, code: int, reason: str) -> None: ...


class FrameChannel:
    """One socket, after it was accepted. Everything here is called on the loop and nothing waits.

    ``write(frame)`` hands in a frame of :mod:`exchange.api.transport.frames`, in order with ASGI's ``send``;
    False when the socket is not (or no longer) open. The caller compares ``buffered_bytes`` with its limit.
    """

    __slots__ = ("_source", "_writer", "buffered_bytes", "write")

    def __init__(self, source: FrameSource, writer: FrameWriter) -> None:
        self._source = source
        self._writer = writer
        self.write: Callable[[bytes], bool] = writer.send
        self.buffered_bytes: Callable[[], int] = writer.buffered_bytes

    @property
    def is_open(self) -> bool:
        """Accepted, and neither side has begun to close."""
        return self._writer.open

    def on_message(self, handler: MessageHandler) -> None:
        """From now on give each message to ``handler``, in order, in place of ASGI's ``receive``.

        ``receive`` then only ever returns the disconnect, so that awaiting it is awaiting the end. An
        exception of ``handler`` is logged and closes the socket with 1011.
        """
        self._source.set_message_handler(handler)

    def on_close(self, handler: CloseHandler) -> None:
        """Call ``handler`` once with close code and reason when the end is known; 1006 is a lost client."""
        self._source.set_close_handler(handler)

    def pause(self) -> None:
        """No further message until :meth:`resume`; the client is slowed down by TCP."""
        if self._writer.open:
            self._source.hold_messages()

    def resume(self) -> None:
        """Undo :meth:`pause`; never calls the handler itself."""
        if self._writer.open:
            self._source.release_messages()

    def close(self, code: int, reason: str = "") -> None:
        """Send what was written, then the close frame; nothing when not open. Reason: at most 123 bytes."""
        self._source.close_socket(code, reason)
