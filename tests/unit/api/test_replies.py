from typing import Any

import msgspec
import pytest

from exchange.api.replies import Answered, Document, Rendered, Reply, render
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.data import DryRun

NOW_US = 1_704_067_200_000_001
NOW = "2024-01-01T00:00:00.000001Z"


def _render(reply: Reply) -> Rendered:
    return render(reply, "req_1", NOW_US, {})


def _envelope(reply: Reply) -> Any:
    return msgspec.json.decode(_render(reply).body)


def test_render_success_is_an_envelope_without_what_is_absent() -> None:
    """Absent optionals are omitted, never null."""
    assert _envelope(Answered()) == {"success": True, "request_id": "req_1", "timestamp": NOW}


def test_render_success_carries_data_order_and_its_time() -> None:
    """An order's answer has the order's id and its timestamp."""
    assert _envelope(Answered(DryRun(valid=True), "ORD_7", NOW_US + 1)) == {
        "success": True,
        "request_id": "req_1",
        "timestamp": "2024-01-01T00:00:00.000002Z",
        "order_id": "ORD_7",
        "data": {"valid": True},
    }


def test_render_refusal_is_an_envelope_too() -> None:
    """Status of the category; code, message and details under error."""
    refusal = Refusal(Category.CONFLICT, Code.MARKET_CLOSED, "closed", {"phase": "closed"})
    assert _render(refusal).status == 409
    assert _envelope(refusal) == {
        "success": False,
        "request_id": "req_1",
        "timestamp": NOW,
        "error": {"code": "MARKET_CLOSED", "message": "closed", "details": {"phase": "closed"}},
    }


def test_render_refusal_names_an_order_accepted_all_the_same() -> None:
    """A timeout after the journal has the order tells its id where an order's id stands."""
    refusal = Refusal(Category.TIMEOUT, Code.RESPONSE_TIMEOUT, "late", {"accepted": True, "order_number": 9})
    envelope = _envelope(refusal)
    assert envelope["order_id"] == "ORD_9"
    assert envelope["error"]["details"] == {"accepted": True}


@pytest.mark.parametrize(
    ("wait_ms", "seconds"), [(1, b"1"), (999, b"1"), (1000, b"1"), (1001, b"2"), (0, b"1"), (None, None)]
)
def test_render_refusal_says_when_to_retry_in_whole_seconds(
    wait_ms: int | None, seconds: bytes | None
) -> None:
    """Retry-After counts seconds, rounded up: a client that heeds it is not too early."""
    refusal = Refusal(Category.TOO_FAST, Code.ORDER_RATE_EXCEEDED, "slow down", None, wait_ms)
    assert dict(_render(refusal).headers).get(b"retry-after") == seconds


@pytest.mark.parametrize(
    ("refusal", "header"),
    [
        (Refusal(Category.UNAUTHENTICATED, Code.UNAUTHENTICATED, "who"), (b"www-authenticate", b"Bearer")),
        (Refusal(Category.INVALID, Code.BODY_TOO_LARGE, "fat"), (b"connection", b"close")),
        (
            Refusal(Category.INVALID, Code.METHOD_NOT_ALLOWED, "no", {"allowed_methods": ["GET", "HEAD"]}),
            (b"allow", b"GET, HEAD"),
        ),
    ],
)
def test_render_refusal_has_the_headers_http_asks_for(refusal: Refusal, header: tuple[bytes, bytes]) -> None:
    """401 challenges, 405 lists methods, 413 ends the connection."""
    assert header in _render(refusal).headers


def test_render_document_is_as_it_is() -> None:
    """A document is no envelope."""
    assert _render(Document(b"text/css", b"p {}", ((b"a", b"b"),))) == (
        200,
        ((b"content-type", b"text/css"), (b"a", b"b")),
        b"p {}",
    )
