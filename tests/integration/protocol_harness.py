"""Both protocols over real sockets: a server without routes, and a client that sends any bytes it likes."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec

import uvicorn
import uvloop
from uvicorn.server import ServerState

from exchange.api.transport.connections import ConnectionCounter, ProtocolLimits, ProtocolStatistics
from exchange.api.transport.protocol import make_http_protocol
from exchange.api.transport.refusals import Envelopes
from exchange.api.transport.request_reader import Direct, ProtocolSettings
from exchange.api.transport.ws_protocol import make_ws_protocol
from exchange.base.clock import ManualClock

P = ParamSpec("P")
Asgi = Callable[[Any, Any, Any], Awaitable[None]]

DEADLINE_S = 15
SHORT_S = 0.2


def on_uvloop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run ``test`` on the loop the server runs on, within a deadline."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(DEADLINE_S):
                await test(*args, **kwargs)

        uvloop.run(bounded())

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; the test's deadline bounds it."""
    loop = asyncio.get_running_loop()
    turn = asyncio.Event()
    while not condition():
        loop.call_later(0.001, turn.set)
        await turn.wait()
        turn.clear()


@dataclass
class Answer:
    """One HTTP answer as read from the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class Peer:
    """A raw client socket."""

    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def flood(self, data: bytes) -> None:
        """Send ``data`` as far as the server lets it."""
        try:
            await self.send(data)
        except (ConnectionResetError, BrokenPipeError):
            return

    async def more(self) -> bool:
        """Read something; False at the end of the stream, raises ConnectionResetError."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65_536)
        self.received += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes; raises EOFError."""
        while len(self.received) < size:
            if not await self.more():
                raise EOFError(bytes(self.received))
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    async def to_end(self) -> bytes:
        """Everything up to the end of the stream."""
        while await self.more():
            pass
        return bytes(self.received)

    async def to_end_or_reset(self) -> bytes:
        """Everything received, however the connection ended."""
        try:
            return await self.to_end()
        except ConnectionResetError:
            return bytes(self.received)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next HTTP answer."""
        while b"\r\n\r\n" not in self.received:
            if not await self.more():
                raise EOFError(bytes(self.received))
        head = await self.take(self.received.index(b"\r\n\r\n") + 4)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        length = 0 if head_only else int(headers.get("content-length", "0"))
        return Answer(int(status.split()[1]), headers, await self.take(length))

    async def last_answer(self) -> Answer:
        """The next answer, which must be the last thing the server sends."""
        answer = await self.answer()
        assert await self.to_end() == b""
        return answer

    async def upgrade(self, path: str = "/", extra: str = "") -> Answer:
        """Shake hands for a WebSocket."""
        await self.send(handshake(path, extra))
        return await self.answer()

    async def frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next WebSocket frame."""
        first, size = await self.take(2)
        if size == 126:
            size = int.from_bytes(await self.take(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.take(8), "big")
        return first, await self.take(size)

    async def close_code(self) -> int:
        """The code of the next frame, which must be a close frame."""
        first, payload = await self.frame()
        assert first == 0x88, (hex(first), payload)
        return int.from_bytes(payload[:2], "big")

    def half_close(self) -> None:
        """Say that nothing more will come."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: a RST in place of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def handshake(path: str = "/", extra: str = "") -> bytes:
    """The head of a WebSocket upgrade."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    ).encode()


def client_frame(payload: bytes, first: int = 0x81, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """A masked frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))


@dataclass
class Running:
    """A server in this loop."""

    port: int
    settings: ProtocolSettings
    state: ServerState
    peers: list[Peer] = field(default_factory=list)

    async def open(self, *, receive_buffer: int | None = None) -> Peer:
        """A new connection."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        self.peers.append(Peer(sock))
        return self.peers[-1]

    @property
    def statistics(self) -> ProtocolStatistics:
        return self.settings.counter.statistics()

    async def until_open(self, connections: int) -> None:
        """Wait until so many connections are counted."""
        await until(lambda: self.statistics.connections_open == connections)


def make_settings(
    counter: ConnectionCounter | None = None, direct: Direct | None = None, **limits: Any
) -> ProtocolSettings:
    """Settings with a clock that stands still at 2026-01-01 and request ids that count."""
    ids: Iterator[int] = itertools.count(1)
    envelopes = Envelopes(ManualClock(1_767_225_600_000_000), lambda: f"req_{next(ids)}")
    return ProtocolSettings(ProtocolLimits(**limits), counter or ConnectionCounter(), envelopes, direct)


@asynccontextmanager
async def serving(
    app: Asgi,
    counter: ConnectionCounter | None = None,
    config: dict[str, Any] | None = None,
    direct: Direct | None = None,
    **limits: Any,
) -> AsyncIterator[Running]:
    """Serve ``app``; at the end every connection must be given back to the counter."""
    settings = make_settings(counter, direct, **limits)
    options = uvicorn.Config(
        app,
        http=make_http_protocol(settings),
        ws=make_ws_protocol(settings),
        log_config=None,
        proxy_headers=False,
        interface="asgi3",
        **config or {},
    )
    options.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: options.http_protocol_class(config=options, server_state=state, app_state={}),  # type: ignore[call-arg]  # as uvicorn itself calls it
        "127.0.0.1",
        0,
    )
    running = Running(server.sockets[0].getsockname()[1], settings, state)
    try:
        yield running
    finally:
        server.close()
        for peer in running.peers:
            peer.sock.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await until(lambda: running.statistics.connections_open == running.statistics.refused_open == 0)
        for task in list(state.tasks):
            task.cancel()
        await until(lambda: not state.tasks)


def request(method: str = "GET", path: str = "/", body: bytes = b"", *headers: str) -> bytes:
    """A correct request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def read_body(receive: Any) -> bytes | None:
    """The whole body, None when the client left before."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def answer(send: Any, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """A whole answer."""
    fields = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers the path, and the body when there is one; nothing when the client left before it was whole."""
    body = await read_body(receive)
    if body is not None:
        await answer(send, scope["path"].encode() + b"|" + body)
