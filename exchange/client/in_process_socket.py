"""One WebSocket of an ASGI application in the same event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from exchange.base.bounds import BACKLOG_BUFFER_BYTES, IN_PROCESS_MESSAGES
from exchange.client.answers import refusal_of
from exchange.client.asgi import AsgiApp, Exchanged, Message
from exchange.client.transport import SocketClosed

FRAMES_EXTENSION: Final = "exchange.frames"

_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
_BROKEN: Final = 1006
_FAILED: Final = 1011
_CLOSE_TIMEOUT_S: Final = 1.0


class InProcessSocket:
    """The application runs as a task until either side closes.

    It may send and receive as ASGI says, or through the extension ``exchange.frames`` as under the exchange's
    own server; then it is the application that watches how much is unread.
    """

    def __init__(self, app: AsgiApp, scope: Message) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue(IN_PROCESS_MESSAGES)
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed: SocketClosed | None = None
        self._denied = Exchanged(b"")
        self._channel = FrameChannel(self)
        scope["extensions"] = {FRAMES_EXTENSION: self._channel}
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._run(app, scope))

    # --- the client's side ----------------------------------------------------------------------

    async def opened(self) -> None:
        """Until the application has accepted; raises ExchangeError when it does not."""
        await self._accepted

    async def send(self, message: bytes) -> None:
        if self._closed is not None:
            raise self._closed
        if not self._channel.take(message.decode()):
            await self._to_app.put({"type": "websocket.receive", "text": message.decode()})

    async def receive(self) -> bytes:
        unread = self._unread
        while not unread:
            if self._closed is not None:
                raise self._closed
            self._news.clear()
            await self._news.wait()
        message = unread.popleft()
        self._unread_bytes -= len(message)
        if len(unread) < IN_PROCESS_MESSAGES // 2 and self._unread_bytes < BACKLOG_BUFFER_BYTES // 2:
            self._room.set()
        return message

    async def close(self) -> None:
        self.end(SocketClosed(_GOING_AWAY))
        if self.task is asyncio.current_task():
            return
        await asyncio.wait((self.task,), timeout=_CLOSE_TIMEOUT_S)
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    # --- the application's side -----------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Accepted and not closed."""
        return self._closed is None and self._accepted.done()

    @property
    def unread(self) -> tuple[int, int]:
        """Messages and bytes the client has not taken yet."""
        return len(self._unread), self._unread_bytes

    def put(self, message: bytes) -> None:
        """Give the client one message."""
        self._unread.append(message)
        self._unread_bytes += len(message)
        self._news.set()

    def end(self, closed: SocketClosed) -> None:
        """Either side has closed; what is unread can still be read."""
        if self._closed is not None:
            return
        self._closed = closed
        if not self._accepted.done():
            self._accepted.set_exception(refusal_of(self._denied.answer()) if self._denied.status else closed)
        self._news.set()
        self._room.set()
        # Wakes an application that waits; one that has messages to read finds the end behind them.
        if self._to_app.empty():
            self._to_app.put_nowait(self._disconnect())
        self._channel.tell_closed(closed)

    def undelivered(self) -> list[str]:
        """Messages that ASGI's ``receive`` has not returned yet, in order; they are taken out."""
        messages: list[str] = []
        while self._closed is None and not self._to_app.empty():
            messages.append(self._to_app.get_nowait()["text"])
        return messages

    async def _run(self, app: AsgiApp, scope: Message) -> None:
        try:
            await app(scope, self._to, self._from)
        except Exception as error:
            self.end(SocketClosed(_FAILED, f"the application failed: {error!r}"))
        finally:
            self.end(SocketClosed(_BROKEN, "the application ended"))

    async def _to(self) -> Message:
        if self._closed is not None and self._to_app.empty():
            return self._disconnect()
        return await self._to_app.get()

    async def _from(self, message: Message) -> None:
        match message["type"]:
            case "websocket.accept" if not self._accepted.done():
                self._accepted.set_result(None)
            case "websocket.send":
                await self._wait_room()
                text = message.get("text")
                content = message.get("bytes") if text is None else text.encode()
                if content is not None and self._closed is None:
                    self.put(content)
            case "websocket.close":
                self.end(SocketClosed(message.get("code", _NORMAL), message.get("reason") or ""))
            case "websocket.http.response.start" | "websocket.http.response.body" as kind:
                await self._denied.send({**message, "type": kind.removeprefix("websocket.")})

    async def _wait_room(self) -> None:
        # An application that sends a backlog counts bytes, and asks again at once if it was not made to wait.
        while self._is_full and self._closed is None:
            self._room.clear()
            await self._room.wait()

    @property
    def _is_full(self) -> bool:
        return len(self._unread) >= IN_PROCESS_MESSAGES or self._unread_bytes >= BACKLOG_BUFFER_BYTES

    def _disconnect(self) -> Message:
        code = _BROKEN if self._closed is None else self._closed.close_code
        return {"type": "websocket.disconnect", "code": code}


class FrameChannel:
    """``scope["extensions"]["exchange.frames"]``: frames in, messages out, without an await."""

    def __init__(self, socket: InProcessSocket) -> None:
        self._socket = socket
        self._on_message: Callable[[str], None] | None = None
        self._on_close: Callable[[int, str], None] | None = None

    @property
    def is_open(self) -> bool:
        return self._socket.is_open

    def write(self, frame: bytes) -> bool:
        if not self._socket.is_open:
            return False
        self._socket.put(_payload(frame))
        return True

    def buffered_bytes(self) -> int:
        return self._socket.unread[1]

    def on_message(self, handler: Callable[[str], None]) -> None:
        self._on_message = handler
        for message in self._socket.undelivered():
            self.take(message)

    def on_close(self, handler: Callable[[int, str], None]) -> None:
        self._on_close = handler

    def close(self, code: int, reason: str = "") -> None:
        self._socket.end(SocketClosed(code, reason))

    def take(self, message: str) -> bool:
        """Give the application a message; False when it receives as ASGI says."""
        if self._on_message is None:
            return False
        try:
            self._on_message(message)
        except Exception as error:
            self._socket.end(SocketClosed(_FAILED, f"the application failed: {error!r}"))
        return True

    def tell_closed(self, closed: SocketClosed) -> None:
        """The end is known."""
        if self._on_close is not None:
            self._on_close(closed.close_code, closed.reason)


def _payload(frame: bytes) -> bytes:
    # RFC 6455 section 5.2, a whole unmasked frame.
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]
