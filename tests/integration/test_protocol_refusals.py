"""What never reaches the routes: refused in the envelope, within bounds, without an error in the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exchange.api.transport.connections import ConnectionCounter
from tests.integration.protocol_harness import (
    SHORT_S,
    Answer,
    answer,
    client_frame,
    echo,
    handshake,
    on_uvloop,
    read_body,
    request,
    serving,
    until,
)


def _check(refusal: Answer, status: int, code: str) -> None:
    assert (refusal.status, refusal.code) == (status, code)
    assert refusal.headers["content-type"] == "application/json"
    assert refusal.headers["connection"] == "close"
    envelope = refusal.json
    assert envelope.pop("error").keys() - {"retry_after_ms"} == {"code", "message"}
    assert envelope.pop("request_id").startswith("req_")
    assert envelope == {"success": False, "timestamp": "2026-01-01T00:00:00.000000Z"}


async def _refusal(data: bytes, **limits: Any) -> tuple[Answer, dict[str, int]]:
    async with serving(echo, **limits) as server:
        peer = await server.open()
        await peer.flood(data)
        refusal = await peer.last_answer()
        peer.sock.close()
        await server.until_open(0)
        return refusal, server.statistics.refusals


CASES = [
    # what arrives                                                              status  code
    (b"GET\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"G\x00T / HTTP/1.1\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"GET / HTTP/3.7\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400, "BAD_HTTP_REQUEST"),
    (b"GET /\xff HTTP/1.1\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"CONNECT host:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "BAD_HTTP_REQUEST"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Content-Length: -1"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Content-Length: 1e3"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Content-Length: 5", "Content-Length: 6"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Content-Length: 5", "Content-Length: 5"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Content-Length: 5", "Transfer-Encoding: chunked"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", "Transfer-Encoding: chunked") + b"xyz\r\n", 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", f"Content-Length: {10**30}"), 400, "BAD_HTTP_REQUEST"),
    (request("POST", "/", b"", f"Content-Length: {10**15}"), 413, "BODY_TOO_LARGE"),
    (request("POST", "/", b"", "Content-Length: 65537"), 413, "BODY_TOO_LARGE"),
    (request("POST", "/", b"", "Content-Length: 65537", "Expect: 100-continue"), 413, "BODY_TOO_LARGE"),
    (request("POST", "/", b"", "Content-Length: 500000") + bytes(500_000), 413, "BODY_TOO_LARGE"),
    (request(path="/" + "a" * 4_096), 414, "URI_TOO_LONG"),
    (b"GET /" + b"a" * 100_000, 414, "URI_TOO_LONG"),
    (request("GET", "/", b"", *["A: b"] * 100), 431, "HEADERS_TOO_LARGE"),
    (request("GET", "/", b"", *["A: b"] * 1_000), 431, "HEADERS_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1_000, 431, "HEADERS_TOO_LARGE"),
    (request("GET", "/", b"", "A: " + "b" * 20_000), 431, "HEADERS_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000, 431, "HEADERS_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\n" + b"b" * 100_000, 431, "HEADERS_TOO_LARGE"),
    (request("GET", "/", b"", *[f"A{i}: {'b' * 900}" for i in range(20)]), 431, "HEADERS_TOO_LARGE"),
]


@pytest.mark.parametrize(("data", "status", "code"), CASES)
def test_protocol_refuses(data: bytes, status: int, code: str) -> None:
    """One envelope with the right status, then the end of the connection, and one count."""

    @on_uvloop
    async def scenario() -> None:
        refusal, counts = await _refusal(data)
        _check(refusal, status, code)
        assert counts == {code: 1}

    scenario()


CHUNKED = request("POST", "/", b"", "Transfer-Encoding: chunked")

BODIES = [
    # after the head                                                        status  code
    (b"10000\r\n" + bytes(65_536) + b"\r\n1\r\nx\r\n0\r\n\r\n", 413, "BODY_TOO_LARGE"),
    (b"1\r\nx\r\n" * 70_000, 413, "BODY_TOO_LARGE"),
    (b"1;" + b"e" * 700_000, 413, "BODY_TOO_LARGE"),
    (b"0\r\n" + b"T: t\r\n" * 1_000, 431, "HEADERS_TOO_LARGE"),
    (b"0\r\nT: " + b"t" * 700_000, 413, "BODY_TOO_LARGE"),
]


@pytest.mark.parametrize(("data", "status", "code"), BODIES)
def test_protocol_refuses_chunked_bodies(data: bytes, status: int, code: str) -> None:
    """Chunked bodies are counted as they arrive, with what is wrapped around them."""

    @on_uvloop
    async def scenario() -> None:
        refusal, _ = await _refusal(CHUNKED + data)
        _check(refusal, status, code)

    scenario()


@pytest.mark.parametrize(
    "data",
    [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nA: b", CHUNKED, CHUNKED + b"5\r\nab"],
)
def test_protocol_refuses_what_does_not_arrive_in_time(data: bytes) -> None:
    """A head or body that stops half-way is answered 408."""

    @on_uvloop
    async def scenario() -> None:
        refusal, _ = await _refusal(data, head_timeout_s=SHORT_S, body_timeout_s=SHORT_S)
        _check(refusal, 408, "REQUEST_TIMEOUT")

    scenario()


@on_uvloop
async def test_protocol_refuses_a_head_that_trickles() -> None:
    """The deadline is for the whole head: bytes that keep coming do not move it."""
    async with serving(echo, head_timeout_s=SHORT_S) as server:
        peer = await server.open()
        trickle = asyncio.ensure_future(_trickle(peer, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 90))
        _check(await peer.answer(), 408, "REQUEST_TIMEOUT")
        trickle.cancel()


@on_uvloop
async def test_protocol_refuses_a_body_that_trickles() -> None:
    """The deadline is for the whole body."""
    async with serving(echo, body_timeout_s=SHORT_S) as server:
        peer = await server.open()
        trickle = asyncio.ensure_future(_trickle(peer, request("POST", "/", b"x" * 1_000), 960))
        _check(await peer.answer(), 408, "REQUEST_TIMEOUT")
        trickle.cancel()


async def _trickle(peer: Any, data: bytes, gap_every: int = 1) -> None:
    loop = asyncio.get_running_loop()
    for position in range(len(data)):
        await peer.flood(data[position : position + 1])
        turn = loop.create_future()
        loop.call_later(0.005, turn.set_result, None)
        await turn


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n"])
def test_protocol_closes_a_silent_connection_without_a_word(data: bytes) -> None:
    """Who never begins a request is owed no answer; empty lines are no beginning."""

    @on_uvloop
    async def scenario() -> None:
        async with serving(echo, head_timeout_s=SHORT_S) as server:
            peer = await server.open()
            await peer.send(data)
            assert await peer.to_end() == b""
            assert server.statistics.refusals == {}

    scenario()


@on_uvloop
async def test_protocol_closes_an_idle_connection_whatever_empty_lines_it_sends() -> None:
    """The keep-alive timeout is uvicorn's, and empty lines between requests do not move it."""
    async with serving(echo, config={"timeout_keep_alive": SHORT_S}) as server:
        peer = await server.open()
        await peer.send(request())
        assert (await peer.answer()).status == 200
        trickle = asyncio.ensure_future(_trickle(peer, b"\r\n" * 10_000))
        assert await peer.to_end_or_reset() == b""
        trickle.cancel()


@on_uvloop
async def test_protocol_gives_a_slow_second_head_its_own_deadline() -> None:
    """On a kept connection the head is due from its own first byte."""
    async with serving(echo, head_timeout_s=SHORT_S) as server:
        peer = await server.open()
        await peer.send(request())
        assert (await peer.answer()).status == 200
        await peer.send(b"GET / HT")
        _check(await peer.last_answer(), 408, "REQUEST_TIMEOUT")


@on_uvloop
async def test_protocol_does_not_hurry_an_application() -> None:
    """Deadlines are for the client: an answer may take longer than all of them."""
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await go_on.wait()
        await answer(send, b"late")

    async with serving(
        app, head_timeout_s=0.02, body_timeout_s=0.02, config={"timeout_keep_alive": 5}
    ) as server:
        peer = await server.open()
        await peer.send(request("POST", "/", b"x"))
        asyncio.get_running_loop().call_later(SHORT_S, go_on.set)
        assert (await peer.answer()).body == b"late"


@on_uvloop
async def test_protocol_does_not_blame_a_client_it_does_not_read() -> None:
    """While an unread body holds the connection back its deadline waits too."""
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    async with serving(app, body_timeout_s=0.05, max_body_bytes=10_000_000) as server:
        peer = await server.open()
        sending = asyncio.ensure_future(peer.send(request("POST", "/", bytes(9_000_000))))
        asyncio.get_running_loop().call_later(SHORT_S, go_on.set)
        assert len((await peer.answer()).body) == 9_000_002
        await sending


@on_uvloop
async def test_protocol_tells_the_application_of_a_refused_body() -> None:
    """An application that waits for the rest of a refused body learns that the client is gone."""
    bodies: list[bytes | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bodies.append(await read_body(receive))
        await answer(send, b"never sent")

    async with serving(app, body_timeout_s=SHORT_S) as server:
        peer = await server.open()
        await peer.send(CHUNKED + b"5\r\nab")
        _check(await peer.last_answer(), 408, "REQUEST_TIMEOUT")
        assert bodies == [None]


@on_uvloop
async def test_protocol_cuts_an_answer_that_began_before_its_body_was_refused() -> None:
    """Two answers to one request would be read as the answer to the next: it ends with neither."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        assert await read_body(receive) is None

    async with serving(app, body_timeout_s=SHORT_S) as server:
        peer = await server.open()
        await peer.send(CHUNKED + b"5\r\nab")
        head, _, body = (await peer.to_end()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"5\r\nbegun\r\n"


@on_uvloop
async def test_protocol_drops_the_rest_of_a_body_answered_early() -> None:
    """An answer before the end of the body leaves the connection usable."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, scope["path"].encode())

    async with serving(app) as server:
        peer = await server.open()
        whole = request("POST", "/early", b"x" * 2_000)
        await peer.send(whole[:500])
        assert (await peer.answer()).body == b"/early"
        await peer.send(whole[500:] + request(path="/next"))
        assert (await peer.answer()).body == b"/next"


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        (b"\x00\x01\x02", 400, "BAD_HTTP_REQUEST"),
        (request("POST", "/", b"", "Content-Length: 100000"), 413, "BODY_TOO_LARGE"),
        (CHUNKED + b"10000\r\n" + bytes(65_536) + b"\r\n1\r\nx\r\n", 413, "BODY_TOO_LARGE"),
        (handshake(), 400, "BAD_HTTP_REQUEST"),
        (handshake() + client_frame(b"too early"), 400, "BAD_HTTP_REQUEST"),
    ],
)
def test_protocol_refuses_in_turn(bad: bytes, status: int, code: str) -> None:
    """A refusal never overtakes the answers to the requests before it."""

    @on_uvloop
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await echo(scope, receive, send)

        async with serving(app) as server:
            peer = await server.open()
            await peer.send(request(path="/1") + request(path="/2") + bad)
            await until(lambda: server.state.tasks != set())
            go_on.set()
            assert [(await peer.answer()).body for _ in range(2)] == [b"/1|", b"/2|"]
            _check(await peer.last_answer(), status, code)

    scenario()


@on_uvloop
async def test_protocol_refuses_frames_that_come_with_the_handshake() -> None:
    """A client must wait for the handshake to be answered (RFC 6455 section 4.1)."""
    refusal, _ = await _refusal(handshake() + client_frame(b"too early"))
    _check(refusal, 400, "BAD_HTTP_REQUEST")


@on_uvloop
async def test_protocol_resets_a_refused_client_that_sends_on_and_on() -> None:
    """A refused client is heard only so long that it can read the refusal."""
    async with serving(echo, max_discarded_bytes=1_000_000, close_timeout_s=60) as server:
        peer = await server.open()
        await peer.flood(request("POST", "/", b"", "Content-Length: 100000") + bytes(50_000_000))
        await server.until_open(0)


@on_uvloop
async def test_protocol_resets_a_refused_client_that_does_not_close() -> None:
    """After a refusal the client has a while to end the connection itself."""
    async with serving(echo, close_timeout_s=SHORT_S) as server:
        peer = await server.open()
        await peer.send(b"\x00")
        assert (await peer.answer()).status == 400
        await server.until_open(0)


@on_uvloop
async def test_protocol_refuses_connections_past_the_limit_of_an_address() -> None:
    """One connection too many is told so at once; those that are open go on."""
    async with serving(echo, ConnectionCounter(max_per_address=2)) as server:
        first, second = await server.open(), await server.open()
        await server.until_open(2)
        third = await server.open()
        refusal = await third.last_answer()
        _check(refusal, 503, "TOO_MANY_CONNECTIONS")
        assert refusal.headers["retry-after"] == "1"
        assert refusal.json["error"]["retry_after_ms"] == 1_000
        for peer in (first, second):
            await peer.send(request())
            assert (await peer.answer()).status == 200


@on_uvloop
async def test_protocol_drops_connections_past_those_it_tells() -> None:
    """A flood of connections is not told one by one."""
    counter = ConnectionCounter(max_total=1, max_refused=1)
    async with serving(echo, counter, close_timeout_s=60) as server:
        await server.open()
        await server.until_open(1)
        told = await server.open()
        assert (await told.answer()).status == 503
        dropped = await server.open()
        assert await dropped.to_end() == b""
        assert server.statistics.refusals == {"TOO_MANY_CONNECTIONS": 2}


@on_uvloop
async def test_protocol_counts_sockets_and_requests_of_an_address_together() -> None:
    """A WebSocket keeps the place of the HTTP connection it was, and gives it back when it ends."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await echo(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with serving(app, ConnectionCounter(max_per_address=1)) as server:
        peer = await server.open()
        assert (await peer.upgrade()).status == 101
        assert (await (await server.open()).answer()).code == "TOO_MANY_CONNECTIONS"
        peer.sock.close()
        await server.until_open(0)
        again = await server.open()
        await again.send(request())
        assert (await again.answer()).status == 200


@on_uvloop
async def test_protocol_refuses_past_uvicorns_concurrency_in_the_envelope() -> None:
    """``limit_concurrency`` answers like everything else."""
    async with serving(echo, config={"limit_concurrency": 1}) as server:
        peer = await server.open()
        await peer.send(request())
        _check(await peer.last_answer(), 503, "OVERLOADED")


def test_protocol_answers_a_failed_application_in_the_envelope(caplog: pytest.LogCaptureFixture) -> None:
    """An exception before the answer is logged and answered 500."""

    @on_uvloop
    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ZeroDivisionError

        async with serving(app) as server:
            peer = await server.open()
            await peer.send(request())
            _check(await peer.last_answer(), 500, "INTERNAL_ERROR")

    scenario()
    assert "ZeroDivisionError" in caplog.text


def test_protocol_logs_nothing_for_what_clients_do_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """Clients cannot fill the log."""

    @on_uvloop
    async def scenario() -> None:
        for data, _, _ in CASES:
            await _refusal(data)
        async with serving(echo) as server:
            for data in (b"GET", CHUNKED, request() * 10, b"\0"):
                peer = await server.open()
                await peer.send(data)
                peer.reset()

    scenario()
    assert caplog.records == []
