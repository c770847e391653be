"""Requests that arrived whole are answered without ASGI; all others, and all bounds, are as ever."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from exchange.api.transport.response_cycle import ResponseCycle
from tests.integration.protocol_harness import answer, on_uvloop, read_body, request, serving, until


async def _by_asgi(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"asgi|" + (await read_body(receive) or b""))


def _head(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)


async def _at_once(cycle: ResponseCycle) -> None:
    body = b"direct|%b|%b" % (cycle.scope["path"].encode(), bytes(cycle.body))
    if not cycle.answer(_head(body), body):
        await answer(cycle.send, body)


@on_uvloop
async def test_direct_takes_what_arrived_whole() -> None:
    """A request whose body is there goes the short way; one whose body is under way goes by ASGI."""
    async with serving(_by_asgi, direct=_at_once) as server:
        peer = await server.open()
        whole = request("POST", "/a", b"body")
        await peer.send(whole)
        assert (await peer.answer()).body == b"direct|/a|body"
        await peer.send(whole[:-2])
        await until(lambda: bool(server.state.tasks))
        await peer.send(whole[-2:])
        assert (await peer.answer()).body == b"asgi|body"


@on_uvloop
async def test_direct_answers_a_closing_request_the_long_way() -> None:
    """What the short way can't say is said by ASGI's messages, and the connection is closed."""
    async with serving(_by_asgi, direct=_at_once) as server:
        peer = await server.open()
        await peer.send(request("GET", "/a", b"", "Connection: close"))
        last = await peer.last_answer()
        assert (last.body, last.headers["connection"]) == (b"direct|/a|", "close")


@on_uvloop
async def test_direct_pipelined_requests_take_a_turn_each() -> None:
    """Answers come in order, and thousands in one packet never hold the loop: it turns between any two."""
    turns, at_turn = 0, list[int]()

    async def direct(cycle: ResponseCycle) -> None:
        at_turn.append(turns)
        await _at_once(cycle)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with serving(_by_asgi, direct=direct) as server:
        peer = await server.open()
        await peer.send(b"".join(request(path=f"/{number}") for number in range(2_000)))
        for number in range(2_000):
            assert (await peer.answer()).body == b"direct|/%d|" % number
    counting.cancel()
    assert len(set(at_turn)) == len(at_turn) == 2_000


@on_uvloop
async def test_direct_waits_without_holding_others() -> None:
    """One that waits for a future is resumed by it; others are answered meanwhile."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def direct(cycle: ResponseCycle) -> None:
        if cycle.scope["path"] == "/slow":
            await gate
        await _at_once(cycle)

    async with serving(_by_asgi, direct=direct) as server:
        slow, quick = await server.open(), await server.open()
        await slow.send(request(path="/slow"))
        await quick.send(request(path="/quick"))
        assert (await quick.answer()).body == b"direct|/quick|"
        gate.set_result(None)
        assert (await slow.answer()).body == b"direct|/slow|"


@on_uvloop
async def test_direct_for_a_client_that_left_ends_quietly() -> None:
    """Its answer is dropped, the client counted, and nothing is left running."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def direct(cycle: ResponseCycle) -> None:
        await gate
        await _at_once(cycle)

    async with serving(_by_asgi, direct=direct) as server:
        peer = await server.open()
        await peer.send(request())
        await until(lambda: bool(server.state.tasks))
        peer.reset()
        await server.until_open(0)
        gate.set_result(None)
        await until(lambda: not server.state.tasks)
        assert server.statistics.client_gone == 1


def test_direct_that_raises_is_answered_500(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is in the log and the client is not left waiting; the server goes on."""

    @on_uvloop
    async def scenario() -> None:
        async def direct(cycle: ResponseCycle) -> None:
            if cycle.scope["path"] == "/bug":
                raise ValueError("a bug")
            await _at_once(cycle)

        async with serving(_by_asgi, direct=direct) as server:
            broken, other = await server.open(), await server.open()
            await broken.send(request(path="/bug"))
            failed = await broken.answer()
            assert (failed.status, json.loads(failed.body)["error"]["code"]) == (500, "INTERNAL_ERROR")
            await other.send(request(path="/a"))
            assert (await other.answer()).body == b"direct|/a|"

    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        scenario()
    assert "a bug" in caplog.text
