"""A whole exchange behind a real listening socket, and clients of its WebSocket."""

from __future__ import annotations

import asyncio
import functools
import json
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import httpx
import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from exchange.api.past import HistoryReader, NoHistory, SqlTables
from exchange.api.transport.connections import ConnectionCounter, ProtocolLimits
from exchange.api.transport.frame_writer import TurnFlusher
from exchange.api.transport.listener import Listener, bind
from exchange.api.transport.protocol import make_http_protocol
from exchange.api.transport.refusals import Envelopes
from exchange.api.transport.request_reader import ProtocolSettings
from exchange.api.transport.ws_protocol import make_ws_protocol
from exchange.app import Exchange
from exchange.base.clock import SystemClock
from exchange.base.entropy import SystemEntropy
from exchange.config import Config, CoordinationConfig, GameConfig, LimitsConfig
from exchange.journal.memory import MemoryJournal
from exchange.storage.progress import ProjectionState, ProjectionWatch

ADMIN_KEY = "itg_admin_key_of_the_tests"
DEADLINE_S = 10.0


def on_uvloop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run ``test`` on the loop the server runs on: what a transport holds back differs between loops."""

    @functools.wraps(test)
    def run() -> None:
        uvloop.run(test())

    return run


class Socket:
    """One client: requests with answers, and the events that came between, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._answers: dict[Any, dict[str, Any]] = {}
        self._last_id = 0

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()

    async def receive(self) -> dict[str, Any]:
        """The next message, whatever it is."""
        async with asyncio.timeout(DEADLINE_S):
            message = await self.connection.recv()
        content = json.loads(message) if isinstance(message, str) else msgspec.msgpack.decode(message)
        assert isinstance(content, dict)
        return content

    async def send(self, request: dict[str, Any]) -> None:
        """Send a request in the encoding of the socket."""
        packed = self.connection.subprotocol == "exchange.msgpack"
        await self.connection.send(msgspec.msgpack.encode(request) if packed else json.dumps(request))

    async def begin(self, method: str, **params: Any) -> int:
        """Send a request without waiting; the id to :meth:`answer` for."""
        self._last_id += 1
        await self.send({"id": self._last_id, "method": method, "params": params})
        return self._last_id

    async def answer(self, request_id: Any) -> dict[str, Any]:
        """The answer to that request."""
        while request_id not in self._answers:
            self._sort(await self.receive())
        return self._answers.pop(request_id)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Request and answer."""
        return await self.answer(await self.begin(method, **params))

    async def result(self, method: str, **params: Any) -> Any:
        """The result of a request that succeeds."""
        answer = await self.ask(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Wait until ``count`` events have come; all of them."""
        while len(self.events) < count:
            self._sort(await self.receive())
        return self.events

    async def until_closed(self) -> int | None:
        """Read to the end; the close code."""
        try:
            while True:
                self._sort(await self.receive())
        except ConnectionClosed:
            return self.connection.close_code

    def _sort(self, message: dict[str, Any]) -> None:
        if "type" in message:
            self.events.append(message)
        else:
            assert message["id"] not in self._answers, "one answer for each request"
            self._answers[message["id"]] = message


class WsExchange:
    """The exchange, where it listens, and its operator's key."""

    def __init__(self, exchange: Exchange, port: int, counter: ConnectionCounter) -> None:
        self.exchange = exchange
        self.port = port
        self.counter = counter
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")
        self._connections: list[ClientConnection] = []

    async def close(self) -> None:
        """End every client that is left: a test that failed leaves them open."""
        for connection in self._connections:
            connection.transport.abort()
        await self._http.aclose()

    def metric(self, name: str) -> float:
        """A metric as it stands."""
        value = self.exchange.metrics.registry.get_sample_value(f"exchange_{name}")
        assert value is not None, name
        return value

    async def send(self, method: str, path: str, key: str | None = None, **kwargs: Any) -> httpx.Response:
        """One HTTP request."""
        headers = {} if key is None else {"X-API-Key": key}
        return await self._http.request(method, path, headers=headers, **kwargs)

    async def team(self, name: str = "Alpha", role: str = "hedge_fund") -> str:
        """Register a team; its key."""
        answer = await self.send("POST", "/game/teams/register", json={"name": name, "role": role})
        assert answer.status_code == 200, answer.text
        key: str = answer.json()["data"]["api_key"]
        return key

    async def connect(
        self,
        key: str | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        subprotocol: str | None = None,
        path: str = "/ws",
        **options: Any,
    ) -> ClientConnection:
        """A raw WebSocket. Unless told otherwise it never stops reading, whatever the test takes of it."""
        connection = await connect(
            f"ws://127.0.0.1:{self.port}{path}",
            additional_headers=[*headers, *([] if key is None else [("X-API-Key", key)])],
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            compression=None,
            proxy=None,
            **({"max_queue": None} | options),
        )
        self._connections.append(connection)
        return connection

    async def socket(self, key: str | None = None, **options: Any) -> tuple[Socket, dict[str, Any]]:
        """A client and its hello."""
        client = Socket(await self.connect(key, **options))
        return client, await client.receive()


@asynccontextmanager
async def ws_exchange(
    preset: str = "small",
    journal: MemoryJournal | None = None,
    *,
    send_buffer: int | None = None,
    ping_s: float = 20.0,
    limits: LimitsConfig | None = None,
    responses: CoordinationConfig | None = None,
    past: HistoryReader | None = None,
) -> AsyncIterator[WsExchange]:
    """A running exchange on ``journal``; drained and closed on leaving.

    A socket is pinged each ``ping_s``; ``send_buffer`` is what the kernel holds of each connection in place
    of megabytes.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    journal = journal or MemoryJournal(random.Random(1))
    config = Config(
        game=GameConfig(preset=preset),
        limits=limits or LimitsConfig(),
        responses=responses or CoordinationConfig(),
    )
    tables = SqlTables(ProjectionWatch(lambda: 0, clock, ProjectionState.OFF), past or NoHistory())
    exchange = Exchange(config, journal, clock=clock, entropy=entropy, admin_key=ADMIN_KEY, tables=tables)
    await exchange.start()
    counter = ConnectionCounter()
    sock = bind("127.0.0.1", 0)
    if send_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listener = _listener(exchange, sock, clock, counter, ping_s)
    path = asyncio.create_task(exchange.run())
    serving = asyncio.create_task(listener.run_until_closed())
    await listener.wait_listening()
    running = WsExchange(exchange, listener.port, counter)
    try:
        yield running
    finally:
        await running.close()
        exchange.stop()
        await path
        listener.close()
        await serving
        await journal.close()


def _listener(
    exchange: Exchange, sock: socket.socket, clock: SystemClock, counter: ConnectionCounter, ping_s: float
) -> Listener:
    envelopes = Envelopes(clock, exchange.request_ids.next)
    settings = ProtocolSettings(ProtocolLimits(), counter, envelopes, exchange.direct)
    flusher = TurnFlusher()
    exchange.hub.flush = flusher.flush
    return Listener(
        exchange.api,
        sock,
        http=make_http_protocol(settings),
        ws=make_ws_protocol(settings, flusher),
        keep_alive_s=5,
        max_message_bytes=settings.limits.max_message_bytes,
        ping_interval_s=ping_s,
        ping_timeout_s=ping_s,
    )
