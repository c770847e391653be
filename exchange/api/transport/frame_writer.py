"""The way out of one socket: the frames of one turn of the loop leave in one write, in their order."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle, Transport
from typing import Any

from exchange.base.bounds import MAX_UNFLUSHED_FRAMES


class TurnFlusher:
    """Writes what the sockets of one server gathered in a turn: one callback of the loop for all of them.

    Whoever has gathered a lot calls :meth:`flush` and saves that turn.
    """

    def __init__(self) -> None:
        self._waiting: list[FrameWriter] = []

    def add(self, writer: FrameWriter, loop: AbstractEventLoop) -> None:
        """Flush ``writer`` at the end of this turn."""
        if not self._waiting:
            loop.call_soon(self.flush)
        self._waiting.append(writer)

    def flush(self) -> None:
        """Write everything that was gathered until now."""
        waiting, self._waiting = self._waiting, []
        for writer in waiting:
            try:
                writer.flush()
            except (OSError, RuntimeError):
                # uvloop's word for a socket that is gone already: the others still get theirs.
                writer.abort()


class FrameWriter:
    """Stands between uvicorn's WebSocket protocol and the transport, with the methods that protocol uses.

    ``close`` ends the connection so that the client can still read its close frame: it stops sending, goes
    on reading (what arrives is for the protocol to drop) and resets the connection when the client does not
    end it within ``close_timeout_s``.
    """

    __slots__ = (
        "_close_timer",
        "_close_timeout_s",
        "_flusher",
        "_frames",
        "_frames_bytes",
        "_loop",
        "_transport",
        "closing",
        "open",
    )

    def __init__(
        self, transport: Transport, loop: AbstractEventLoop, flusher: TurnFlusher, close_timeout_s: float
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._flusher = flusher
        self._close_timeout_s = close_timeout_s
        self._close_timer: TimerHandle | None = None
        self._frames: list[bytes] = []
        self._frames_bytes = 0
        self.open = False
        self.closing = False

    def send(self, frame: bytes) -> bool:
        """Hand in one finished frame; False before the handshake and once closing has begun."""
        if not self.open:
            return False
        frames = self._frames
        if not frames:
            self._flusher.add(self, self._loop)
        frames.append(frame)
        self._frames_bytes += len(frame)
        if len(frames) >= MAX_UNFLUSHED_FRAMES:
            self.flush()
        return True

    def write(self, data: bytes) -> None:
        """Hand in whatever uvicorn writes: the handshake, frames, control frames."""
        if self.closing or not data:
            return
        if not self._frames:
            self._flusher.add(self, self._loop)
        self._frames.append(data)
        self._frames_bytes += len(data)

    def flush(self) -> None:
        """Give the transport everything gathered."""
        frames = self._frames
        if frames:
            self._frames = []
            self._frames_bytes = 0
            self._transport.write(b"".join(frames) if len(frames) > 1 else frames[0])

    def buffered_bytes(self) -> int:
        """Bytes handed in and not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() + self._frames_bytes

    def close(self) -> None:
        """Send what is left, then end the connection as described above."""
        if self.closing:
            return
        self.flush()
        self.open = False
        self.closing = True
        transport = self._transport
        if transport.is_closing():
            return
        self._close_timer = self._loop.call_later(self._close_timeout_s, transport.abort)
        if transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:
            transport.close()

    def abort(self) -> None:
        """Reset the connection; what is left is lost."""
        self._drop()
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        self._drop()
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None

    def is_closing(self) -> bool:
        return self.closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def _drop(self) -> None:
        self.open = False
        self.closing = True
        self._frames = []
        self._frames_bytes = 0
