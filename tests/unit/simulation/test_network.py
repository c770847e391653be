"""The network of a simulated market: late, in order, the same each time."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import pairwise

import pytest

from exchange.base.bounds import IN_PROCESS_MESSAGES
from exchange.base.virtual_loop import run_virtual
from exchange.client.transport import SocketClosed
from exchange.simulation.network import DelayedSocket, Network

NETWORK = Network(latency_s=1.0, jitter_s=5.0)


class Echo:
    """A socket that answers each message with the same, and with the time at which it came."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.times_s: deque[float] = deque()

    async def send(self, message: bytes) -> None:
        self.times_s.append(asyncio.get_running_loop().time())
        self.messages.put_nowait(message)

    async def receive(self) -> bytes:
        message = await self.messages.get()
        if message is None:
            raise SocketClosed(1006)
        return message

    async def close(self) -> None:
        self.messages.put_nowait(None)

    def hang_up(self) -> None:
        self.messages.put_nowait(None)


async def _echoed(seed: int) -> tuple[list[bytes], list[float], float]:
    echo = Echo()
    socket = DelayedSocket(echo, NETWORK.delay(seed, "out"), NETWORK.delay(seed, "in"))
    for number in range(50):
        await socket.send(b"%d" % number)
    received = [await socket.receive() for _ in range(50)]
    await socket.close()
    return received, list(echo.times_s), asyncio.get_running_loop().time()


def test_network_delivers_in_order() -> None:
    """However the delays fall, no message overtakes another, in either direction."""
    received, times_s, ended_s = run_virtual(_echoed(1))
    assert received == [b"%d" % number for number in range(50)]
    assert all(before < after for before, after in pairwise(times_s))
    assert times_s[0] >= 1
    assert ended_s >= 2


def test_network_is_as_late_each_time() -> None:
    """One seed, one set of delays; another seed, others."""
    assert run_virtual(_echoed(1)) == run_virtual(_echoed(1))
    assert run_virtual(_echoed(1)) != run_virtual(_echoed(2))


def test_network_tells_of_the_end_after_what_came_before() -> None:
    """What was under way still arrives; then the close is raised, as often as one asks."""

    async def end() -> list[bytes]:
        echo = Echo()
        socket = DelayedSocket(echo, NETWORK.delay(1, "out"), NETWORK.delay(1, "in"))
        await socket.send(b"last")
        await asyncio.sleep(2 * (NETWORK.latency_s + NETWORK.jitter_s))
        echo.hang_up()
        received = [await socket.receive()]
        for _ in range(2):
            with pytest.raises(SocketClosed):
                await socket.receive()
        await socket.close()
        return received

    assert run_virtual(end()) == [b"last"]


def test_network_holds_no_more_than_its_bound() -> None:
    """Of a client that does not read, messages stay with the exchange, which may lose patience."""

    async def flood() -> int:
        echo = Echo()
        socket = DelayedSocket(echo, NETWORK.delay(1, "out"), NETWORK.delay(1, "in"))
        for _ in range(IN_PROCESS_MESSAGES + 50):
            echo.messages.put_nowait(b"news")
        await asyncio.sleep(60)
        left = echo.messages.qsize()
        received = [await socket.receive() for _ in range(IN_PROCESS_MESSAGES + 50)]
        assert len(received) == IN_PROCESS_MESSAGES + 50
        await socket.close()
        return left

    assert run_virtual(flood()) == 50


def test_network_refuses_what_is_sent_after_the_end() -> None:
    """As any socket does."""

    async def send() -> None:
        socket = DelayedSocket(Echo(), NETWORK.delay(1, "out"), NETWORK.delay(1, "in"))
        await socket.close()
        with pytest.raises(SocketClosed):
            await socket.send(b"late")

    run_virtual(send())
