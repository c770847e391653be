"""Orders and amends of clients as commands: decimals become ticks, defaults become explicit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from exchange.model.commands import AmendOrder, NewOrder
from exchange.model.instrument import Instrument
from exchange.model.reasons import Category, Code, Refusal, unknown_instrument
from exchange.model.types import OrderType, TimeInForce
from exchange.wire.prices import PriceGrid
from exchange.wire.requests import AmendRequest, OrderRequest

PriceGrids: TypeAlias = Mapping[str, PriceGrid]
"""The tick grid of every instrument, by its id."""


def price_grids(instruments: Iterable[Instrument]) -> PriceGrids:
    """The grids of a game's instruments."""
    return {each.instrument_id: PriceGrid(each) for each in instruments}


def new_order(request: OrderRequest, account: int, request_id: str, grids: PriceGrids) -> NewOrder | Refusal:
    """The order as a command. Refuses an unknown instrument and a price off the grid; admission, the rest."""
    grid = grids.get(request.instrument_id)
    if grid is None:
        return unknown_instrument(request.instrument_id)
    price = request.price
    price_ticks = None
    if price is not None:
        price_ticks = grid.ticks(price)
        if price_ticks is None:
            return price_not_on_tick(grid, price)
    order_type = request.order_type
    if order_type is None:
        order_type = OrderType.MARKET if price is None else OrderType.LIMIT
    time_in_force = request.time_in_force
    if time_in_force is None:
        time_in_force = TimeInForce.GTC if order_type is OrderType.LIMIT else TimeInForce.IOC
    elif order_type is OrderType.MARKET and time_in_force is not TimeInForce.IOC:
        return market_order_rests(time_in_force)
    return NewOrder(
        account,
        request.instrument_id,
        request.side,
        order_type,
        price_ticks,
        request.quantity,
        time_in_force,
        request.client_order_id,
        request_id,
    )


def amend_order(
    request: AmendRequest, account: int, order_id: int, grid: PriceGrid, request_id: str
) -> AmendOrder | Refusal:
    """The amend as a command; refuses a price off ``grid``, that of the order's instrument."""
    price = request.price
    price_ticks = None
    if price is not None:
        price_ticks = grid.ticks(price)
        if price_ticks is None:
            return price_not_on_tick(grid, price)
    return AmendOrder(account, order_id, grid.instrument_id, request.quantity, price_ticks, request_id)


def market_order_rests(time_in_force: TimeInForce) -> Refusal:
    """A market order has no price to rest at."""
    return Refusal(
        Category.INVALID,
        Code.TIME_IN_FORCE_NOT_ALLOWED,
        "A market order is immediate-or-cancel",
        {"order_type": OrderType.MARKET.value, "time_in_force": time_in_force.value},
    )


def price_not_on_tick(grid: PriceGrid, price: float) -> Refusal:
    """``price`` lies between two ticks."""
    tick_size = grid.decimal(1)
    return Refusal(
        Category.INVALID,
        Code.PRICE_NOT_ON_TICK,
        f"Price must be a multiple of the tick size {tick_size}",
        {"instrument_id": grid.instrument_id, "price": price, "tick_size": tick_size},
    )
