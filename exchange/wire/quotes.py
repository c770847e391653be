"""Quotes of clients as commands, and protection in both directions."""

from __future__ import annotations

from exchange.model.commands import Quote, QuoteSide, SetProtection
from exchange.model.reasons import Refusal, unknown_instrument
from exchange.wire.orders import PriceGrids, price_not_on_tick
from exchange.wire.prices import PriceGrid
from exchange.wire.requests import ProtectionRequest, QuoteRequest


def new_quote(
    request: QuoteRequest, quote_group: str, account: int, request_id: str, grids: PriceGrids
) -> Quote | Refusal:
    """The quote as a command. Refuses an unknown instrument and prices off the grid; admission, the rest."""
    grid = grids.get(request.instrument_id)
    if grid is None:
        return unknown_instrument(request.instrument_id)
    bid = _side(grid, request.bid_price, request.bid_quantity, "bid_price")
    if isinstance(bid, Refusal):
        return bid
    ask = _side(grid, request.ask_price, request.ask_quantity, "ask_price")
    if isinstance(ask, Refusal):
        return ask
    return Quote(account, request.instrument_id, quote_group, bid, ask, request_id)


def new_protection(
    request: ProtectionRequest, quote_group: str, account: int, request_id: str
) -> SetProtection:
    """Milliseconds become microseconds."""
    window_us, frozen_us = request.window_ms * 1_000, request.frozen_ms * 1_000
    return SetProtection(account, quote_group, request.fills, request.lots, window_us, frozen_us, request_id)


def no_protection(quote_group: str, account: int, request_id: str) -> SetProtection:
    """The command that takes it away."""
    return SetProtection(account, quote_group, None, None, 0, 0, request_id)


def _side(
    grid: PriceGrid, price: float | None, quantity: int | None, field: str
) -> QuoteSide | Refusal | None:
    if price is None or quantity is None:
        return None
    price_ticks = grid.ticks(price)
    if price_ticks is None:
        return price_not_on_tick(grid, price, field)
    return QuoteSide(price_ticks, quantity)
