"""The application is driven as a server would drive it."""

import asyncio
from collections import deque
from typing import Any

import pytest

from exchange.api.transport.frames import text_frame
from exchange.base.bounds import BACKLOG_BUFFER_BYTES, IN_PROCESS_MESSAGES
from exchange.client import ConnectionLost, InProcessTransport, RateLimited, Unauthenticated
from exchange.client.answers import decode
from exchange.client.asgi import Message, Receive, Send
from exchange.client.in_process_socket import FRAMES_EXTENSION
from exchange.client.transport import SocketClosed


async def test_request_has_path_query_headers_and_body() -> None:
    """What a server would make of the same request."""
    seen: dict[str, Any] = {}

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen.update(scope, messages=[await receive(), await receive()])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    transport = InProcessTransport(app, "key")
    answer = await transport.request("POST", "/a%20b?c=d&e=f", b"{}")
    assert (answer.status, answer.body) == (200, b"onetwo")
    assert (seen["method"], seen["path"], seen["query_string"]) == ("POST", "/a b", b"c=d&e=f")
    assert (b"x-api-key", b"key") in seen["headers"]
    assert (b"content-length", b"2") in seen["headers"]
    assert seen["messages"] == [
        {"type": "http.request", "body": b"{}", "more_body": False},
        {"type": "http.disconnect"},
    ]


async def test_application_that_does_not_answer_broke_the_connection() -> None:
    """Returning without an answer is what a broken connection looks like."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()

    with pytest.raises(ConnectionLost) as raised:
        await InProcessTransport(app).request("GET", "/", None)
    assert raised.value.sent


async def test_retry_after_is_read_from_its_header() -> None:
    """As over the network."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"2")]})
        await send({"type": "http.response.body"})

    answer = await InProcessTransport(app).request("GET", "/", None)
    with pytest.raises(RateLimited) as raised:
        decode(answer, None)
    assert raised.value.retry_after_s == 2.0


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Sends back what it receives."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "asked"})
        elif message["text"] == "bytes":
            await send({"type": "websocket.send", "bytes": b"\x00"})
        elif message["text"] == "fail":
            raise ZeroDivisionError
        elif message["text"] == "leave":
            return
        else:
            await send({"type": "websocket.send", "text": message["text"]})


async def test_messages_go_both_ways_in_order() -> None:
    """Text and bytes arrive as bytes."""
    transport = InProcessTransport(echo)
    socket = await transport.connect()
    for text in (b"a", b"b", b"bytes"):
        await socket.send(text)
    assert [await socket.receive() for _ in range(3)] == [b"a", b"b", b"\x00"]
    await transport.close()


@pytest.mark.parametrize(("word", "code"), [(b"close", 4001), (b"leave", 1006), (b"fail", 1011)])
async def test_end_by_the_application_comes_behind_what_it_sent(word: bytes, code: int) -> None:
    """A close frame, a return without one, and a fault; nothing can be sent afterwards."""
    transport = InProcessTransport(echo)
    socket = await transport.connect()
    await socket.send(b"before")
    await socket.send(word)
    assert await socket.receive() == b"before"
    for _ in range(2):
        with pytest.raises(SocketClosed) as raised:
            await socket.receive()
        assert raised.value.close_code == code
    with pytest.raises(SocketClosed):
        await socket.send(b"late")
    await transport.close()


async def test_application_hears_that_the_client_closed() -> None:
    """It gets the disconnect and can end by itself."""
    codes: list[int] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        codes.append((await receive())["code"])
        codes.append((await receive())["code"])

    transport = InProcessTransport(app)
    socket = await transport.connect()
    await socket.close()
    await transport.close()
    assert codes == [1001, 1001]


async def test_application_that_will_not_end_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for ever."""
    monkeypatch.setattr("exchange.client.in_process_socket._CLOSE_TIMEOUT_S", 0.01)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    transport = InProcessTransport(app)
    await transport.connect()
    await transport.close()
    assert len(asyncio.all_tasks()) == 1


async def test_refused_socket_raises_what_the_application_answered() -> None:
    """A denial with status and envelope, and a plain close before accepting."""

    async def deny(scope: Message, receive: Receive, send: Send) -> None:
        body = b'{"error": {"code": "UNAUTHENTICATED", "message": "no"}}'
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": body})

    async def close(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1000})

    with pytest.raises(Unauthenticated):
        await InProcessTransport(deny).connect()
    with pytest.raises(SocketClosed):
        await InProcessTransport(close).connect()


async def test_application_waits_for_a_client_that_does_not_read() -> None:
    """At the bound ``send`` waits until half has been read."""
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "websocket.accept"})
        for _ in range(IN_PROCESS_MESSAGES + 5):
            await send({"type": "websocket.send", "text": "x"})
            sent += 1

    transport = InProcessTransport(app)
    socket = await transport.connect()
    await asyncio.sleep(0)
    assert sent == IN_PROCESS_MESSAGES
    for _ in range(IN_PROCESS_MESSAGES + 5):
        await socket.receive()
    assert sent == IN_PROCESS_MESSAGES + 5
    await transport.close()


async def test_application_waits_for_bytes_as_well() -> None:
    """A backlog is counted in bytes: few large messages that nobody reads make ``send`` wait, too."""
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "websocket.accept"})
        for _ in range(3):
            await send({"type": "websocket.send", "text": "x" * BACKLOG_BUFFER_BYTES})
            sent += 1

    transport = InProcessTransport(app)
    socket = await transport.connect()
    await asyncio.sleep(0)
    assert sent == 1
    for _ in range(3):
        await socket.receive()
    assert sent == 3
    await transport.close()


async def test_application_that_waits_for_its_client_is_let_go_when_that_closes() -> None:
    """It is not cancelled: it goes on and may clean up."""
    done: list[bool] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        for _ in range(IN_PROCESS_MESSAGES + 5):
            await send({"type": "websocket.send", "text": "x"})
        done.append(True)

    transport = InProcessTransport(app)
    await transport.connect()
    await asyncio.sleep(0)
    assert done == []
    await transport.close()
    assert done == [True]


class Framed:
    """An application that uses the extension, as the exchange does."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.closed: list[tuple[int, str]] = []
        self.channel: Any = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.channel = scope["extensions"][FRAMES_EXTENSION]
        self.channel.on_close(lambda code, reason: self.closed.append((code, reason)))
        self.channel.on_message(self.take)
        await receive()

    def take(self, message: str) -> None:
        self.received.append(message)
        if message == "fail":
            raise ZeroDivisionError


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_frames_of_every_length_are_unwrapped(size: int) -> None:
    """The three forms of a length in RFC 6455."""
    app = Framed()
    transport = InProcessTransport(app)
    socket = await transport.connect()
    assert app.channel.is_open
    assert app.channel.write(text_frame(b"x" * size))
    assert app.channel.buffered_bytes() == size
    assert await socket.receive() == b"x" * size
    assert app.channel.buffered_bytes() == 0
    await transport.close()


async def test_messages_reach_the_handler_at_once() -> None:
    """Without a queue or an await between; those from before it was set come first."""
    app = Framed()
    transport = InProcessTransport(app)
    socket = await transport.connect()
    await socket.send(b"one")
    await socket.send(b"two")
    assert app.received == ["one", "two"]
    await socket.close()
    assert app.closed == [(1001, "")]
    assert not app.channel.write(b"\x81\x00")


async def test_close_by_the_channel_comes_behind_what_was_written() -> None:
    """What is unread can still be read, then the code and reason come."""
    app = Framed()
    transport = InProcessTransport(app)
    socket = await transport.connect()
    app.channel.write(b"\x81\x01x")
    app.channel.close(4008, "too slow")
    assert not app.channel.is_open
    assert await socket.receive() == b"x"
    with pytest.raises(SocketClosed, match="too slow") as raised:
        await socket.receive()
    assert raised.value.close_code == 4008
    await transport.close()


async def test_handler_that_fails_closes_the_socket() -> None:
    """As under the exchange's own server: 1011."""
    app = Framed()
    transport = InProcessTransport(app)
    socket = await transport.connect()
    await socket.send(b"fail")
    with pytest.raises(SocketClosed) as raised:
        await socket.receive()
    assert raised.value.close_code == 1011
    await transport.close()


async def test_messages_sent_before_the_handler_are_not_lost() -> None:
    """An application may be slow to set its handler."""
    received: deque[str] = deque()
    go = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        scope["extensions"][FRAMES_EXTENSION].on_message(received.append)
        await receive()

    transport = InProcessTransport(app)
    socket = await transport.connect()
    await socket.send(b"early")
    go.set()
    await asyncio.sleep(0)
    await socket.send(b"late")
    assert list(received) == ["early", "late"]
    await transport.close()
