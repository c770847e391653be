"""Orders and amends of clients as commands: decimals become ticks, defaults become explicit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from exchange.model.commands import AmendOrder, NewOrder
from exchange.model.instrument import Instrument
from exchange.model.reasons import Category, Code, Refusal, unknown_instrument
from exchange.model.types import OrderType, TimeInForce
from exchange.wire.prices import PriceGrid
from exchange.wire.requests import AmendRequest, OrderRequest
from exchange.wire.terms import order_terms

_MEANT: Final = {
    (True, False): OrderType.LIMIT,
    (False, False): OrderType.MARKET,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}
"""What an order is that has a price, a stop price."""

PriceGrids: TypeAlias = Mapping[str, PriceGrid]
"""The tick grid of every instrument, by its id."""


def price_grids(instruments: Iterable[Instrument]) -> PriceGrids:
    """The grids of a game's instruments."""
    return {each.instrument_id: PriceGrid(each) for each in instruments}


def new_order(
    request: OrderRequest,
    account: int,
    request_id: str,
    grids: PriceGrids,
    resting: TimeInForce = TimeInForce.GTC,
) -> NewOrder | Refusal:
    """The order as a command. Refuses an unknown instrument and a price off the grid; admission, the rest.

    ``resting`` is the time in force of an order that names none and is no market order.
    """
    grid = grids.get(request.instrument_id)
    if grid is None:
        return unknown_instrument(request.instrument_id)
    price, stop_price = request.price, request.stop_price
    price_ticks = stop_price_ticks = None
    if price is not None:
        price_ticks = grid.ticks(price)
        if price_ticks is None:
            return price_not_on_tick(grid, price)
    if stop_price is not None:
        stop_price_ticks = grid.ticks(stop_price)
        if stop_price_ticks is None:
            return price_not_on_tick(grid, stop_price, "stop_price")
    order_type = request.order_type
    if order_type is None:
        order_type = _MEANT[price is not None, stop_price is not None]
    time_in_force = request.time_in_force
    if time_in_force is None:
        time_in_force = TimeInForce.IOC if order_type is OrderType.MARKET else resting
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
        order_terms(request, stop_price_ticks),
    )


def amend_order(
    request: AmendRequest, account: int, order_id: int, grid: PriceGrid, request_id: str
) -> AmendOrder | Refusal:
    """The amend as a command; refuses a price off ``grid``, that of the order's instrument."""
    price, stop_price = request.price, request.stop_price
    price_ticks = None if price is None else grid.ticks(price)
    if price is not None and price_ticks is None:
        return price_not_on_tick(grid, price)
    stop_price_ticks = None if stop_price is None else grid.ticks(stop_price)
    if stop_price is not None and stop_price_ticks is None:
        return price_not_on_tick(grid, stop_price, "stop_price")
    return AmendOrder(
        account, order_id, grid.instrument_id, request.quantity, price_ticks, request_id, stop_price_ticks
    )


def price_not_on_tick(grid: PriceGrid, price: float, field: str = "price") -> Refusal:
    """``price`` lies between two ticks."""
    tick_size = grid.decimal(1)
    return Refusal(
        Category.INVALID,
        Code.PRICE_NOT_ON_TICK,
        f"{field} must be a multiple of the tick size {tick_size}",
        {"instrument_id": grid.instrument_id, field: price, "tick_size": tick_size},
    )
