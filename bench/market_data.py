"""200 sockets, each on the book of one of ten instruments, at 5,000 changes a second, against a quiet run.

An order is known by its quantity and stands alone at its price, so that the level of a ``book_update`` tells
which order changed it. From when match took it (bench/stamped_server.py) to when the frame was here counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import selectors
import socket
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from bench.load import CLIENT_CORE, Target, pin
from bench.report import Figure, heading, show
from bench.servers import ALONE, on_server_core
from bench.socket_load import frame
from exchange.base.bounds import MAX_IN_FLIGHT_PER_CONNECTION
from exchange.process import ServerProcess

SOCKETS: Final = 200
INSTRUMENTS: Final = 10
CHANGES_PER_S: Final = 5_000
QUIET_PER_S: Final = 100
RESTING: Final = 25
"""Orders of each instrument at rest; each has a tick of its own."""
_TICK_S: Final = 0.001

_RULES: Final = """
[server]
log_level = "warning"
ws_ping_interval_s = 600
[responses]
max_pending_requests = 10000
max_pending_per_team = 10000
[limits]
enabled = false
[game]
preset = "small"
[game.bands]
enabled = false
[[game.roles]]
name = "bench"
fees = { maker = 200, taker = -100 }
constraints = [{ type = "order_size", max_size = 1000000 }]
"""


@dataclass
class Seen:
    """When each order's level came to a socket here, and the frames of the measured sockets."""

    at_ns: dict[tuple[str, int], int] = field(default_factory=dict)
    frames: int = 0
    changes: int = 0
    rate: float = 0.0
    """Changes a second."""
    cpu_us: float = 0.0
    """Microseconds of the server's core for each."""


def _handshake(url: str, key: str | None = None) -> bytes:
    lines = ["GET /ws HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    lines += [] if key is None else [f"X-API-Key: {key}"]
    return "\r\n".join([*lines, "", ""]).encode()


def _wish(instrument_id: str) -> bytes:
    params = {"channels": [f"book.{instrument_id}"]}
    return frame(json.dumps({"id": "s", "method": "subscribe", "params": params}).encode())


def _payloads(buffer: bytearray) -> Iterator[bytes]:
    """Take whole frames out of ``buffer``."""
    while len(buffer) >= 2:
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return
        yield bytes(buffer[start : start + size])
        del buffer[: start + size]


class _Client(asyncio.Protocol):
    """One socket, which says ``first`` when it is open; ``on_message`` is given each message."""

    def __init__(self, opening: bytes, first: bytes = b"") -> None:
        self._opening = opening
        self._first = first
        self.opened = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._is_open = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        at_ns = time.monotonic_ns()
        self._buffer += data
        if not self._is_open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del self._buffer[: end + 4]
            self._is_open = True
            self.transport.write(self._first)
            self.opened.set_result(None)
        for payload in _payloads(self._buffer):
            self.on_message(payload, at_ns)

    def on_message(self, payload: bytes, at_ns: int) -> None:
        """Nothing is made of it."""


class _Watcher(_Client):
    def __init__(self, opening: bytes, instrument_id: str, seen: Seen) -> None:
        super().__init__(opening, _wish(instrument_id))
        self._instrument_id = instrument_id
        self._seen = seen

    def on_message(self, payload: bytes, at_ns: int) -> None:
        if not payload.startswith(b'{"type":"book_update"'):
            return
        levels = json.loads(payload)["bids"]
        self._seen.frames += 1
        self._seen.changes += len(levels)
        for _, quantity in levels:
            if quantity:
                self._seen.at_ns.setdefault((self._instrument_id, quantity), at_ns)


class _Trader(_Client):
    """Changes one book: enters an order, and once ``RESTING`` are there cancels the oldest for each."""

    _numbers = itertools.count(1)

    def __init__(self, opening: bytes, instrument_id: str, top: float) -> None:
        super().__init__(opening)
        self._instrument_id, self._top = instrument_id, top
        self._resting: deque[str] = deque()
        self._entered = 0
        self._in_flight = 0
        self.failures = 0

    def on_message(self, payload: bytes, at_ns: int) -> None:
        self._in_flight -= payload.startswith(b'{"id":')
        self.failures += b'"error"' in payload

    def change(self) -> int:
        """Send one or two changes; how many. None while as much is under way as the server lets be."""
        if self._in_flight > MAX_IN_FLIGHT_PER_CONNECTION - 2:
            return 0
        number, resting = next(self._numbers), self._resting
        self._entered += 1
        price = round(self._top - self._entered % (2 * RESTING) * 0.01, 2)
        order_id = f"b{number}"
        order = {
            "instrument_id": self._instrument_id,
            "side": "buy",
            "quantity": number,
            "price": price,
            "client_order_id": order_id,
        }
        requests = [{"id": number * 2, "method": "order.new", "params": order}]
        resting.append(order_id)
        if len(resting) > RESTING:
            params = {"client_order_id": resting.popleft()}
            requests.append({"id": number * 2 + 1, "method": "order.cancel", "params": params})
        self._in_flight += len(requests)
        self.transport.write(b"".join(frame(json.dumps(each).encode()) for each in requests))
        return len(requests)


def _drain(url: str, instruments: list[str], ready: Any) -> None:
    """The other sockets: read and dropped, in a process of their own."""
    pin(CLIENT_CORE)
    # Who measures shares the core, and should not measure how long it waits for this one.
    os.nice(19)
    where, selector = urlsplit(url), selectors.DefaultSelector()
    for name in instruments:
        sock = socket.create_connection((where.hostname or "", where.port or 80))
        sock.sendall(_handshake(url))
        while b"\r\n\r\n" not in sock.recv(4_096):
            pass
        sock.sendall(_wish(name))
        selector.register(sock, selectors.EVENT_READ)
    ready.set()
    buffer = bytearray(1 << 18)
    while selector.get_map():
        for key, _ in selector.select():
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            if not peer.recv_into(buffer):
                selector.unregister(peer)


async def _run(
    server: Target, traders: Iterator[_Trader], watchers: list[_Watcher], rate: int, seconds: float
) -> Seen:
    """Change the books at ``rate`` a second, evenly; what was seen of it."""
    seen, loop, cpu_s = Seen(), asyncio.get_running_loop(), server.cpu_seconds()
    for watcher in watchers:
        watcher._seen = seen
    began, made = loop.time(), 0
    while (elapsed := loop.time() - began) < seconds:
        while made < elapsed * rate and (sent := next(traders).change()):
            made += sent
        await asyncio.sleep(max(_TICK_S, (made + 1) / rate - elapsed) if rate < 1 / _TICK_S else _TICK_S)
    seen.rate = made / (loop.time() - began)
    await asyncio.sleep(0.5)
    seen.cpu_us = (server.cpu_seconds() - cpu_s) / made * 1e6
    return seen


async def _measure(
    server: Target, instruments: list[tuple[str, float]], rounds: int, seconds: float
) -> list[tuple[Seen, Seen]]:
    loop, url, key = asyncio.get_running_loop(), server.url, server.keys[0]
    where = urlsplit(url)
    place = (where.hostname or "", where.port or 80)
    watchers = []
    for name, _ in instruments:
        _, watcher = await loop.create_connection(partial(_Watcher, _handshake(url), name, Seen()), *place)
        watchers.append(watcher)
    traders = []
    for name, top in instruments:
        _, trader = await loop.create_connection(partial(_Trader, _handshake(url, key), name, top), *place)
        traders.append(trader)
    for client in (*watchers, *traders):
        await client.opened
    turns = itertools.cycle(traders)
    await _run(server, turns, watchers, QUIET_PER_S, 1.0)
    pairs = []
    for _ in range(rounds):
        quiet = await _run(server, turns, watchers, QUIET_PER_S, seconds)
        busy = await _run(server, turns, watchers, CHANGES_PER_S, seconds)
        pairs.append((quiet, busy))
    failures = sum(trader.failures for trader in traders)
    if failures:
        print(f"  {failures} requests were refused")
    return pairs


def _latencies(seen: Seen, stamps: dict[tuple[str, int], int]) -> list[float]:
    """Milliseconds from match to socket, sorted."""
    # A level that holds two orders for a moment is none of them.
    known = seen.at_ns.keys() & stamps.keys()
    return sorted((seen.at_ns[order] - stamps[order]) / 1e6 for order in known)


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _post(url: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)["data"]


def _instruments(url: str) -> list[tuple[str, float]]:
    with urllib.request.urlopen(f"{url}/exchange/instruments") as answer:
        found = json.load(answer)["data"]["instruments"]
    found.sort(key=lambda each: -each["reference_price"])
    return [(each["instrument_id"], each["reference_price"]) for each in found[:INSTRUMENTS]]


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(arguments)
    heading(
        "Market data",
        f"{SOCKETS} sockets on {INSTRUMENTS} books, {CHANGES_PER_S:,} changes/s against {QUIET_PER_S}",
    )
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        pairs, stamps = _with_server(Path(folder), given.rounds, given.seconds)
    ratios = []
    for quiet, busy in pairs:
        for name, seen in (("quiet", quiet), ("busy", busy)):
            found, in_a_frame = _latencies(seen, stamps), seen.changes / max(seen.frames, 1)
            p50, p99 = _percentile(found, 0.5), _percentile(found, 0.99)
            print(
                f"  {name:6} {seen.rate:6,.0f} changes/s, {in_a_frame:4.1f} in a frame,"
                f" CPU {seen.cpu_us:4,.0f} us; match to socket p50 {p50:6.2f} ms, p99 {p99:6.2f} ms"
            )
        ratios.append(
            _percentile(_latencies(busy, stamps), 0.99) / _percentile(_latencies(quiet, stamps), 0.99)
        )
    show(Figure("match to socket, p99 busy / quiet", ratios, at_most=5.0))


def _with_server(
    folder: Path, rounds: int, seconds: float
) -> tuple[list[tuple[Seen, Seen]], dict[tuple[str, int], int]]:
    config, stamps = folder / "bench.toml", folder / "stamps"
    config.write_text(_RULES)
    server = ServerProcess(
        folder / "data",
        ["--config", str(config)],
        prefix=on_server_core(),
        log=folder / "log",
        module="bench.stamped_server",
        environment={**ALONE, "BENCH_STAMPS": str(stamps)},
    )
    with server:
        key = _post(f"{server.url}/game/teams/register", {"name": "Bench", "role": "bench"})["api_key"]
        instruments = _instruments(server.url)
        names = [name for name, _ in instruments]
        others = list(itertools.islice(itertools.cycle(names), SOCKETS - INSTRUMENTS))
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        drain = context.Process(target=_drain, args=(server.url, others, ready), daemon=True)
        drain.start()
        ready.wait()
        pin(CLIENT_CORE)
        target = Target(server.url, server.pid, (key,))
        pairs = uvloop.run(_measure(target, instruments, rounds, seconds))
    drain.join(10)
    lines = (line.split() for line in stamps.read_text().splitlines())
    return pairs, {(name, int(quantity)): int(at_ns) for name, quantity, at_ns in lines}


if __name__ == "__main__":
    main()
