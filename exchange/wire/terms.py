"""The terms that few orders have: from what clients send to integers, and back."""

from __future__ import annotations

from typing import Any

from exchange.model.commands import OrderTerms
from exchange.wire.prices import PriceGrid
from exchange.wire.requests import OrderRequest
from exchange.wire.times import microseconds, time_text


def order_terms(request: OrderRequest, stop_price_ticks: int | None) -> OrderTerms | None:
    """None where ``request`` asks for none of them."""
    expires_at = request.expires_at
    if (
        stop_price_ticks is None
        and request.post_only is None
        and request.display_quantity is None
        and not request.reduce_only
        and expires_at is None
        and request.label is None
        and request.self_trade_prevention is None
    ):
        return None
    return OrderTerms(
        stop_price_ticks=stop_price_ticks,
        post_only=request.post_only,
        display_quantity=request.display_quantity,
        reduce_only=request.reduce_only,
        expires_at_us=None if expires_at is None else microseconds(expires_at),
        label=request.label,
        self_trade_prevention=request.self_trade_prevention,
    )


def shown_terms(terms: OrderTerms, grid: PriceGrid, stop_price_ticks: int | None) -> dict[str, Any]:
    """The fields of a message about an order that has ``terms``; its stop price may have been amended."""
    expires_at_us = terms.expires_at_us
    return {
        "stop_price": None if stop_price_ticks is None else grid.decimal(stop_price_ticks),
        "post_only": terms.post_only,
        "display_quantity": terms.display_quantity,
        "reduce_only": terms.reduce_only,
        "expires_at": None if expires_at_us is None else time_text(expires_at_us),
        "label": terms.label,
        "self_trade_prevention": terms.self_trade_prevention,
        "quote_group": terms.quote_group,
    }
