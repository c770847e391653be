"""Answers that are no success become exceptions; some say what became of the command."""

import pytest

from exchange.client import (
    ConnectionLost,
    ExchangeError,
    Forbidden,
    NotFound,
    NotUnderstood,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
)
from exchange.client.answers import decode, refusal_of
from exchange.client.errors import error_of, leaves_unknown, settles
from exchange.client.transport import HttpAnswer
from exchange.wire.data import DryRun
from exchange.wire.envelope import ApiError


@pytest.mark.parametrize(
    ("status", "kind", "is_open", "is_settled"),
    [
        (400, Rejected, False, True),
        (401, Unauthenticated, False, False),
        (403, Forbidden, False, False),
        (404, NotFound, False, True),
        (408, Rejected, False, False),
        (409, Rejected, False, True),
        (413, Rejected, False, False),
        (429, RateLimited, False, True),
        (500, ServerFailed, True, False),
        (502, ServerFailed, True, False),
        (503, Unavailable, True, False),
        (504, Timeout, True, False),
    ],
)
def test_status_decides_kind_and_meaning(
    status: int, kind: type[ExchangeError], is_open: bool, is_settled: bool
) -> None:
    """Which exception, whether it leaves the outcome open, whether it settles an open one."""
    error = error_of(status, ApiError("SOME_CODE", "text"))
    assert type(error) is kind
    assert leaves_unknown(error) is is_open
    assert settles(error) is is_settled


@pytest.mark.parametrize(
    ("status", "code", "is_settled"),
    [(403, "TEAM_DISABLED", True), (403, "FORBIDDEN", False), (429, "TOO_MANY_IN_FLIGHT", False)],
)
def test_rules_settle_what_the_door_does_not(status: int, code: str, is_settled: bool) -> None:
    """A rule is asked after the exchange has looked for the order, the door before."""
    assert settles(error_of(status, ApiError(code, "text"))) is is_settled


@pytest.mark.parametrize(
    ("code", "is_open"),
    [
        ("OVERLOADED", False),
        ("TOO_MANY_CONNECTIONS", False),
        ("SHUTTING_DOWN", False),
        ("VENUE_HALTED", False),
        ("JOURNAL_FAILED", True),
        ("HTTP_503", True),
    ],
)
def test_unavailable_is_open_unless_its_code_says_otherwise(code: str, is_open: bool) -> None:
    """Turned away at the door is known; a failed write is not."""
    assert leaves_unknown(error_of(503, ApiError(code, "text"))) is is_open


def test_connection_lost_is_open_only_where_something_was_sent() -> None:
    """What never left cannot have happened."""
    assert leaves_unknown(ConnectionLost("x", sent=True))
    assert not leaves_unknown(ConnectionLost("x", sent=False))
    assert leaves_unknown(NotUnderstood("a proxy's page", 200))


def test_error_carries_what_the_envelope_says() -> None:
    """Code, message, details, request, order, and how long to wait."""
    body = (
        b'{"success": false, "request_id": "req_1", "timestamp": "T", "order_id": "ORD_3", "error": {"code":'
        b' "VENUE_HALTED", "message": "halted", "details": {"accepted": true}, "retry_after_ms": 1500}}'
    )
    error = refusal_of(HttpAnswer(503, body, 9.0))
    assert (error.code, error.message, error.status) == ("VENUE_HALTED", "halted", 503)
    assert (error.request_id, error.order_id, error.accepted) == ("req_1", "ORD_3", True)
    assert error.retry_after_s == 1.5
    assert str(error) == "VENUE_HALTED: halted"


def test_answer_of_a_proxy_keeps_status_and_retry_after() -> None:
    """A page without an envelope has a code of its own."""
    error = refusal_of(HttpAnswer(503, b"<html>", 2.0))
    assert (type(error), error.code, error.retry_after_s) == (Unavailable, "HTTP_503", 2.0)
    assert error.accepted is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"timestamp": "T", "data": {"valid": 3}}'])
def test_success_that_is_none_of_the_exchange_is_not_understood(body: bytes) -> None:
    """A page with status 200, or data of another shape."""
    with pytest.raises(NotUnderstood):
        decode(HttpAnswer(200, body), DryRun)


def test_outcome_unknown_names_the_command_and_the_last_error() -> None:
    """What to look for later, and why it is not known."""
    error = OutcomeUnknown("order client:c-1", 5, error_of(504, ApiError("RESPONSE_TIMEOUT", "stuck")))
    assert (error.name, error.attempts, error.code, error.status) == (
        "order client:c-1",
        5,
        "RESPONSE_TIMEOUT",
        504,
    )
    assert "order client:c-1" in str(error)
