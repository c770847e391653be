from typing import Any

import pytest
from msgspec.structs import replace

from exchange.model.commands import AmendOrder, NewOrder
from exchange.model.instrument import Instrument
from exchange.model.reasons import Code, Refusal
from exchange.model.types import InstrumentKind, OrderType, Side, TimeInForce
from exchange.wire.orders import amend_order, new_order, price_grids
from exchange.wire.requests import AmendRequest, OrderRequest

GRIDS = price_grids(
    Instrument(
        instrument_id=name,
        kind=InstrumentKind.INDEX,
        tick_size=tick_size,
        multiplier=100,
        first_price_ticks=1,
    )
    for name, tick_size in (("CENT", "0.01"), ("MILL", "0.005"), ("FIVE", "5"))
)


def _request(**fields: Any) -> OrderRequest:
    return replace(OrderRequest(instrument_id="CENT", side=Side.BUY, quantity=3), **fields)


def _order(**fields: Any) -> NewOrder | Refusal:
    return new_order(_request(**fields), 7, "req_1", GRIDS)


def test_new_order_with_price_is_a_resting_limit_order() -> None:
    """A price means limit, which rests until it is cancelled."""
    assert _order(price=123.45, client_order_id="mine") == NewOrder(
        7, "CENT", Side.BUY, OrderType.LIMIT, 12_345, 3, TimeInForce.GTC, "mine", "req_1"
    )


def test_new_order_without_price_is_an_immediate_market_order() -> None:
    """No price means market, which is immediate-or-cancel."""
    assert _order(side=Side.SELL) == NewOrder(
        7, "CENT", Side.SELL, OrderType.MARKET, None, 3, TimeInForce.IOC, None, "req_1"
    )


@pytest.mark.parametrize(
    ("instrument_id", "price", "ticks"),
    [
        ("CENT", 0.01, 1),
        ("CENT", 0.07, 7),
        ("CENT", 4400.1, 440_010),
        ("CENT", 62.30000000000001, 6_230),
        ("MILL", 0.005, 1),
        ("MILL", 167.515, 33_503),
        ("FIVE", 4400.0, 880),
        ("CENT", 0.0149, None),
        ("CENT", 0.015, None),
        ("CENT", 62.300001, None),
        ("MILL", 0.0025, None),
        ("FIVE", 4401.0, None),
    ],
)
def test_new_order_price_becomes_ticks_or_is_refused(
    instrument_id: str, price: float, ticks: int | None
) -> None:
    """A price is on the grid within a millionth of a tick, or PRICE_NOT_ON_TICK."""
    order = _order(instrument_id=instrument_id, price=price)
    if ticks is None:
        assert isinstance(order, Refusal)
        assert order.code == Code.PRICE_NOT_ON_TICK
        assert order.details is not None
        assert order.details["price"] == price
    else:
        assert isinstance(order, NewOrder)
        assert order.price_ticks == ticks


def test_new_order_leaves_a_contradiction_to_admission() -> None:
    """An explicit order type is passed on as it was said: admission refuses what contradicts it."""
    limit = _order(order_type=OrderType.LIMIT)
    market = _order(order_type=OrderType.MARKET, price=1.0)
    assert isinstance(limit, NewOrder)
    assert isinstance(market, NewOrder)
    assert (limit.order_type, limit.price_ticks) == (OrderType.LIMIT, None)
    assert (market.order_type, market.price_ticks) == (OrderType.MARKET, 100)


@pytest.mark.parametrize(
    ("time_in_force", "refused"),
    [(TimeInForce.IOC, False), (TimeInForce.DAY, True), (TimeInForce.GTC, True)],
)
def test_new_order_at_market_cannot_rest(time_in_force: TimeInForce, refused: bool) -> None:
    """A market order with a time in force that rests is TIME_IN_FORCE_NOT_ALLOWED."""
    order = _order(time_in_force=time_in_force)
    assert isinstance(order, Refusal) is refused
    if isinstance(order, Refusal):
        assert order.code == Code.TIME_IN_FORCE_NOT_ALLOWED


def test_new_order_for_unknown_instrument_is_refused() -> None:
    """Without a grid there are no ticks."""
    order = _order(instrument_id="NOPE")
    assert isinstance(order, Refusal)
    assert order.code == Code.UNKNOWN_INSTRUMENT


def test_amend_order_keeps_what_is_not_given() -> None:
    """An absent field keeps what is; a price becomes ticks."""
    grid = GRIDS["MILL"]
    assert amend_order(AmendRequest(quantity=5), 7, 9, grid, "r") == AmendOrder(7, 9, "MILL", 5, None, "r")
    assert amend_order(AmendRequest(price=0.01), 7, 9, grid, "r") == AmendOrder(7, 9, "MILL", None, 2, "r")


def test_amend_order_off_the_grid_is_refused() -> None:
    """An amend is held to the grid as an order is."""
    refusal = amend_order(AmendRequest(price=0.001), 7, 9, GRIDS["MILL"], "r")
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.PRICE_NOT_ON_TICK
