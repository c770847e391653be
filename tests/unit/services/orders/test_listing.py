"""Pages of a team's orders."""

from __future__ import annotations

from typing import Any

from exchange.model.commands import Record
from exchange.model.page import Gone, Span
from exchange.model.types import CancelReason, Side
from exchange.services.orders.listing import OrdersWanted, page_of_orders
from exchange.services.orders.register import OrderRegister
from tests.support.settling import new_order

BUY, SELL = Side.BUY, Side.SELL


def _register(*sides: Side, finished_per_team: int = 10) -> OrderRegister:
    """Orders 1, 2, ... of account 1, accepted at 10, 20, ... microseconds."""
    register = OrderRegister(finished_per_team)
    for number, side in enumerate(sides, start=1):
        register.enter(Record(number, 10 * number, new_order(1, side, 1)))
        register.acknowledge(number)
    return register


def _cancel(register: OrderRegister, *order_ids: int) -> None:
    for order_id in order_ids:
        register.cancel(order_id, CancelReason.REQUESTED, 0)


def _ids(register: OrderRegister, **wanted: Any) -> list[int]:
    page = page_of_orders(register, 1, OrdersWanted(**{"limit": 9} | wanted))
    return [order.order_id for order in page.rows]


def test_page_merges_open_and_finished_orders() -> None:
    """By order_id, newest first, whether they live or not; either kind alone on request."""
    register = _register(BUY, BUY, SELL, BUY)
    _cancel(register, 3, 1)
    assert _ids(register) == [4, 3, 2, 1]
    assert _ids(register, finished=False) == [4, 2]
    assert _ids(register, open=False) == [3, 1]
    assert _ids(register, after=4, limit=2) == [3, 2]
    assert _ids(OrderRegister()) == []


def test_page_keeps_to_its_span_and_filter() -> None:
    """By time of acceptance; ``from_us`` is in the span, ``to_us`` is not."""
    register = _register(BUY, BUY, SELL, BUY)
    _cancel(register, 2)
    assert _ids(register, span=Span(20, 40)) == [3, 2]
    assert _ids(register, matches=lambda order: order.command.side is BUY, limit=2) == [4, 2]
    assert _ids(register, span=Span(50)) == []


def test_page_says_whether_more_follow() -> None:
    """Only where a row that matches follows."""
    register = _register(BUY, BUY, SELL)
    buys = OrdersWanted(limit=1, matches=lambda order: order.command.side is BUY)
    assert page_of_orders(register, 1, buys).has_more
    sells = OrdersWanted(limit=1, matches=lambda order: order.command.side is SELL)
    assert not page_of_orders(register, 1, sells).has_more


def test_page_says_what_it_may_lack() -> None:
    """Where it reaches down to an order that is no longer kept; open orders are always all there."""
    register = _register(BUY, BUY, BUY, BUY, BUY, finished_per_team=1)
    _cancel(register, 3, 2, 4)
    gone = Gone(3, 30)

    def lacks(**wanted: Any) -> Gone | None:
        return page_of_orders(register, 1, OrdersWanted(**{"limit": 9} | wanted)).gone

    assert _ids(register) == [5, 4, 1]
    assert lacks() == lacks(open=False) == lacks(after=2) == lacks(span=Span(30)) == gone
    assert lacks(limit=2) is lacks(finished=False) is lacks(span=Span(31)) is None
