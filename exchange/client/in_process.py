"""Without sockets: the exchange's ASGI application is called directly, in the same event loop."""

from __future__ import annotations

from urllib.parse import unquote

from exchange.client.asgi import AsgiApp, Exchanged, Message
from exchange.client.in_process_socket import InProcessSocket
from exchange.client.transport import HttpAnswer, Socket


class InProcessTransport:
    """Drives ``app`` as a server would. Time is the loop's alone, so it may be virtual.

    An exception of the application itself is raised here as it is: it is a fault of this process.
    """

    def __init__(self, app: AsgiApp, api_key: str | None = None, *, prefers_socket: bool = False) -> None:
        self._app = app
        self._api_key = api_key
        self._prefers_socket = prefers_socket
        self._sockets: set[InProcessSocket] = set()

    @property
    def api_key(self) -> str | None:
        return self._api_key

    @property
    def prefers_socket(self) -> bool:
        return self._prefers_socket

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        exchanged = Exchanged(body or b"")
        headers = self._headers()
        if body is not None:
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        scope = {**_scope("http", target, headers), "method": method}
        await self._app(scope, exchanged.receive, exchanged.send)
        return exchanged.answer()

    async def connect(self) -> Socket:
        scope = {**_scope("websocket", "/ws", self._headers()), "subprotocols": ["exchange.json"]}
        socket = InProcessSocket(self._app, scope)
        self._sockets.add(socket)
        socket.task.add_done_callback(lambda _: self._sockets.discard(socket))
        try:
            await socket.opened()
        except BaseException:
            await socket.close()
            raise
        return socket

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"host", b"in-process")]
        if self._api_key is not None:
            headers.append((b"x-api-key", self._api_key.encode()))
        return headers


def _scope(kind: str, target: str, headers: list[tuple[bytes, bytes]]) -> Message:
    path, _, query = target.partition("?")
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("in-process", 0),
        "server": ("in-process", 0),
        "state": {},
        "extensions": {},
    }
