"""Fan-out of one event to many sockets: the frame writer against bare uvloop transports, with the same bytes.

One process writes, others read and drop. Both ways run in turns over sockets of their own, so that whatever
else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import selectors
import socket
import statistics
import time
from collections.abc import Callable
from typing import cast

import uvloop

from exchange.api.transport.frame_writer import FrameWriter, TurnFlusher
from exchange.api.transport.frames import text_frame

_EVENT = text_frame(b'{"type":"execution_report"' + b" " * 173 + b"}")
_LIMIT_BYTES = 1_048_576


def _drain(port: int, sockets: int, core: int | None) -> None:
    """The other end: opens the sockets, reads everything, ends when they are closed."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    selector = selectors.DefaultSelector()
    for _ in range(sockets):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    buffer = bytearray(262_144)
    while selector.get_map():
        for key, _ in selector.select():
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            if not peer.recv_into(buffer):
                selector.unregister(peer)
                peer.close()


async def _connections(sockets: int, core: int | None) -> list[asyncio.Transport]:
    """Open transports to a reader in a process of its own."""
    loop = asyncio.get_running_loop()
    opened: list[asyncio.Transport] = []
    ready = asyncio.Event()

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            opened.append(cast(asyncio.Transport, transport))
            if len(opened) == sockets:
                ready.set()

    server = await loop.create_server(Peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    context = multiprocessing.get_context("spawn")
    context.Process(target=_drain, args=(port, sockets, core), daemon=True).start()
    await ready.wait()
    return opened


async def _rate(publish: Callable[[bytes], None], sockets: int, events: int, burst: int) -> float:
    """Messages a second of CPU, publishing ``burst`` events in each turn of the loop."""
    started = time.process_time()
    for _ in range(events // burst):
        for _ in range(burst):
            publish(_EVENT)
        await asyncio.sleep(0)
    return sockets * (events // burst) * burst / (time.process_time() - started)


def _bare(transports: list[asyncio.Transport]) -> Callable[[bytes], None]:
    def publish(frame: bytes) -> None:
        for transport in transports:
            transport.write(frame)

    return publish


def _through_writers(transports: list[asyncio.Transport]) -> Callable[[bytes], None]:
    loop = asyncio.get_running_loop()
    flusher = TurnFlusher()
    writers = [FrameWriter(transport, loop, flusher, 1.0) for transport in transports]
    for writer in writers:
        writer.open = True

    def publish(frame: bytes) -> None:
        for writer in writers:
            if writer.buffered_bytes() > _LIMIT_BYTES:
                raise RuntimeError("the reader fell behind")
            writer.send(frame)

    return publish


async def _measure(sockets: int, events: int, rounds: int, cores: list[int]) -> None:
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})
    reader_core = cores[1] if len(cores) > 1 else None
    bare = _bare(await _connections(sockets, reader_core))
    written = _through_writers(await _connections(sockets, reader_core))
    for burst in (1, 4, 16):
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for publish, into in ((bare, rates[0]), (written, rates[1])):
                into.append(await _rate(publish, sockets, events, burst))
                await asyncio.sleep(0.05)
        base, ours = map(statistics.median, rates)
        print(
            f"{burst:3d} events a turn to {sockets} sockets: bare {base:10,.0f} messages/s, "
            f"frame writer {ours:10,.0f}, ratio {ours / base:.2f}"
        )


def main() -> None:
    """Print messages per second of CPU time for both ways, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--events", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    uvloop.run(_measure(options.sockets, options.events, options.rounds, cores))


if __name__ == "__main__":
    main()
