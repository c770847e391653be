from typing import Any

import pytest

from exchange.model.instrument import Instrument
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import InstrumentKind
from exchange.wire.errors import api_error, http_status, refused_order_id
from exchange.wire.orders import price_grids

GRIDS = price_grids(
    [
        Instrument(
            instrument_id="MILL",
            kind=InstrumentKind.INDEX,
            tick_size="0.005",
            multiplier=100,
            first_price_ticks=1,
        )
    ]
)


def _refusal(**details: Any) -> Refusal:
    return Refusal(Category.INVALID, Code.PRICE_OUT_OF_BAND, "no", details)


def test_api_error_turns_ticks_into_decimals_of_their_instrument() -> None:
    """``low_ticks`` becomes ``low`` on the grid of ``instrument_id``; other details stay."""
    error = api_error(_refusal(instrument_id="MILL", low_ticks=3, high_ticks=None, limit=4), GRIDS)
    assert error.details == {"instrument_id": "MILL", "low": 0.015, "high": None, "limit": 4}


@pytest.mark.parametrize("details", [{"low_ticks": 3}, {"low_ticks": 3, "instrument_id": "NOPE"}])
def test_api_error_never_shows_bare_ticks(details: dict[str, Any]) -> None:
    """Without a known instrument a tick means nothing to a client and is left out."""
    shown = api_error(_refusal(**details), GRIDS).details or {}
    assert "low" not in shown
    assert "low_ticks" not in shown


def test_api_error_turns_microseconds_into_times() -> None:
    """``now_us`` becomes ``now``, as clients see times."""
    error = api_error(_refusal(now_us=1_705_312_800_000_001), GRIDS)
    assert error.details == {"now": "2024-01-15T10:00:00.000001Z"}


def test_api_error_turns_numbers_into_ids() -> None:
    """Orders and accounts appear under the ids that clients know."""
    error = api_error(_refusal(order_id=12, account=3), GRIDS)
    assert error.details == {"order_id": "ORD_12", "team_id": "TEAM_3"}


def test_api_error_leaves_the_accepted_order_to_the_envelope() -> None:
    """``order_number`` is the envelope's order_id, and no detail."""
    refusal = _refusal(order_number=12)
    assert api_error(refusal, GRIDS).details is None
    assert refused_order_id(refusal) == "ORD_12"
    assert refused_order_id(_refusal(order_id=12)) is None


@pytest.mark.parametrize(
    ("category", "code", "status"),
    [
        (Category.INVALID, Code.BAD_JSON, 400),
        (Category.INVALID, Code.METHOD_NOT_ALLOWED, 405),
        (Category.INVALID, Code.REQUEST_TIMEOUT, 408),
        (Category.INVALID, Code.BODY_TOO_LARGE, 413),
        (Category.INVALID, Code.URI_TOO_LONG, 414),
        (Category.INVALID, Code.UNSUPPORTED_MEDIA_TYPE, 415),
        (Category.INVALID, Code.HEADERS_TOO_LARGE, 431),
        (Category.CONFLICT, "HOUSE_RULE", 409),
        (Category.TIMEOUT, Code.RESPONSE_TIMEOUT, 504),
    ],
)
def test_http_status_is_that_of_the_category_save_where_http_has_its_own(
    category: Category, code: str, status: int
) -> None:
    """A configured code has the status of its category too."""
    assert http_status(Refusal(category, code, "no")) == status
