"""A closed-loop HTTP client that costs little: each connection sends its next request when answered."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

SERVER_CORE = 0
CLIENT_CORE = 1

RequestSource = Callable[[int], Iterator[bytes]]
"""Gives each connection, by its number, an endless iterator of whole requests."""


@dataclass(frozen=True)
class Target:
    """A server that is measured."""

    url: str
    pid: int
    keys: tuple[str, ...] = ()

    def cpu_seconds(self) -> float:
        """Time its process has spent on a core so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class LoadResult:
    """Latencies in seconds, of every request after the warm-up."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    requests: int = 0
    """All of them, the warm-up's too."""
    server_cpu_s: float = 0.0
    """What the server used for all of them."""

    @property
    def cpu_per_request(self) -> float:
        """Seconds of the server's core; steadier than the rate where the machine is busy."""
        return self.server_cpu_s / self.requests

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in seconds below which ``share`` of the requests were answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has it."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def post(url: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One whole POST request with a JSON body."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], result: LoadResult, started: float, until: float) -> None:
        self._requests = requests
        self._result = result
        self._count_from = started
        self._until = until
        self._sent = 0.0
        self._answer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0 or len(self._answer) < end + 4 + _content_length(self._answer, end):
            return
        now = time.perf_counter()
        self._result.requests += 1
        if self._sent >= self._count_from:
            self._result.latencies.append(now - self._sent)
            if not self._answer.startswith(b"HTTP/1.1 200"):
                self._result.failures += 1
        self._answer = b""
        if now < self._until:
            self._next()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _next(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


def _content_length(answer: bytes, end: int) -> int:
    start = answer.lower().find(b"content-length:", 0, end)
    return int(answer[start + 15 : answer.find(b"\r\n", start)]) if start >= 0 else 0


def _same(protocol: _Connection) -> _Connection:
    return protocol


async def _drive(
    url: str, requests: RequestSource, connections: int, warm_up_s: float, seconds: float
) -> LoadResult:
    loop = asyncio.get_running_loop()
    target = urlsplit(url)
    started = time.perf_counter() + warm_up_s
    result = LoadResult(seconds)
    protocols = [
        _Connection(requests(number), result, started, started + seconds) for number in range(connections)
    ]
    for protocol in protocols:
        await loop.create_connection(partial(_same, protocol), target.hostname or "", target.port or 80)
    await asyncio.wait([protocol.done for protocol in protocols], timeout=warm_up_s + seconds + 10)
    return result


def drive(
    server: Target, requests: RequestSource, *, connections: int, seconds: float, warm_up_s: float = 0.5
) -> LoadResult:
    """Load ``server`` for ``seconds`` after a warm-up, this process pinned to the client's core."""
    pin(CLIENT_CORE)
    before = server.cpu_seconds()
    result = uvloop.run(_drive(server.url, requests, connections, warm_up_s, seconds))
    result.server_cpu_s = server.cpu_seconds() - before
    return result
