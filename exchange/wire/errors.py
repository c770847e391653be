"""Refusals as clients see them: the HTTP status, and decimals and ids in place of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from exchange.model.reasons import Code, Refusal
from exchange.wire.envelope import ApiError
from exchange.wire.ids import order_id_text, team_id_text
from exchange.wire.orders import PriceGrids
from exchange.wire.times import time_text

STATUSES: Final[Mapping[str, int]] = {
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.BODY_TOO_LARGE: 413,
    Code.URI_TOO_LONG: 414,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.HEADERS_TOO_LARGE: 431,
}
"""HTTP has a status of its own for these; every other code has that of its category."""

_TICKS: Final = "_ticks"
_MICROSECONDS: Final = "_us"
_ORDER_NUMBER: Final = "order_number"


def http_status(refusal: Refusal) -> int:
    """The status of the answer that carries ``refusal``."""
    return STATUSES.get(refusal.code) or refusal.category.value


def api_error(refusal: Refusal, grids: PriceGrids) -> ApiError:
    """``refusal`` in the client's words: ``price_ticks`` of its instrument becomes ``price``, and so on."""
    details = refusal.details
    if details is not None:
        details = _details(details, grids) or None
    return ApiError(refusal.code, refusal.message, details, refusal.retry_after_ms)


def refused_order_id(refusal: Refusal) -> str | None:
    """The order that was accepted although its request failed, for the ``order_id`` of the answer."""
    details = refusal.details
    if details is None or _ORDER_NUMBER not in details:
        return None
    return order_id_text(details[_ORDER_NUMBER])


def _details(details: Mapping[str, Any], grids: PriceGrids) -> dict[str, Any]:
    grid = grids.get(details.get("instrument_id", ""))
    shown: dict[str, Any] = {}
    for key, value in details.items():
        if key == _ORDER_NUMBER:
            continue
        if key == "order_id":
            shown[key] = order_id_text(value)
        elif key == "account":
            shown["team_id"] = team_id_text(value)
        elif key.endswith(_MICROSECONDS):
            shown[key.removesuffix(_MICROSECONDS)] = time_text(value)
        elif key.endswith(_TICKS):
            # Without a known instrument a tick means nothing to a client.
            if grid is not None:
                shown[key.removesuffix(_TICKS)] = None if value is None else grid.decimal(value)
        else:
            shown[key] = value
    return shown
