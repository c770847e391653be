"""WebSockets by ASGI and by the frame channel: the same rules, in order, within bounds."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from exchange.api.transport.frame_channel import EXTENSION, FrameChannel
from exchange.api.transport.frames import binary_frame, text_frame
from exchange.api.transport.protocol import make_http_protocol
from exchange.api.transport.ws_protocol import WebSocketProtocol, make_ws_protocol
from tests.integration.protocol_harness import (
    SHORT_S,
    Asgi,
    Peer,
    Running,
    client_frame,
    echo,
    handshake,
    make_settings,
    on_uvloop,
    request,
    serving,
    until,
)

CLOSE, PING, PONG, TEXT, BINARY, PART = 0x88, 0x89, 0x8A, 0x81, 0x82, 0x01
MORE, LAST = 0x00, 0x80


async def queued(scope: Any, receive: Any, send: Any) -> None:
    """Echo by ASGI."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def direct(scope: Any, receive: Any, send: Any) -> None:
    """Echo by the frame channel."""
    channel = await _accepted(scope, receive, send)
    channel.on_message(lambda message: _echo(channel, message))
    await receive()


async def _accepted(scope: Any, receive: Any, send: Any) -> FrameChannel:
    await receive()
    await send({"type": "websocket.accept"})
    channel: FrameChannel = scope["extensions"][EXTENSION]
    return channel


def _echo(channel: FrameChannel, message: str | bytes) -> None:
    channel.write(text_frame(message.encode()) if isinstance(message, str) else binary_frame(message))


async def _open(server: Running, **options: Any) -> Peer:
    peer = await server.open(**options)
    assert (await peer.upgrade()).status == 101
    return peer


both_ways = pytest.mark.parametrize("app", [queued, direct])


@both_ways
def test_protocol_echoes_messages_of_every_length(app: Asgi) -> None:
    """Text and binary, over all three forms of the length, in single bytes and all at once."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(app) as server:
            peer = await _open(server)
            for byte in client_frame("grüße".encode()):
                await peer.send(bytes([byte]))
            assert await peer.frame() == (TEXT, "grüße".encode())
            sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 3]
            sending = asyncio.ensure_future(
                peer.send(b"".join(client_frame(b"x" * size, BINARY) for size in sizes))
            )
            for size in sizes:
                assert await peer.frame() == (BINARY, b"x" * size)
            await sending

    scenario()


@both_ways
def test_protocol_joins_fragments_and_answers_pings_between_them(app: Asgi) -> None:
    """A control frame may come inside a fragmented message (RFC 6455 section 5.4)."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(app) as server:
            peer = await _open(server)
            # The cut lies inside a character: only the whole message has to be UTF-8.
            await peer.send(
                client_frame(b"gr\xc3", PART) + client_frame(b"now", PING) + client_frame(b"\xbc", MORE)
            )
            await peer.send(client_frame(b"n", LAST) + client_frame(b"after"))
            assert await peer.frame() == (PONG, b"now")
            assert await peer.frame() == (TEXT, "grün".encode())
            assert await peer.frame() == (TEXT, b"after")

    scenario()


@both_ways
def test_protocol_answers_a_close(app: Asgi) -> None:
    """The client's close is echoed, and the place given back."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(app) as server:
            peer = await _open(server)
            await peer.send(client_frame(b"last"))
            assert await peer.frame() == (TEXT, b"last")
            await peer.send(client_frame(b"\x0f\xa1bye", CLOSE) + client_frame(b"after the end"))
            assert await peer.close_code() == 4001
            assert await peer.to_end() == b""
            peer.sock.close()
            await server.until_open(0)
            assert server.statistics.client_gone == 0

    scenario()


@on_uvloop
async def test_protocol_answers_what_came_with_the_close() -> None:
    """A handler's answer to a message in the same packet as the close leaves before the close is echoed."""
    async with serving(direct) as server:
        peer = await _open(server)
        await peer.send(client_frame(b"last") + client_frame(b"\x0f\xa1bye", CLOSE))
        assert await peer.frame() == (TEXT, b"last")
        assert await peer.close_code() == 4001


WRONG = [
    # what arrives                                                    close code
    (client_frame(b"x" * 1_001), 1009),
    (client_frame(b"x" * 1_001)[:5], 1009),
    (client_frame(b"x" * 2_000_000), 1009),
    (b"\x81\xff" + b"\xff" * 8, 1009),
    (client_frame(b"x" * 600, PART) + client_frame(b"x" * 600, LAST), 1009),
    (client_frame(b"", PART) + client_frame(b"", MORE) * 20, 1009),
    (client_frame(b"\xff\xfe"), 1007),
    (client_frame(b"\xed\xa0\x80"), 1007),
    (client_frame(b"\xc3", PART) + client_frame(b"x", LAST), 1007),
    (b"\x81\x05hello", 1002),
    (client_frame(b"x", 0xC1), 1002),
    (client_frame(b"x", 0x83), 1002),
    (client_frame(b"x", LAST), 1002),
    (client_frame(b"x", PART) + client_frame(b"y"), 1002),
    (client_frame(b"x" * 126, PING), 1002),
    (client_frame(b"x", 0x09), 1002),
    (client_frame(b"\x01", CLOSE), 1002),
    (client_frame(b"\x03\xed", CLOSE), 1002),
    (client_frame(b"\x0f\xa1\xff", CLOSE), 1007),
    (b"\xfa\xce\x00\xff" * 100, 1002),
]


@both_ways
@pytest.mark.parametrize(("data", "code"), WRONG)
def test_protocol_closes_on_what_breaks_the_rules(
    app: Asgi, data: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The right close code reaches the client, also when it is still sending; it is counted, and no error."""

    @on_uvloop
    async def scenario() -> None:
        limits: dict[str, Any] = {
            "max_message_bytes": 1_000,
            "max_fragments": 10,
            "max_discarded_bytes": 10_000_000,
        }
        async with serving(app, None, None, **limits) as server:
            peer = await _open(server)
            await peer.send(client_frame(b"first"))
            assert await peer.frame() == (TEXT, b"first")
            await peer.flood(data)
            assert await peer.close_code() == code
            assert await peer.to_end() == b""
            peer.sock.close()
            await server.until_open(0)
            assert server.statistics.refusals == {f"WS_{code}": 1}

    scenario()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@on_uvloop
async def test_protocol_resets_a_failed_socket_that_sends_on_and_on() -> None:
    """After its close frame a client is read only for so long."""
    async with serving(direct, max_discarded_bytes=1_000_000, close_timeout_s=60) as server:
        peer = await _open(server)
        await peer.flood(b"\x81\x05hello" + bytes(50_000_000))
        await server.until_open(0)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (handshake().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
        (handshake().replace(b"Version: 13", b"Version: 8"), 400),
        (handshake().replace(b"Sec-WebSocket-Key", b"X-Key"), 400),
        (handshake().replace(b"GET", b"POST"), 405),
        (handshake(extra="X-Long: " + "x" * 9_000 + "\r\n"), 400),
        (handshake(extra="X-Latin: \xe9\r\n"), 101),
    ],
)
def test_protocol_refuses_a_bad_handshake_in_the_envelope(head: bytes, status: int) -> None:
    """What never becomes a WebSocket is answered over HTTP, always."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(queued) as server:
            peer = await server.open()
            await peer.send(head)
            answer = await peer.answer()
            assert answer.status == status
            if status != 101:
                assert answer.code == "BAD_HTTP_REQUEST"
                assert answer.headers["content-type"] == "application/json"
                assert await peer.to_end() == b""
                assert server.statistics.refusals == {"BAD_HTTP_REQUEST": 1}

    scenario()


@pytest.mark.parametrize("fails", [False, True])
def test_protocol_answers_a_handshake_the_application_does_not_accept(fails: bool) -> None:
    """Closing before accepting is 403, failing is 500; both in the envelope."""

    @on_uvloop
    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if fails:
                raise ZeroDivisionError
            await send({"type": "websocket.close"})

        async with serving(app) as server:
            answer = await (await server.open()).upgrade()
            assert (answer.status, answer.code) == ((500, "INTERNAL_ERROR") if fails else (403, "FORBIDDEN"))

    scenario()


@on_uvloop
async def test_protocol_never_compresses() -> None:
    """An offer of permessage-deflate is not taken up, whatever the configuration."""
    async with serving(queued, config={"ws_per_message_deflate": True}) as server:
        answer = await (await server.open()).upgrade(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers


@on_uvloop
async def test_protocol_holds_what_comes_before_it_is_accepted() -> None:
    """Messages sent between handshake and acceptance are delivered after it."""
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await direct(scope, receive, send)

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(handshake())
        await until(lambda: bool(server.state.tasks))
        await peer.send(client_frame(b"early") + b"\x81\x05wrong")
        go_on.set()
        assert (await peer.answer()).status == 101
        assert await peer.frame() == (TEXT, b"early")
        assert await peer.close_code() == 1002


@on_uvloop
async def test_protocol_hands_over_what_was_queued_before_there_was_a_handler() -> None:
    """An application may take its time between accepting and taking messages."""
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        await go_on.wait()
        channel.on_message(lambda message: _echo(channel, message))
        await receive()

    async with serving(app) as server:
        peer = await _open(server)
        await peer.send(b"".join(client_frame(b"%d" % number) for number in range(100)))
        connection = next(iter(server.state.connections))
        assert isinstance(connection, WebSocketProtocol)
        await until(lambda: connection.queue.qsize() > 0)
        go_on.set()
        for number in range(100):
            assert await peer.frame() == (TEXT, b"%d" % number)


@on_uvloop
async def test_protocol_writes_in_the_order_of_the_calls() -> None:
    """Frames and ASGI messages leave as they were handed in; a turn's worth in one packet."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        for number in range(400):
            if number % 3:
                channel.write(text_frame(b"%d" % number))
            else:
                await send({"type": "websocket.send", "text": str(number)})
        channel.close(4000, "done")
        assert not channel.write(text_frame(b"too late"))
        assert not channel.is_open

    async with serving(app) as server:
        peer = await _open(server)
        for number in range(400):
            assert await peer.frame() == (TEXT, b"%d" % number)
        assert await peer.close_code() == 4000


@on_uvloop
async def test_protocol_writes_nothing_before_it_is_accepted() -> None:
    """A channel is closed until the handshake is answered."""
    written: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = scope["extensions"][EXTENSION]
        written.append(channel.write(text_frame(b"early")))
        channel.pause()
        channel.resume()
        channel.close(1000)
        await direct(scope, receive, send)

    async with serving(app) as server:
        peer = await _open(server)
        await peer.send(client_frame(b"x"))
        assert await peer.frame() == (TEXT, b"x")
        assert written == [False]


@on_uvloop
async def test_protocol_pauses_and_resumes_a_client() -> None:
    """While paused the handler is not called, not even for what has been read; nothing is lost."""
    seen: list[str | bytes] = []
    channels: list[FrameChannel] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        channels.append(channel)

        def handle(message: str | bytes) -> None:
            seen.append(message)
            if len(seen) % 10 == 0:
                channel.pause()

        channel.on_message(handle)
        await receive()

    async with serving(app) as server:
        peer = await _open(server)
        await peer.send(b"".join(client_frame(b"%d" % number) for number in range(35)))
        for count in (10, 20, 30):
            await until(partial(_has, seen, count))
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(seen) == count
            channels[0].resume()
        await until(lambda: len(seen) == 35)
        assert seen == [str(number) for number in range(35)]


def _has(seen: list[str | bytes], count: int) -> bool:
    return len(seen) >= count


@on_uvloop
async def test_protocol_slows_a_paused_client_down() -> None:
    """A paused socket is not read, so that its client cannot fill memory."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        (await _accepted(scope, receive, send)).pause()
        await receive()

    async with serving(app) as server:
        peer = await _open(server)
        flood = asyncio.ensure_future(peer.flood(client_frame(b"x" * 60_000) * 500))
        for _ in range(200):
            await asyncio.sleep(0)
        assert not flood.done()
        flood.cancel()


@on_uvloop
async def test_protocol_lets_a_slow_reader_fall_behind_alone() -> None:
    """What one client does not read grows in its own count only; closing it costs the others nothing."""
    channels: list[FrameChannel] = []
    ends: list[tuple[int, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        channel.on_message(lambda _: None)
        channel.on_close(lambda code, reason: ends.append((code, reason)))
        channels.append(channel)
        await receive()

    async with serving(app, close_timeout_s=SHORT_S) as server:
        slow, quick = await _open(server, receive_buffer=4_096), await _open(server)
        event = text_frame(b"e" * 10_000)
        while channels[0].buffered_bytes() < 1_048_576:
            assert [channel.write(event) for channel in channels] == [True, True]
            assert await quick.frame() == (TEXT, b"e" * 10_000)
        assert channels[1].buffered_bytes() == 0
        channels[0].close(4008, "too slow")
        assert not channels[0].write(event)
        assert channels[1].write(event)
        assert await quick.frame() == (TEXT, b"e" * 10_000)
        await server.until_open(1)
        assert ends == [(4008, "too slow")]
        assert server.statistics.client_gone == 0
        slow.sock.close()


@on_uvloop
async def test_protocol_lets_a_slow_reader_catch_up() -> None:
    """Once everything is read nothing counts as buffered, and nothing was lost."""
    channels: list[FrameChannel] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channels.append(await _accepted(scope, receive, send))
        await receive()

    async with serving(app) as server:
        peer = await _open(server, receive_buffer=4_096)
        await until(lambda: bool(channels))
        count = 0
        while channels[0].buffered_bytes() < 500_000:
            count += channels[0].write(text_frame(b"%05d" % count * 1_000))
            await asyncio.sleep(0)
        for number in range(count):
            assert (await peer.frame())[1] == b"%05d" % number * 1_000
        assert channels[0].buffered_bytes() == 0


@pytest.mark.parametrize("reader", ["messages", "receive"])
def test_protocol_counts_a_client_that_vanishes_mid_write(
    reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Writing to a client that reset its connection raises nothing and logs nothing; it is counted once."""

    @on_uvloop
    async def scenario() -> None:
        ends: list[tuple[int, str]] = []
        refused: list[bool] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            channel = await _accepted(scope, receive, send)
            channel.on_close(lambda code, reason: ends.append((code, reason)))
            if reader == "messages":
                channel.on_message(lambda _: None)
            await until(lambda: not channel.write(text_frame(b"x" * 10_000)))
            refused.append(channel.write(text_frame(b"x")))
            channel.close(1000)
            await receive()

        async with serving(app) as server:
            peer = await _open(server)
            await peer.frame()
            peer.reset()
            await server.until_open(0)
            await until(lambda: not server.state.tasks)
            assert ends == [(1006, "")]
            assert refused == [False]
            assert server.statistics.client_gone == 1

    scenario()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_protocol_gives_its_place_back_whatever_a_close_handler_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in a close handler is logged, and costs no place at the counter."""

    @on_uvloop
    async def scenario() -> None:
        def broken(code: int, reason: str) -> None:
            raise ZeroDivisionError

        async def app(scope: Any, receive: Any, send: Any) -> None:
            channel = await _accepted(scope, receive, send)
            channel.on_close(broken)
            await receive()

        async with serving(app) as server:
            peer = await _open(server)
            peer.reset()
            await server.until_open(0)
            await until(lambda: not server.state.tasks)

    scenario()
    assert caplog.text.count("Traceback") == 1


@on_uvloop
async def test_protocol_tells_the_end_to_a_late_listener() -> None:
    """A close handler set after the end is called at once."""
    ends: list[tuple[int, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        channel.on_close(lambda code, reason: ends.append((code, reason)))

    async with serving(app) as server:
        peer = await _open(server)
        await peer.send(client_frame(b"\x0f\xa1bye", CLOSE))
        await until(lambda: ends == [(4001, "bye")])


@pytest.mark.parametrize("fails", ["handler", "application"])
def test_protocol_closes_on_a_failure_of_the_application(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is logged, and the client told by 1011."""

    @on_uvloop
    async def scenario() -> None:
        def broken(message: str | bytes) -> None:
            raise ZeroDivisionError

        async def app(scope: Any, receive: Any, send: Any) -> None:
            channel = await _accepted(scope, receive, send)
            if fails == "application":
                raise ZeroDivisionError
            channel.on_message(broken)
            await receive()

        async with serving(app) as server:
            peer = await _open(server)
            await peer.send(client_frame(b"x") * 3)
            assert await peer.close_code() == 1011

    scenario()
    assert caplog.text.count("Traceback") == 1


@on_uvloop
async def test_protocol_bounds_pongs_nobody_reads() -> None:
    """A client that pings and never reads is reset before its pongs fill memory."""
    async with serving(direct, max_buffered_bytes=100_000) as server:
        peer = await _open(server, receive_buffer=4_096)
        await peer.flood(client_frame(b"p" * 125, PING) * 200_000)
        await server.until_open(0)


@on_uvloop
async def test_protocol_pings_and_closes_who_does_not_answer() -> None:
    """uvicorn's keep-alive works beside the channel."""
    async with serving(direct, config={"ws_ping_interval": 0.05, "ws_ping_timeout": 0.1}) as server:
        peer = await _open(server)
        first, payload = await peer.frame()
        assert first == PING
        await peer.send(client_frame(payload, PONG))
        assert (await peer.frame())[0] == PING
        assert await peer.close_code() == 1011


@on_uvloop
async def test_protocol_lets_a_socket_outlive_the_deadlines_of_its_handshake() -> None:
    """Deadlines of HTTP end with the upgrade."""
    config = {"ws_ping_interval": 0.05, "ws_ping_timeout": 5}
    async with serving(direct, None, config, head_timeout_s=0.1, body_timeout_s=0.1) as server:
        peer = await _open(server)
        for _ in range(5):
            first, payload = await peer.frame()
            assert first == PING
            await peer.send(client_frame(payload, PONG))
        await peer.send(client_frame(b"alive"))
        assert await peer.frame() == (TEXT, b"alive")


@on_uvloop
async def test_protocol_does_not_blame_a_paused_client_for_its_pongs() -> None:
    """A pong the server does not read is not missing."""
    resumed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        channel = await _accepted(scope, receive, send)
        channel.on_message(lambda message: _echo(channel, message))
        channel.pause()
        await resumed.wait()
        channel.resume()
        await receive()

    async with serving(app, config={"ws_ping_interval": 0.02, "ws_ping_timeout": 0.05}) as server:
        peer = await _open(server)
        _, payload = await peer.frame()
        await peer.send(client_frame(payload, PONG) + client_frame(b"here"))
        asyncio.get_running_loop().call_later(SHORT_S, resumed.set)
        assert await peer.frame() == (TEXT, b"here")


@on_uvloop
async def test_protocol_ends_a_close_the_client_does_not_answer() -> None:
    """A client that ignores the close frame is reset after a while."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        (await _accepted(scope, receive, send)).close(4000, "go")

    async with serving(app, close_timeout_s=SHORT_S) as server:
        peer = await _open(server)
        assert await peer.close_code() == 4000
        await server.until_open(0)


@on_uvloop
async def test_protocol_serves_starlette() -> None:
    """A Starlette endpoint finds the channel in its scope."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        channel: FrameChannel = websocket.scope["extensions"][EXTENSION]
        channel.on_message(lambda message: _echo(channel, message))
        await websocket.receive()

    async with serving(Starlette(routes=[WebSocketRoute("/", endpoint)])) as server:
        peer = await _open(server)
        await peer.send(client_frame(b"hello"))
        assert await peer.frame() == (TEXT, b"hello")


@both_ways
def test_protocol_says_1012_when_the_server_stops(app: Asgi) -> None:
    """Sockets are told that the service restarts; requests and idle connections end with it."""

    @on_uvloop
    async def scenario() -> None:
        settings = make_settings(close_timeout_s=SHORT_S)
        http, ws = make_http_protocol(settings), make_ws_protocol(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app, port=0, http=http, ws=ws, lifespan="off", log_config=None, proxy_headers=False
            )
        )
        serve = asyncio.ensure_future(server._serve())
        await until(lambda: server.started)
        running = Running(server.servers[0].sockets[0].getsockname()[1], settings, server.server_state)
        peer, left = await _open(running), await _open(running)
        idle, refused = await running.open(), await running.open()
        await left.send(client_frame(b"\x0f\xa1bye", CLOSE))
        assert await left.close_code() == 4001
        await refused.send(b"\0")
        assert (await refused.answer()).status == 400
        await running.until_open(4)
        server.should_exit = True
        assert await peer.close_code() == 1012
        assert await idle.to_end() == b""
        await serve
        assert settings.counter.statistics().connections_open == 0
        for each in (peer, left, idle, refused):
            each.sock.close()

    scenario()


@on_uvloop
async def test_protocol_serves_http_beside_sockets() -> None:
    """Both protocols live in one server."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await direct(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(request())
        assert (await peer.answer()).status == 204
        assert (await peer.upgrade()).status == 101
        await peer.send(client_frame(b"x"))
        assert await peer.frame() == (TEXT, b"x")


@pytest.mark.parametrize("max_in_flight", [1, 2, 64])
def test_protocol_upgrades_after_pipelined_requests(max_in_flight: int) -> None:
    """A handshake behind other requests waits its turn, and so does its refusal when frames came with it."""

    @on_uvloop
    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await (direct if scope["type"] == "websocket" else echo)(scope, receive, send)

        async with serving(app, max_in_flight=max_in_flight) as server:
            peer = await server.open()
            await peer.send(request() * 3)
            for _ in range(3):
                assert (await peer.answer()).status == 200
            assert (await peer.upgrade()).status == 101
            await peer.send(client_frame(b"x"))
            assert await peer.frame() == (TEXT, b"x")
            hasty = await server.open()
            await hasty.send(request() * 3 + handshake() + client_frame(b"too early"))
            assert [(await hasty.answer()).status for _ in range(4)] == [200, 200, 200, 400]

    scenario()


@both_ways
def test_protocol_ends_a_failed_socket_quietly_for_the_application(
    app: Asgi, caplog: pytest.LogCaptureFixture
) -> None:
    """What the application sends after the client broke the rules is the client's loss, not its error."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(app) as server:
            peer = await _open(server)
            await peer.send(client_frame(b"fine") + b"\x81\x05wrong")
            assert await peer.to_end()
            peer.sock.close()
            await until(lambda: not server.state.tasks)

    scenario()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
