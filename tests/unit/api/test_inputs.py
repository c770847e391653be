from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from exchange.api.inputs import decode_body, is_json, parse_query, read_body
from exchange.base.bounds import MAX_ECHOED_CHARACTERS
from exchange.model.reasons import Code, Refusal
from exchange.wire.queries import NoQuery, OrderFilter, OrdersQuery
from exchange.wire.requests import OrderRequest

DECODER = msgspec.json.Decoder(OrderRequest)
GOOD = b'{"instrument_id":"SPX","side":"buy","quantity":1,"price":1.5}'


def _with(**changes: str | None) -> bytes:
    fields = {"instrument_id": '"SPX"', "side": '"buy"', "quantity": "1"} | changes
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text) + "}").encode()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", Code.BAD_JSON, None),
        (b"  ", Code.BAD_JSON, None),
        (b"{", Code.BAD_JSON, None),
        (GOOD + b"x", Code.BAD_JSON, None),
        (GOOD + GOOD, Code.BAD_JSON, None),
        (_with(price="NaN"), Code.BAD_JSON, None),
        (_with(price="Infinity"), Code.BAD_JSON, None),
        (b"\xff\xfe", Code.BAD_JSON, None),
        (b'{"instrument_id":"\xff"}', Code.BAD_JSON, None),
        (b'{"instrument_id":"\\ud800"}', Code.BAD_JSON, None),
        (b"[]", Code.INVALID_REQUEST, None),
        (b"null", Code.INVALID_REQUEST, None),
        (_with(side=None), Code.INVALID_REQUEST, "side"),
        (_with(side='"BUY"'), Code.INVALID_REQUEST, "side"),
        (_with(quantity="0"), Code.INVALID_REQUEST, "quantity"),
        (_with(quantity="1.5"), Code.INVALID_REQUEST, "quantity"),
        (_with(quantity='"1"'), Code.INVALID_REQUEST, "quantity"),
        (_with(quantity="1" + "0" * 400), Code.INVALID_REQUEST, "quantity"),
        (_with(price="1e999"), Code.INVALID_REQUEST, "price"),
        (_with(price="-1e999"), Code.INVALID_REQUEST, "price"),
        (_with(price="0"), Code.INVALID_REQUEST, "price"),
        (_with(price='"1"'), Code.INVALID_REQUEST, "price"),
        (_with(price="true"), Code.INVALID_REQUEST, "price"),
        (_with(colour='"red"'), Code.INVALID_REQUEST, "colour"),
        (_with(client_order_id='"a b"'), Code.INVALID_REQUEST, "client_order_id"),
        (_with(instrument_id='"SPX\\n"'), Code.INVALID_REQUEST, "instrument_id"),
    ],
)
def test_decode_body_names_what_is_wrong(body: bytes, code: Code, field: str | None) -> None:
    """Not JSON is BAD_JSON; JSON of the wrong shape is INVALID_REQUEST with the field's name."""
    refusal = decode_body(DECODER, body)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert (refusal.details or {}).get("field") == field
    if field is not None:
        assert field in refusal.message


def test_decode_body_takes_a_good_order() -> None:
    """What is well-formed comes out as the request."""
    assert decode_body(DECODER, GOOD) == msgspec.convert(msgspec.json.decode(GOOD), OrderRequest)


def test_decode_body_refuses_what_is_nested_too_deeply() -> None:
    """However deep the nesting, the answer is a refusal, never an exception."""
    refusal = decode_body(msgspec.json.Decoder(), b"[" * 100_000)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.BODY_TOO_DEEP


def test_decode_body_repeats_little_of_what_was_sent() -> None:
    """A message of the client's length would hand every byte back."""
    refusal = decode_body(DECODER, _with(**{"x" * 60_000: "1"}))
    assert isinstance(refusal, Refusal)
    assert refusal.details is not None
    assert len(refusal.message) <= MAX_ECHOED_CHARACTERS
    assert len(refusal.details["field"]) <= MAX_ECHOED_CHARACTERS


def test_parse_query_fills_what_is_absent() -> None:
    """Absent parameters have their defaults; numbers and enumerations are decoded."""
    assert parse_query(OrdersQuery, b"status=all&limit=7") == OrdersQuery(status=OrderFilter.ALL, limit=7)
    assert parse_query(OrdersQuery, b"after=ORD%5F12") == OrdersQuery(after="ORD_12")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"limit=0", "limit"),
        (b"limit=1001", "limit"),
        (b"limit=", "limit"),
        (b"limit=+5", "limit"),
        (b"limit=ten", "limit"),
        (b"limit=99999999999999999999999", "limit"),
        (b"status=open&status=all", None),
        (b"status=closed", "status"),
        (b"after=12", "after"),
        (b"after=ORD_12%0A", "after"),
        (b"instrument_id=%ff", None),
        (b"instrument_id=\xff", None),
        (b"colour=red", "colour"),
        (b"status", None),
        (b"&&", None),
        (b"&".join(b"a%d=1" % number for number in range(40)), None),
    ],
)
def test_parse_query_refuses_what_it_does_not_know(query: bytes, field: str | None) -> None:
    """Unknown, repeated, malformed and out of bounds are all INVALID_REQUEST, by name where there is one."""
    refusal = parse_query(OrdersQuery, query)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.INVALID_REQUEST
    assert (refusal.details or {}).get("field") == field


def test_parse_query_of_an_operation_without_parameters_refuses_any() -> None:
    """A parameter nobody reads is a mistake worth hearing of."""
    refusal = parse_query(NoQuery, b"limit=5")
    assert isinstance(refusal, Refusal)
    assert refusal.message == "Unknown query parameter limit"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),
        ({b"content-type": b"application/json"}, True),
        ({b"content-type": b"Application/JSON ; Charset=UTF-8"}, True),
        ({b"content-type": b'application/json;charset="utf-8"'}, True),
        ({b"content-type": b"application/json", b"content-encoding": b"identity"}, True),
        ({b"content-type": b"application/json; charset=latin-1"}, False),
        ({b"content-type": b"application/x-www-form-urlencoded"}, False),
        ({b"content-type": b"text/plain"}, False),
        ({b"content-type": b""}, False),
        ({b"content-type": b"application/json", b"content-encoding": b"gzip"}, False),
    ],
)
def test_is_json_takes_json_in_utf_8_alone(headers: dict[bytes, bytes], accepted: bool) -> None:
    """A body is JSON in UTF-8, uncompressed; one that names no type is taken for it."""
    assert is_json(headers) is accepted


async def _read(
    chunks: Sequence[bytes], *, limit: int = 10, gone: bool = False, announced: bytes | None = None
) -> Any:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": gone or place < len(chunks)}
        for place, chunk in enumerate(chunks, start=1)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return await read_body(receive, {} if announced is None else {b"content-length": announced}, limit)


@pytest.mark.parametrize("chunks", [[b"0123456789"], [b"01234", b"56789"], [b"", b"0123456789", b""]])
async def test_read_body_joins_chunks(chunks: list[bytes]) -> None:
    """A body up to the limit is read whole, however it comes."""
    assert await _read(chunks) == b"0123456789"


@pytest.mark.parametrize(
    ("chunks", "announced"),
    [
        ([b"0123456789x"], None),
        ([b"01234", b"56789", b"x"], None),
        ([b""], b"11"),
        ([b""], b"9" * 5_000),
    ],
)
async def test_read_body_refuses_what_is_too_large(chunks: list[bytes], announced: bytes | None) -> None:
    """More than the limit, sent or announced, is BODY_TOO_LARGE."""
    refusal = await _read(chunks, announced=announced)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.BODY_TOO_LARGE


async def test_read_body_stops_reading_at_the_limit() -> None:
    """What is refused is not read to its end: the disconnect behind it stays unread."""
    assert isinstance(await _read([b"0123456789x"], gone=True), Refusal)


async def test_read_body_of_a_client_gone_is_nothing() -> None:
    """Half a body is no request."""
    assert await _read([b"01"], gone=True) is None
