"""Over the network with aiohttp: requests over HTTP/1.1 with keep-alive, the socket beside them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientTimeout, ClientWSTimeout, WSMsgType

from exchange.base.bounds import HTTP_CONNECTIONS, MAX_ANSWER_BYTES
from exchange.client.answers import refusal_of
from exchange.client.errors import ConnectionLost, NotUnderstood
from exchange.client.transport import HttpAnswer, Socket, SocketClosed

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_NO_TIMEOUT: Final = ClientTimeout(total=None, sock_connect=10.0)
_CLOSE_TIMEOUT: Final = ClientWSTimeout(ws_close=1.0)
_JSON: Final = {"Content-Type": "application/json"}
_GOING_AWAY: Final = 1001
_BROKEN: Final = 1006


class HttpTransport:
    """Orders and queries over HTTP; events over a WebSocket that is opened when somebody subscribes.

    ``url`` is the exchange's base address; ``http``, ``https``, ``ws`` and ``wss`` are accepted.
    Raises ValueError for anything else.
    """

    prefers_socket: bool = False

    def __init__(self, url: str, api_key: str | None = None, *, connections: int = HTTP_CONNECTIONS) -> None:
        self._base = _base(url)
        self._api_key = api_key
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def api_key(self) -> str | None:
        return self._api_key

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        session = self._open()
        headers = None if body is None else _JSON
        try:
            async with session.request(method, self._base + target, data=body, headers=headers) as response:
                return HttpAnswer(
                    response.status, await _read(response), _seconds(response.headers.get("Retry-After"))
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ConnectionLost(f"cannot reach {self._base}: {error}", sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"the connection broke: {error}", sent=True) from error

    async def connect(self) -> Socket:
        try:
            socket = await self._open().ws_connect(
                self._base + "/ws",
                protocols=("exchange.json",),
                max_msg_size=MAX_ANSWER_BYTES,
                timeout=_CLOSE_TIMEOUT,
                decode_text=False,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise refusal_of(HttpAnswer(error.status, b"")) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"cannot reach {self._base}: {error}", sent=False) from error
        return HttpSocket(socket)

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        session = self._session
        if self._closed:
            raise ConnectionLost("the transport is closed", sent=False)
        if session is None:
            session = self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=None if self._api_key is None else {"X-API-Key": self._api_key},
                timeout=_NO_TIMEOUT,
                middlewares=(_send_once,),
            )
        return session


class WebSocketTransport(HttpTransport):
    """Everything the socket offers over one socket, many requests in flight; the rest over HTTP."""

    prefers_socket = True


class HttpSocket:
    """aiohttp's WebSocket as a :class:`~exchange.client.transport.Socket`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_frame(message, WSMsgType.TEXT)
        except (aiohttp.ClientError, OSError) as error:
            raise self._closed() from error

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            data: bytes = message.data
            return data
        raise self._closed(message.extra if isinstance(message.extra, str) else "")

    async def close(self) -> None:
        await self._socket.close(code=_GOING_AWAY)

    def _closed(self, reason: str = "") -> SocketClosed:
        code = self._socket.close_code
        return SocketClosed(_BROKEN if code is None else code, reason)


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # Where a kept-alive connection turns out to be closed aiohttp itself sends an idempotent method again.
    # Whether a cancel was sent once or twice has to be known here: another exception stops that.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(f"the connection broke: {error}", sent=True) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is None or length > MAX_ANSWER_BYTES:
        response.close()
        raise NotUnderstood(f"an answer of {length} bytes", response.status)
    return await response.read()


def _seconds(retry_after: str | None) -> float | None:
    # A date is allowed by HTTP; this exchange sends seconds.
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"not the address of an exchange: {url!r}")
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"
