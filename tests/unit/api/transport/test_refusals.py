"""The table of refusals and how one is written."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from exchange.api.transport import refusals
from exchange.api.transport.refusals import Envelopes, ProtocolRefusal
from exchange.base.clock import ManualClock
from exchange.model.reasons import Code
from exchange.wire.envelope import ApiResponse

ALL = [value for value in vars(refusals).values() if isinstance(value, ProtocolRefusal)]


def _envelopes() -> Envelopes:
    ids = itertools.count(1)
    return Envelopes(ManualClock(1_767_225_600_000_000), lambda: f"req_{next(ids)}")


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: str(refusal.code))
def test_refusal_is_a_documented_code_in_the_envelope(refusal: ProtocolRefusal) -> None:
    """Every row has a code of the model, and its body reads back as ApiResponse."""
    body = msgspec.json.decode(_envelopes().body(refusal), type=ApiResponse)
    assert body.error is not None
    assert Code(body.error.code) == refusal.code
    assert (body.success, body.request_id) == (False, "req_1")


def test_refusal_is_written_to_the_letter() -> None:
    """Absent optionals are omitted, the length is right, the connection ends."""
    response = _envelopes().response(refusals.BAD_HTTP_REQUEST, [(b"date", b"today")])
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 400 Bad Request",
        b"date: today",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"connection: close",
        b"server-timing: total;dur=0.000",
    ]
    assert body == (
        b'{"success":false,"request_id":"req_1","timestamp":"2026-01-01T00:00:00.000000Z",'
        b'"error":{"code":"BAD_HTTP_REQUEST","message":"what arrived is not a valid HTTP/1.1 request"}}'
    )


def test_refusal_says_when_to_come_again() -> None:
    """In the header in seconds, in the body in milliseconds."""
    response = _envelopes().response(refusals.TOO_MANY_CONNECTIONS)
    assert b"\r\nretry-after: 1\r\n" in response
    assert b'"retry_after_ms":1000' in response
