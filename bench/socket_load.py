"""A WebSocket client that costs little: a fixed number of requests in flight on one socket."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.load import CLIENT_CORE, LoadResult, Target, pin


def frame(payload: bytes) -> bytes:
    """A text frame of a client; masked with zeros, which leaves the payload as it is."""
    length = len(payload)
    head = (
        struct.pack("!BB", 0x81, 0x80 | length) if length < 126 else struct.pack("!BBH", 0x81, 0xFE, length)
    )
    return head + b"\0\0\0\0" + payload


class _Socket(asyncio.Protocol):
    def __init__(
        self, host: str, key: str, requests: Iterator[bytes], in_flight: int, began: float, until: float
    ) -> None:
        token = base64.b64encode(os.urandom(16)).decode()
        self._handshake = (
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {token}\r\nSec-WebSocket-Version: 13\r\nX-API-Key: {key}\r\n\r\n"
        ).encode()
        self._requests = requests
        self._in_flight = in_flight
        self._began = began
        self._until = until
        self._buffer = b""
        self._open = False
        self._sent: deque[float] = deque()
        self.result = LoadResult(until - began)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._handshake)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._buffer = self._buffer[end + 4 :]
            self._open = True
            self._send(self._in_flight)
        answered = sum(self._answers())
        if answered and time.perf_counter() < self._until:
            self._send(answered)
        elif not self._sent:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _answers(self) -> Iterator[bool]:
        """One True for each answer to a request; events and the greeting are passed over."""
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 4:
            length, body = buffer[start + 1], start + 2
            if length == 126:
                length, body = struct.unpack_from("!H", buffer, start + 2)[0], start + 4
            if len(buffer) < body + length:
                break
            payload = buffer[body : body + length]
            start = body + length
            if payload.startswith(b'{"id"'):
                self._note(payload)
                yield True
        self._buffer = buffer[start:]

    def _note(self, payload: bytes) -> None:
        now, sent = time.perf_counter(), self._sent.popleft()
        self.result.requests += 1
        if sent >= self._began:
            self.result.latencies.append(now - sent)
            self.result.failures += b'"error"' in payload

    def _send(self, number: int) -> None:
        now = time.perf_counter()
        self._sent.extend([now] * number)
        self._transport.write(b"".join(next(self._requests) for _ in range(number)))


async def _drive(
    url: str, key: str, requests: Iterator[bytes], in_flight: int, warm_up_s: float, seconds: float
) -> LoadResult:
    target = urlsplit(url)
    began = time.perf_counter() + warm_up_s
    _, socket = await asyncio.get_running_loop().create_connection(
        lambda: _Socket(target.netloc, key, requests, in_flight, began, began + seconds),
        target.hostname or "127.0.0.1",
        target.port or 80,
    )
    await asyncio.wait([socket.done], timeout=warm_up_s + seconds + 10)
    return socket.result


def drive_socket(
    server: Target, requests: Iterator[bytes], *, in_flight: int, seconds: float, warm_up_s: float = 0.5
) -> LoadResult:
    """Load one socket for ``seconds`` after a warm-up, this process pinned to the client's core."""
    pin(CLIENT_CORE)
    before = server.cpu_seconds()
    result = uvloop.run(_drive(server.url, server.keys[0], requests, in_flight, warm_up_s, seconds))
    result.server_cpu_s = server.cpu_seconds() - before
    if result.failures or not result.latencies:
        raise RuntimeError(f"{result.failures} of {len(result.latencies)} requests were refused")
    return result
