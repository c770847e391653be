"""A way to the exchange in the same process that takes time, as a network does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from exchange.base.bounds import IN_PROCESS_MESSAGES
from exchange.base.streams import random_stream
from exchange.base.virtual_loop import RESOLUTION_S
from exchange.client.asgi import AsgiApp
from exchange.client.in_process import InProcessTransport
from exchange.client.transport import HttpAnswer, Socket, SocketClosed

GAP_S: Final = 10 * RESOLUTION_S
"""Between two messages of one socket: each is dealt with to the end before the next is there."""

Delay = Callable[[], float]

_GOING_AWAY: Final = 1001


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Each message takes ``latency_s`` plus up to ``jitter_s``, one way.

    Jitter is more than realism: what two clients do then hardly ever falls on the same moment, so that the
    outcome does not hang on how an event loop orders what is ready at once.
    """

    latency_s: float = 0.001
    jitter_s: float = 0.001

    def delay(self, seed: int, name: str) -> Delay:
        """The delays of one direction of one connection, from a stream of its own."""
        draw = random_stream(seed, name).random
        return lambda: self.latency_s + self.jitter_s * draw()


class DelayedTransport:
    """An :class:`InProcessTransport` behind a network. ``name`` sets its random streams apart from others."""

    def __init__(
        self, app: AsgiApp, api_key: str | None, network: Network, seed: int, name: str, *, socket: bool
    ) -> None:
        self._inner = InProcessTransport(app, api_key, prefers_socket=socket)
        self._delay = network.delay(seed, f"{name}.http")
        self._to_server = network.delay(seed, f"{name}.out")
        self._to_client = network.delay(seed, f"{name}.in")

    @property
    def api_key(self) -> str | None:
        return self._inner.api_key

    @property
    def prefers_socket(self) -> bool:
        return self._inner.prefers_socket

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        await asyncio.sleep(self._delay())
        answer = await self._inner.request(method, target, body)
        await asyncio.sleep(self._delay())
        return answer

    async def connect(self) -> Socket:
        await asyncio.sleep(self._delay())
        return DelayedSocket(await self._inner.connect(), self._to_server, self._to_client)

    async def close(self) -> None:
        await self._inner.close()


class DelayedSocket:
    """A socket whose messages arrive later, in order.

    At most ``IN_PROCESS_MESSAGES`` are under way or unread in either direction; the rest wait where they come
    from, so that the exchange notices a client that does not read.
    """

    def __init__(self, inner: Socket, to_server: Delay, to_client: Delay) -> None:
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._to_server, self._to_client = to_server, to_client
        self._sent_s = self._received_s = 0.0
        self._underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_PROCESS_MESSAGES)
        self._coming: deque[bytes | SocketClosed] = deque()
        self._arrived: deque[bytes] = deque()
        self._closed: SocketClosed | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks = [asyncio.create_task(self._pump_out()), asyncio.create_task(self._pump_in())]

    async def send(self, message: bytes) -> None:
        if self._closed is not None:
            raise self._closed
        self._sent_s = max(self._sent_s + GAP_S, self._loop.time() + self._to_server())
        await self._underway.put((self._sent_s, message))

    async def receive(self) -> bytes:
        arrived = self._arrived
        while not arrived:
            if self._closed is not None:
                raise self._closed
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return arrived.popleft()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._inner.close()
        self._closed = self._closed or SocketClosed(_GOING_AWAY)
        self._news.set()

    async def _pump_out(self) -> None:
        while True:
            due_s, message = await self._underway.get()
            await asyncio.sleep(due_s - self._loop.time())
            try:
                await self._inner.send(message)
            except SocketClosed:
                # Whoever receives is told how it ended.
                return

    async def _pump_in(self) -> None:
        received: bytes | SocketClosed = b""
        while not isinstance(received, SocketClosed):
            while len(self._coming) + len(self._arrived) >= IN_PROCESS_MESSAGES:
                self._room.clear()
                await self._room.wait()
            try:
                received = await self._inner.receive()
            except SocketClosed as closed:
                received = closed
            self._received_s = max(self._received_s + GAP_S, self._loop.time() + self._to_client())
            # In a line of their own: timers of one moment run in any order.
            self._coming.append(received)
            self._loop.call_at(self._received_s, self._arrive)

    def _arrive(self) -> None:
        message = self._coming.popleft()
        if isinstance(message, SocketClosed):
            self._closed = message
        else:
            self._arrived.append(message)
        self._news.set()
