"""What reaches the routes, and in which order it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from exchange.api.transport.connections import ConnectionCounter
from exchange.api.transport.protocol import HttpProtocol
from tests.integration.protocol_harness import (
    SHORT_S,
    Peer,
    answer,
    echo,
    on_uvloop,
    read_body,
    request,
    serving,
    until,
)


@on_uvloop
async def test_protocol_answers_several_requests_on_one_connection() -> None:
    """A connection is kept for the next request."""
    async with serving(echo) as server:
        peer = await server.open()
        for number in range(3):
            await peer.send(request("POST", f"/{number}", b"x" * number))
            assert (await peer.answer()).body == b"/%d|%s" % (number, b"x" * number)


@on_uvloop
async def test_protocol_takes_a_request_in_single_bytes() -> None:
    """Where packets end has no meaning."""
    async with serving(echo) as server:
        peer = await server.open()
        for byte in request("POST", "/a?b=c", b"body", "X-Name: value"):
            await peer.send(bytes([byte]))
        assert (await peer.answer()).body == b"/a|body"


@on_uvloop
async def test_protocol_takes_a_body_up_to_the_limit() -> None:
    """The limit itself is allowed, also for a body that comes in many pieces."""
    async with serving(echo, max_body_bytes=200_000) as server:
        peer = await server.open()
        await peer.send(request("POST", "/", b"y" * 200_000))
        assert len((await peer.answer()).body) == 200_002


@on_uvloop
async def test_protocol_takes_a_chunked_body_without_its_trailers() -> None:
    """Trailers are read and dropped: they never appear among the headers."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive)
        seen.append(scope["headers"])
        await answer(send, body or b"")

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(
            request("POST", "/", b"", "Transfer-Encoding: chunked")
            + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-API-Key: forged\r\n\r\n"
        )
        assert (await peer.answer()).body == b"abcde"
        assert b"x-api-key" not in dict(seen[0])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a%20b?c=%20d", "/a b", b"c=%20d"),
        ("http://host:80/a?b", "/a", b"b"),
        ("http://host", "/", b""),
        ("http://host?q", "/", b"q"),
        ("/a?b?c", "/a", b"b?c"),
        ("//a", "//a", b""),
        ("*", "*", b""),
    ],
)
def test_protocol_splits_request_targets(target: str, path: str, query: bytes) -> None:
    """Origin form, absolute form and asterisk of RFC 9112 section 3.2."""

    @on_uvloop
    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, repr((scope["path"], scope["query_string"])).encode())

        async with serving(app) as server:
            peer = await server.open()
            await peer.send(request("OPTIONS", target))
            assert (await peer.answer()).body.decode() == repr((path, query))

    scenario()


@on_uvloop
async def test_protocol_answers_pipelined_requests_in_order_and_holds_the_rest() -> None:
    """Of 200 requests in one packet at most 64 are taken in at a time, and all are answered in order."""
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await echo(scope, receive, send)

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(b"".join(request(path=f"/{number}") for number in range(200)))
        await until(lambda: any(_http(each).pipeline for each in server.state.connections))
        connection = _http(*server.state.connections)
        most = 0
        gate.set()
        for number in range(200):
            most = max(most, len(connection.pipeline) + 1)
            assert (await peer.answer()).body == b"/%d|" % number
        assert 32 <= most <= 64


def _chunked(body: bytes) -> bytes:
    chunks = [b"%x\r\n%b\r\n" % (len(body), body)] if body else []
    return request("POST", "/", b"", "Transfer-Encoding: chunked") + b"".join([*chunks, b"0\r\n\r\n"])


@pytest.mark.parametrize("make", [_chunked, lambda body: request("POST", "/", body)])
@pytest.mark.parametrize("max_in_flight", [1, 2, 3, 8, 64])
def test_protocol_takes_pipelined_bodies_of_every_size(
    max_in_flight: int, make: Callable[[bytes], bytes]
) -> None:
    """Cutting what arrives into pieces loses nothing, whatever the places left."""

    @on_uvloop
    async def scenario() -> None:
        sizes = [0, 1, 15, 16, 17, 1_000, 3_000, 40_000, 0, 5] * 3
        async with serving(echo, max_in_flight=max_in_flight) as server:
            peer = await server.open()
            everything = b"".join(make(b"z" * size) for size in sizes)
            _, answers = await asyncio.gather(peer.send(everything), _answers(peer, len(sizes)))
            assert [len(body) - 2 for body in answers] == sizes

    scenario()


async def _answers(peer: Peer, count: int) -> list[bytes]:
    return [(await peer.answer()).body for _ in range(count)]


@pytest.mark.parametrize("max_in_flight", [1, 8])
def test_protocol_holds_no_more_than_one_read_of_a_flood(max_in_flight: int) -> None:
    """However applications read, a pipelining client waits outside: in its own buffers."""

    @on_uvloop
    async def scenario() -> None:
        go_on = asyncio.Semaphore(0)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await read_body(receive)
            await go_on.acquire()
            await answer(send, b"")

        async with serving(app, max_in_flight=max_in_flight) as server:
            peer = await server.open()
            flood = asyncio.ensure_future(peer.flood(request() * 500_000))
            await until(lambda: any(_http(each).held for each in server.state.connections))
            connection = _http(*server.state.connections)
            for _ in range(50):
                assert len(connection.pipeline) < max_in_flight
                assert len(connection.held) <= 262_144
                go_on.release()
                await peer.answer()
            assert not flood.done()
            flood.cancel()

    scenario()


def _http(connection: object) -> HttpProtocol:
    assert isinstance(connection, HttpProtocol)
    return connection


@on_uvloop
async def test_protocol_answers_a_client_that_half_closed() -> None:
    """A client that sent its request and said that nothing more comes still reads its answer."""
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(request(path="/bye"))
        peer.half_close()
        await until(lambda: bool(server.state.tasks))
        asyncio.get_running_loop().call_later(SHORT_S / 4, go_on.set)
        assert (await peer.last_answer()).body == b"/bye|"
        await server.until_open(0)
        assert server.statistics.client_gone == 0


@on_uvloop
async def test_protocol_closes_when_the_end_comes_inside_a_request() -> None:
    """A request that can never become whole is not waited for."""
    async with serving(echo) as server:
        peer = await server.open()
        await peer.send(b"GET / HT")
        peer.half_close()
        assert await peer.to_end() == b""


@on_uvloop
async def test_protocol_counts_a_client_that_resets_while_it_is_owed_an_answer() -> None:
    """A vanished client is counted; the application learns of it and nothing is logged."""
    told = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        assert (await receive())["type"] == "http.disconnect"
        await answer(send, b"nobody reads this")
        told.set()

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(request())
        await server.until_open(1)
        await until(lambda: bool(server.state.tasks))
        peer.reset()
        await told.wait()
        await server.until_open(0)
        assert server.statistics.client_gone == 1


@on_uvloop
async def test_protocol_counts_nobody_who_leaves_between_requests() -> None:
    """A client that was owed nothing may close as it likes."""
    async with serving(echo) as server:
        peer = await server.open()
        await peer.send(request())
        await peer.answer()
        peer.reset()
        await server.until_open(0)
        assert server.statistics.client_gone == 0


@on_uvloop
async def test_protocol_resets_a_client_that_never_reads() -> None:
    """An answer nobody reads does not hold its connection for ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, bytes(8_000_000))

    async with serving(app, None, {"timeout_keep_alive": 60}, write_timeout_s=SHORT_S) as server:
        peer = await server.open(receive_buffer=4_096)
        await peer.send(request())
        await server.until_open(1)
        await server.until_open(0)


@on_uvloop
async def test_protocol_sends_head_and_body_in_one_write() -> None:
    """ASGI asks that the head waits for the body; it then costs one packet."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(request())
        await begun.wait()
        reading = asyncio.ensure_future(peer.more())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not reading.done()
        go_on.set()
        await reading
        assert (await peer.answer()).body == b"ok"


@on_uvloop
async def test_protocol_streams_an_answer_of_unknown_length_in_chunks() -> None:
    """Without a content-length the body is chunked, and ends with the empty chunk."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for body in (b"ab", b"", b"cde"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    async with serving(app) as server:
        peer = await server.open()
        await peer.send(request("GET", "/", b"", "Connection: close"))
        head, _, body = (await peer.to_end()).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert b"connection: close" in head
        assert body == b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"


@on_uvloop
async def test_protocol_sends_no_body_for_head() -> None:
    """HEAD gets the headers of GET alone, and the connection stays usable."""
    async with serving(echo) as server:
        peer = await server.open()
        await peer.send(request("HEAD", "/abc"))
        assert (await peer.answer(head_only=True)).headers["content-length"] == "5"
        await peer.send(request())
        assert (await peer.answer()).body == b"/|"


@pytest.mark.parametrize("value", [b"a\r\nx-forged: 1", b"a\nb", b"a\rb", b"a\0b"])
def test_protocol_sends_no_header_with_a_line_break(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A value that could forge header fields is an error of the application, never sent."""

    @on_uvloop
    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"", 200, (b"x-echo", value))

        async with serving(app) as server:
            peer = await server.open()
            await peer.send(request())
            assert b"forged" not in await peer.to_end()

    scenario()
    assert "Invalid HTTP header" in caplog.text


@on_uvloop
async def test_protocol_says_continue_when_the_application_reads() -> None:
    """``Expect: 100-continue`` is answered before the body is sent."""
    async with serving(echo) as server:
        peer = await server.open()
        await peer.send(request("POST", "/", b"", "Expect: 100-continue", "Content-Length: 2"))
        assert await peer.take(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"ok")
        assert (await peer.answer()).body == b"/|ok"


@on_uvloop
async def test_protocol_ignores_an_upgrade_it_does_not_know() -> None:
    """A client that offers HTTP/2 is answered over HTTP/1.1, also what it pipelined behind."""
    async with serving(echo) as server:
        peer = await server.open()
        offer = request("GET", "/first", b"", "Connection: Upgrade", "Upgrade: h2c")
        await peer.send(offer + request(path="/second"))
        assert (await peer.answer()).body == b"/first|"
        assert (await peer.answer()).body == b"/second|"


@on_uvloop
async def test_protocol_gives_the_place_of_a_closed_connection_to_another() -> None:
    """The limit per address is on open connections."""
    async with serving(echo, ConnectionCounter(max_per_address=1)) as server:
        for _ in range(3):
            peer = await server.open()
            await peer.send(request())
            assert (await peer.answer()).status == 200
            peer.sock.close()
            await server.until_open(0)


@on_uvloop
async def test_protocol_works_on_while_one_connection_trickles() -> None:
    """A slow client costs the others nothing."""
    async with serving(echo) as server:
        slow = await server.open()
        await slow.send(b"GET /slow HTTP/1.1\r\n")
        quick = await server.open()
        for _ in range(20):
            await quick.send(request())
            assert (await quick.answer()).status == 200
        await slow.send(b"\r\n")
        assert (await slow.answer()).body == b"/slow|"
