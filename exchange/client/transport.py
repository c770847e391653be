"""How requests and sockets reach the exchange: the one thing that differs between http, ws and in-process."""

from __future__ import annotations

from typing import Protocol

import msgspec

from exchange.client.errors import ConnectionLost


class HttpAnswer(msgspec.Struct, frozen=True, gc=False):
    """What came back over HTTP, undecoded."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class SocketClosed(ConnectionLost):
    """The WebSocket ended. ``close_code`` is that of RFC 6455, 1006 where the connection just broke."""

    def __init__(self, close_code: int, reason: str = "") -> None:
        super().__init__(f"the socket was closed ({close_code}{': ' if reason else ''}{reason})", sent=True)
        self.close_code = close_code
        self.reason = reason


class Socket(Protocol):
    """One open WebSocket. One task receives, any number send."""

    async def send(self, message: bytes) -> None:
        """Hand over one message; raises :class:`SocketClosed`."""
        ...

    async def receive(self) -> bytes:
        """The next message; raises :class:`SocketClosed`."""
        ...

    async def close(self) -> None:
        """Say goodbye; harmless when it is closed already."""
        ...


class Transport(Protocol):
    """A way to one exchange with one API key. Opened by its first use."""

    @property
    def api_key(self) -> str | None: ...

    @property
    def prefers_socket(self) -> bool:
        """Whether what can go over the socket does; the rest goes over HTTP in any case."""
        ...

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        """One HTTP exchange; ``target`` is the path with its query. Raises ConnectionLost, never retries."""
        ...

    async def connect(self) -> Socket:
        """A new socket; raises ExchangeError: what the exchange said to the handshake, or ConnectionLost."""
        ...

    async def close(self) -> None:
        """Give back every connection, for good; harmless when done twice."""
        ...
