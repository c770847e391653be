"""The socket to the exchange, kept open: hello, login, heartbeat, and a new one when it breaks."""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import Any, Final, Protocol

import msgspec

from exchange.base.bounds import RECONNECT_ATTEMPTS
from exchange.client.connection import Connection, EventHandler
from exchange.client.errors import (
    NO_ANSWER,
    ConnectionLost,
    ExchangeError,
    NotUnderstood,
    Timeout,
    Unauthenticated,
)
from exchange.client.retries import Backoff
from exchange.client.transport import SocketClosed, Transport
from exchange.model.reasons import Code
from exchange.wire.events import Hello

_LOG: Final = logging.getLogger("exchange.client")

LOGGED_OUT: Final = 4003
"""Close code of a socket whose key is void: a new socket would be closed as well."""


class LinkListener(Protocol):
    """Who is told what becomes of the socket."""

    @property
    def on_event(self) -> EventHandler:
        """Given every message that is no answer."""
        ...

    async def connected(self, connection: Connection, hello: Hello) -> None:
        """A socket is open and logged in. An ExchangeError raised here ends that socket."""
        ...

    def disconnected(self, error: ExchangeError) -> None:
        """The socket is gone, or could not be had; another is tried."""
        ...

    def ended(self, error: Exception | None) -> None:
        """There will be no other; None when the client closed it."""
        ...


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. A socket silent for ``heartbeat_s`` is pinged, and given up without an answer."""

    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 10.0
    heartbeat_s: float = 15.0
    backoff: Backoff = Backoff()
    attempts: int = RECONNECT_ATTEMPTS


class Link:
    """Opened by the first :meth:`request` or :meth:`start`.

    Gives up after ``attempts`` failures in a row, and at once when the key is refused or the other side is no
    exchange this SDK knows.
    """

    def __init__(
        self, transport: Transport, listener: LinkListener, rng: Random, settings: LinkSettings
    ) -> None:
        self._transport = transport
        self._listener = listener
        self._rng = rng
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin to connect; harmless when it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    @property
    def is_up(self) -> bool:
        """Whether a socket is open and logged in."""
        return self._connection is not None

    async def request(self, method: str, params: Any, timeout_s: float) -> msgspec.Raw:
        """The result of ``method`` over the socket, waiting for one if need be; raises ExchangeError."""
        connection = self._connection
        if connection is None:
            connection = await self._wait_connection(timeout_s)
        return await connection.request(method, params, timeout_s)

    async def close(self) -> None:
        """Close the socket and stop."""
        task, self._task = self._task, None
        self._end(None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _wait_connection(self, timeout_s: float) -> Connection:
        self.start()
        try:
            async with asyncio.timeout(timeout_s):
                while self._connection is None:
                    if isinstance(self._error, Unauthenticated):
                        raise self._error
                    if self._error is not None:
                        raise ConnectionLost(str(self._error), sent=False) from self._error
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ConnectionLost(f"no connection within {timeout_s} s", sent=False) from None
        return self._connection

    async def _run(self) -> None:
        try:
            await self._keep_open()
        except Exception as error:
            _LOG.error("connection given up: %s", error)
            self._end(error)

    async def _keep_open(self) -> None:
        settings = self._settings
        while True:
            failure = await self._connect_and_serve()
            self._failures += 1
            if isinstance(failure, SocketClosed) and failure.close_code == LOGGED_OUT:
                raise Unauthenticated(Code.UNAUTHENTICATED, failure.reason, status=401) from failure
            if isinstance(failure, Unauthenticated | NotUnderstood) or self._failures > settings.attempts:
                raise failure
            delay_s = settings.backoff.delay_s(self._failures, self._rng, failure.retry_after_s)
            _LOG.info("connection lost: %s; trying again in %.2f s", failure, delay_s)
            self._listener.disconnected(failure)
            await asyncio.sleep(delay_s)

    async def _connect_and_serve(self) -> ExchangeError:
        timeout_s = self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                socket = await self._transport.connect()
        except TimeoutError:
            return ConnectionLost(f"no connection within {timeout_s} s", sent=False)
        except ExchangeError as error:
            return error
        mark = f"{self._rng.getrandbits(48):012x}"
        connection = Connection(socket, self._listener.on_event, mark)
        failure: ExchangeError = SocketClosed(1001)
        try:
            failure = await self._serve(connection)
        finally:
            self._connection = None
            connection.lose(failure)
            await connection.close()
        return failure

    async def _serve(self, connection: Connection) -> ExchangeError:
        try:
            async with asyncio.timeout(self._settings.answer_timeout_s):
                hello = await connection.hello()
        except TimeoutError:
            return Timeout(NO_ANSWER, "the exchange did not say hello")
        except ExchangeError as error:
            return error
        tasks = [
            asyncio.create_task(connection.read()),
            asyncio.create_task(self._set_up_and_watch(connection, hello)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        failures = [failure for task in tasks if not task.cancelled() and (failure := task.exception())]
        for failure in failures:
            if not isinstance(failure, ExchangeError):
                raise failure
        assert isinstance(failures[0], ExchangeError), "neither task ends by itself"
        return failures[0]

    async def _set_up_and_watch(self, connection: Connection, hello: Hello) -> None:
        timeout_s = self._settings.answer_timeout_s
        api_key = self._transport.api_key
        if api_key is not None and not hello.authenticated:
            await connection.request("login", {"api_key": api_key}, timeout_s)
        await self._listener.connected(connection, hello)
        self._failures = 0
        self._connection = connection
        self._changed.set()
        while True:
            received = connection.received
            await asyncio.sleep(self._settings.heartbeat_s)
            if connection.received == received:
                await connection.request("ping", {}, timeout_s)

    def _end(self, error: Exception | None) -> None:
        if self._error is None:
            self._error = error or ConnectionLost("the client is closed", sent=False)
            self._changed.set()
            self._listener.ended(error)
