from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from exchange.model.commands import AmendOrder, NewOrder, OrderTerms
from exchange.model.instrument import Instrument
from exchange.model.reasons import Code, Refusal
from exchange.model.types import (
    InstrumentKind,
    OrderType,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
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
    ("prices", "order_type", "time_in_force"),
    [
        ({}, OrderType.MARKET, TimeInForce.IOC),
        ({"price": 1.0}, OrderType.LIMIT, TimeInForce.DAY),
        ({"stop_price": 2.0}, OrderType.STOP, TimeInForce.DAY),
        ({"price": 1.0, "stop_price": 2.0}, OrderType.STOP_LIMIT, TimeInForce.DAY),
    ],
)
def test_new_order_is_what_its_prices_say(
    prices: dict[str, float], order_type: OrderType, time_in_force: TimeInForce
) -> None:
    """Price and stop price make the type; what can rest rests as long as the game lets it."""
    order = new_order(_request(**prices), 7, "req_1", GRIDS, TimeInForce.DAY)
    assert isinstance(order, NewOrder)
    assert (order.order_type, order.time_in_force) == (order_type, time_in_force)
    assert order.all_terms.stop_price_ticks == (200 if "stop_price" in prices else None)


def test_new_order_carries_its_terms() -> None:
    """Each control of the request is a term of the command; the time is UTC in microseconds."""
    text = (
        b'{"instrument_id":"CENT","side":"buy","quantity":3,"price":1.0,"post_only":"reprice",'
        b'"display_quantity":2,"reduce_only":true,"time_in_force":"gtd",'
        b'"expires_at":"2024-01-15T11:00:00.000001+01:00","label":"grid-1","self_trade_prevention":"decrement"}'
    )
    order = new_order(msgspec.json.decode(text, type=OrderRequest), 7, "req_1", GRIDS)
    assert isinstance(order, NewOrder)
    assert order.terms == OrderTerms(
        post_only=PostOnly.REPRICE,
        display_quantity=2,
        reduce_only=True,
        expires_at_us=1_705_312_800_000_001,
        label="grid-1",
        self_trade_prevention=SelfTradePrevention.DECREMENT,
    )


def test_new_order_without_controls_has_no_terms() -> None:
    """A plain order carries None."""
    order = _order(price=1.0, reduce_only=False)
    assert isinstance(order, NewOrder)
    assert order.terms is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_at", "2024-01-15T10:00:00"),
        ("expires_at", "tomorrow"),
        ("expires_at", 1_705_312_800),
        ("post_only", True),
        ("post_only", "yes"),
        ("display_quantity", 0),
        ("stop_price", 0),
        ("stop_price", "1.0"),
        ("label", "two words"),
        ("label", ""),
        ("label", "x" * 37),
        ("reduce_only", "true"),
        ("self_trade_prevention", "both"),
    ],
)
def test_order_request_refuses_what_is_no_value(field: str, value: Any) -> None:
    """A control out of its bounds is no request: nothing is guessed."""
    body = {"instrument_id": "CENT", "side": "buy", "quantity": 3, field: value}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest)


def test_stop_price_off_the_grid_is_refused() -> None:
    """A stop price is held to the grid as a price is, and named as itself."""
    for refusal in (
        _order(stop_price=1.005),
        amend_order(AmendRequest(stop_price=0.001), 7, 9, GRIDS["MILL"], "r"),
    ):
        assert isinstance(refusal, Refusal)
        assert refusal.code == Code.PRICE_NOT_ON_TICK
        assert "stop_price" in (refusal.details or {})


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
    assert amend_order(AmendRequest(stop_price=0.01), 7, 9, grid, "r") == AmendOrder(
        7, 9, "MILL", None, None, "r", 2
    )


def test_amend_order_off_the_grid_is_refused() -> None:
    """An amend is held to the grid as an order is."""
    refusal = amend_order(AmendRequest(price=0.001), 7, 9, GRIDS["MILL"], "r")
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.PRICE_NOT_ON_TICK
