"""Entries of the register."""

from __future__ import annotations

import pytest

from exchange.model.order import OrderStatus
from exchange.model.types import Side
from exchange.services.orders.order import Order
from tests.support.settling import new_order


@pytest.mark.parametrize(
    ("status", "filled", "remaining"),
    [
        (OrderStatus.ACCEPTED, 0, 10),
        (OrderStatus.OPEN, 0, 10),
        (OrderStatus.PARTIALLY_FILLED, 4, 6),
        (OrderStatus.FILLED, 10, 0),
        (OrderStatus.CANCELLED, 4, 0),
    ],
)
def test_order_remaining_is_what_may_still_trade(status: OrderStatus, filled: int, remaining: int) -> None:
    """LeavesQty: quantity less fills while the order lives, nothing once it has ended."""
    order = Order(1, 0, new_order(1, Side.BUY, 10), status, 100, 10, filled)
    assert order.remaining_quantity == remaining
