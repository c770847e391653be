"""Requests that are almost HTTP, or HTTP with a second meaning: one answer each, and no order too many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.raid import Raid, Team, raid
from tests.support.raw_client import RawClient

BUY: dict[str, Any] = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 160.0}
BODY = json.dumps(BUY).encode()
SIZE = str(len(BODY))
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LIVE = "GET /health/live HTTP/1.1"
ORDER = "POST /exchange/orders HTTP/1.1"
BAD, OK = "BAD_HTTP_REQUEST", "ok"
TIMEOUTS = {"EXCHANGE_SERVER__HEADER_TIMEOUT_S": "1", "EXCHANGE_SERVER__BODY_TIMEOUT_S": "1"}


class Trick(NamedTuple):
    """What is sent (with the team's key where it is an order), and the code of every answer."""

    request: bytes
    answers: list[str]
    orders: int = 0


Make = Callable[[str], Trick]


def _order(*fields: str, body: bytes = BODY, answers: tuple[str, ...] = (BAD,), orders: int = 0) -> Make:
    """An order with ``fields`` in its head."""
    return lambda key: Trick(_head(ORDER, f"X-API-Key: {key}", *fields) + body, list(answers), orders)


def _plain(first_line: str, *fields: str, answer: str = BAD) -> Make:
    return lambda key: Trick(_head(first_line, *fields), [answer])


def _raw(data: bytes, answer: str = BAD) -> Make:
    return lambda key: Trick(data, [answer])


def _head(first_line: str, *fields: str) -> bytes:
    return "\r\n".join([first_line, "Host: x", *fields, "", ""]).encode("latin-1")


def _length(size: str = SIZE) -> str:
    return f"Content-Length: {size}"


TRICKS: dict[str, Make] = {
    "plain": _order(_length(), answers=(OK,), orders=1),
    "chunked": _order("Transfer-Encoding: chunked", body=CHUNKED, answers=(OK,), orders=1),
    "chunk extension": _order(
        "Transfer-Encoding: chunked", body=CHUNKED.replace(b"\r\n", b";a=b\r\n", 1), answers=(OK,), orders=1
    ),
    "key in a trailer": lambda key: Trick(
        _head(ORDER, "Transfer-Encoding: chunked")
        + CHUNKED.removesuffix(b"\r\n")
        + f"X-API-Key: {key}\r\n\r\n".encode(),
        ["UNAUTHENTICATED"],
    ),
    "length and chunked": _order(_length("3"), "Transfer-Encoding: chunked", body=CHUNKED),
    "chunked under another name": _order("Transfer-Encoding: xchunked", body=CHUNKED),
    "chunk of no size": _order("Transfer-Encoding: chunked", body=b"zz\r\n"),
    "chunk of negative size": _order("Transfer-Encoding: chunked", body=b"-1\r\n"),
    "length twice": _order(_length(), _length()),
    "two lengths": _order(_length(), _length("5")),
    "length with a sign": _order(_length("+" + SIZE)),
    "negative length": _order(_length("-1")),
    "endless length": _order(_length("9" * 30)),
    "list of lengths": _order(_length(f"{SIZE}, {SIZE}")),
    "length too short": _order(_length("10"), answers=("BAD_JSON", BAD)),
    "length too large": _order(_length("9999999"), body=b"", answers=("BODY_TOO_LARGE",)),
    "length too long": _order(_length("1000"), answers=("REQUEST_TIMEOUT",)),
    "folded header": _order("X-A: a\r\n b", _length()),
    "space before the colon": _order("X-A : a", _length()),
    "header without a name": _order(": a", _length()),
    "NUL in a header": _order("X-A: a\0b", _length()),
    "two keys": _order("X-API-Key: other", _length(), answers=("INVALID_REQUEST",)),
    "two request ids": _order("X-Request-ID: a", "x-request-id: b", _length(), answers=("INVALID_REQUEST",)),
    "many headers": _order(*["A: b"] * 200, answers=("HEADERS_TOO_LARGE",)),
    "huge header": _order("A: " + "b" * 70_000, answers=("HEADERS_TOO_LARGE",)),
    "compressed": _order("Content-Encoding: gzip", _length(), answers=("UNSUPPORTED_MEDIA_TYPE",)),
    "upgrade of an order": _order("Connection: Upgrade", "Upgrade: websocket", _length()),
    "upgrade to what is not spoken": _plain(LIVE, "Connection: Upgrade", "Upgrade: h2c", answer=OK),
    "second request malformed": lambda key: Trick(
        _head(ORDER, f"X-API-Key: {key}", _length()) + BODY + b"XX\r\n\r\n", [OK, BAD], 1
    ),
    "request behind a chunked one": lambda key: Trick(
        _head(ORDER, f"X-API-Key: {key}", "Transfer-Encoding: chunked") + CHUNKED + _head(LIVE), [OK, OK], 1
    ),
    "five at once": lambda key: Trick((_head(ORDER, f"X-API-Key: {key}", _length()) + BODY) * 5, [OK] * 5, 5),
    "HTTP/1.0": _plain("GET /health/live HTTP/1.0", answer=OK),
    "HTTP/1.2": _plain("GET /health/live HTTP/1.2"),
    "HTTP/2": _raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": _raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200),
    "noise": _raw(bytes(range(256)) * 10),
    "line feeds alone": _raw(b"GET /health/live HTTP/1.1\nHost: x\n\n"),
    "empty lines first": _raw(b"\r\n\r\n" + _head(LIVE), OK),
    "unknown method": _plain("FOO /health/live HTTP/1.1"),
    "method in small letters": _plain("get /health/live HTTP/1.1"),
    "huge path": _plain(f"GET /{'a' * 70_000} HTTP/1.1", answer="URI_TOO_LONG"),
    "path beyond ASCII": _raw("GET /\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
    "NUL in the path": _raw(b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "absolute target": _plain("GET http://evil/health/live HTTP/1.1", answer=OK),
    "authority as target": _plain("GET evil:80 HTTP/1.1"),
    "fragment": _plain("GET /health/live#x HTTP/1.1", answer=OK),
    "GET with a body": _raw(_head(LIVE, "Content-Length: 5") + b"hello", OK),
    "half a head": _raw(b"GET / HTTP/1.1\r\nHo", "REQUEST_TIMEOUT"),
}


async def _answers(client: RawClient, count: int) -> list[str]:
    codes = []
    for _ in range(count):
        headers, envelope = await client.head_and_answer()
        assert b"server-timing" in headers
        codes.append("ok" if envelope["success"] else envelope["error"]["code"])
    return codes


async def _try(attack: Raid, team: Team, make: Make) -> None:
    trick = make(team.key)
    await attack.send("DELETE", "/exchange/orders", team.key)
    client = RawClient(int(attack.server.url.rpartition(":")[2]), team.key)
    try:
        client.send(trick.request)
        async with asyncio.timeout(10):
            assert await _answers(client, len(trick.answers)) == trick.answers
    finally:
        client.leave(reset=False)
    _, entered = await attack.send("GET", "/exchange/orders", team.key)
    assert len(entered["data"]["orders"]) == trick.orders


async def test_tricks_of_the_wire_are_answered_and_enter_no_order_too_many(tmp_path: Path) -> None:
    """Each is answered as often as it holds requests, with its code; only what is an order becomes one."""
    async with raid(tmp_path, "--preset", "flow", environment=TIMEOUTS) as attack:
        team = await attack.team("Alpha")
        failed = {}
        for name, make in TRICKS.items():
            try:
                await _try(attack, team, make)
            except (AssertionError, EOFError, OSError, TimeoutError) as error:
                failed[name] = repr(error)
        assert failed == {}


@pytest.mark.parametrize("announced", [True, False])
async def test_expect_100_continue_is_asked_for_only_where_the_body_is_wanted(
    tmp_path: Path, announced: bool
) -> None:
    """With a key the server asks for the body; without one it answers 401 and never does."""
    async with raid(tmp_path, "--preset", "flow") as attack:
        team = await attack.team("Alpha")
        client = RawClient(int(attack.server.url.rpartition(":")[2]), team.key if announced else "no-key")
        client.send(client.head("POST", "/exchange/orders", "Expect: 100-continue", _length()))
        async with asyncio.timeout(10):
            if announced:
                assert await client.interim() == b"HTTP/1.1 100 Continue"
                client.send(BODY)
            envelope = await client.answer()
        assert envelope["success"] is announced
        client.leave(reset=False)
