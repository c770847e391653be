"""uvicorn as a part of the exchange: no signals of its own, three awaits in the composition root's hands."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that a busy port is known before anything else starts; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class Listener(uvicorn.Server):
    """Serves ``app`` on one socket until :meth:`close`.

    A WebSocket is pinged each ``ping_interval_s``, and dropped without a pong within ``ping_timeout_s``.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        http: type[asyncio.Protocol],
        ws: type[asyncio.Protocol],
        keep_alive_s: float,
        max_message_bytes: int,
        ping_interval_s: float = 20.0,
        ping_timeout_s: float = 20.0,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                ws=ws,
                loop="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=round(keep_alive_s),
                timeout_graceful_shutdown=2,
                ws_max_size=max_message_bytes,
                ws_ping_interval=ping_interval_s,
                ws_ping_timeout=ping_timeout_s,
                ws_per_message_deflate=False,
            )
        )
        self._sock = sock
        self._listening = asyncio.Event()

    @property
    def port(self) -> int:
        """The port in use, also where 0 was asked for."""
        port: int = self._sock.getsockname()[1]
        return port

    async def run_until_closed(self) -> None:
        """Accept and serve; returns when every connection is closed after :meth:`close`.

        One that does not close in time is aborted: uvloop's own ``close`` would wait for it for ever.
        """
        await self.serve(sockets=[self._sock])
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)

    async def wait_listening(self) -> None:
        """Until connections are accepted."""
        await self._listening.wait()

    def close(self) -> None:
        """Stop accepting; sockets get 1012, answers under way are finished."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals belong to the composition root."""
        yield
