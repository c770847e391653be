"""Requests over real sockets, to a server that does what the test says, byte by byte."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from exchange.base.bounds import MAX_ANSWER_BYTES
from exchange.client import (
    ConnectionLost,
    ExchangeClient,
    HttpTransport,
    NotUnderstood,
    Retries,
    Timeout,
    Unauthenticated,
    WebSocketTransport,
)
from exchange.client.retries import Backoff
from exchange.client.transport import SocketClosed

Answers = Callable[[bytes], bytes | None]


class Server:
    """Answers each request with what ``answers`` makes of its head; None closes the connection instead."""

    def __init__(self, answers: Answers) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                for line in head.lower().splitlines():
                    if line.startswith(b"content-length:"):
                        await reader.readexactly(int(line.partition(b":")[2]))
                self.heads.append(head)
                answer = self._answers(head)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answers: Answers) -> AsyncIterator[tuple[Server, str]]:
    """The server and its address."""
    server = Server(answers)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield server, f"http://127.0.0.1:{port}"


def http(status: int, body: bytes, *headers: str) -> bytes:
    """An answer over HTTP/1.1."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_connection_is_kept_and_carries_the_key() -> None:
    """One connection serves many requests; the key is a header of each, never part of the address."""
    async with serving(lambda head: http(200, b"{}")) as (server, url):
        transport = HttpTransport(f"{url}/under/", "secret")
        answers = [await transport.request("GET", "/positions?a=1", None) for _ in range(3)]
        await transport.close()
    assert [(each.status, each.body) for each in answers] == [(200, b"{}")] * 3
    assert server.connections == 1
    assert all(head.startswith(b"GET /under/positions?a=1 HTTP/1.1") for head in server.heads)
    assert all(b"X-API-Key: secret" in head for head in server.heads)


@pytest.mark.parametrize("method", ["DELETE", "GET", "POST", "PATCH"])
async def test_request_is_sent_once_when_a_kept_connection_has_gone(method: str) -> None:
    """Nothing below the SDK sends a second time: a cancel sent twice would be refused and look as failed."""
    used: list[bytes] = []

    def answers(head: bytes) -> bytes | None:
        used.append(head)
        return http(200, b"{}") if len(used) == 1 else None

    async with serving(answers) as (server, url):
        transport = HttpTransport(url)
        await transport.request("GET", "/game/status", None)
        with pytest.raises(ConnectionLost) as raised:
            await transport.request(method, "/exchange/orders/ORD_1", None)
        await transport.close()
    assert raised.value.sent
    assert len(server.heads) == 2
    assert server.heads[1].startswith(method.encode())


async def test_exchange_that_is_not_there_was_sent_nothing() -> None:
    """Nobody listens: certainly nothing happened."""
    async with serving(lambda head: None) as (_, url):
        pass
    transport = WebSocketTransport(url)
    for attempt in (transport.request("GET", "/", None), transport.connect()):
        with pytest.raises(ConnectionLost) as raised:
            await attempt
        assert not raised.value.sent
    await transport.close()


async def test_closed_transport_is_not_opened_again() -> None:
    """Who still holds a client that was closed is told, and leaves no connection behind."""
    async with serving(lambda head: http(200, b"{}")) as (server, url):
        transport = HttpTransport(url)
        await transport.request("GET", "/", None)
        await transport.close()
        for attempt in (transport.request("GET", "/", None), transport.connect()):
            with pytest.raises(ConnectionLost, match="closed") as raised:
                await attempt
            assert not raised.value.sent
    assert server.connections == 1


async def test_refused_handshake_tells_its_status() -> None:
    """401 on the way to a socket is the same exception as anywhere."""
    async with serving(lambda head: http(401, b"{}")) as (_, url):
        transport = HttpTransport(url)
        with pytest.raises(Unauthenticated):
            await transport.connect()
        await transport.close()


async def test_answer_beyond_the_bound_is_not_read() -> None:
    """An answer that says it is huge, or does not say how large it is."""
    huge = f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER_BYTES + 1}\r\n\r\n".encode()
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    heads = iter((huge, endless))
    async with serving(lambda _: next(heads)) as (_, url):
        transport = HttpTransport(url)
        for _ in range(2):
            with pytest.raises(NotUnderstood):
                await transport.request("GET", "/", None)
        await transport.close()


async def test_retry_after_is_read_from_its_header() -> None:
    """Seconds; anything else is left alone."""
    values = iter(("3", "Wed, 21 Oct 2026 07:28:00 GMT"))
    async with serving(lambda _: http(503, b"", f"Retry-After: {next(values)}")) as (_, url):
        transport = HttpTransport(url)
        answers = [await transport.request("GET", "/", None) for _ in range(2)]
        await transport.close()
    assert [each.retry_after_s for each in answers] == [3.0, None]


async def test_silent_exchange_is_a_timeout() -> None:
    """No answer within the client's own timeout."""
    async with serving(lambda head: b"") as (_, url):
        retries = Retries(attempts=2, timeout_s=0.02, backoff=Backoff(first_s=0, max_s=0))
        client = ExchangeClient(HttpTransport(url), retries=retries)
        with pytest.raises(Timeout):
            await client.status()
        await client.close()


async def test_socket_that_breaks_says_so() -> None:
    """A connection that ends without a close frame is 1006."""
    accept = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n\r\n"
    )

    def answers(head: bytes) -> bytes:
        key = next(
            line.split(b": ")[1]
            for line in head.splitlines()
            if line.lower().startswith(b"sec-websocket-key")
        )
        return accept % accept_key(key) + b"\x81\x05hello" + b"\x88\x00"

    async with serving(answers) as (_, url):
        transport = WebSocketTransport(url.replace("http", "ws"))
        socket = await transport.connect()
        assert await socket.receive() == b"hello"
        with pytest.raises(SocketClosed):
            await socket.receive()
        await socket.close()
        with pytest.raises(SocketClosed):
            await socket.send(b"late")
        await transport.close()


def accept_key(key: bytes) -> bytes:
    """RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://host?x=1", ""])
def test_address_must_be_one_of_an_exchange(url: str) -> None:
    """What is no such address is refused at once, by name."""
    with pytest.raises(ValueError, match="not the address"):
        HttpTransport(url)


@pytest.mark.parametrize(
    ("url", "over_socket"), [("http://h", False), ("https://h", False), ("ws://h", True), ("wss://h", True)]
)
def test_scheme_chooses_the_transport(url: str, over_socket: bool) -> None:
    """``connect`` sends orders over the socket for ws and wss."""
    client = ExchangeClient.connect(url, "key")
    assert client._caller.prefers_socket is over_socket
