"""Races that other exchanges lost, each played out stage by stage with every kind of order."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.model.answers import OrderAnswer
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    ExpireOrders,
    NewOrder,
    OrderTerms,
    SetPhase,
)
from exchange.model.events import ExecutionReport, NewOrderAck, OrderCancelled, OrderEvent
from exchange.model.order import OrderStatus
from exchange.model.reasons import Code, Refusal
from exchange.model.types import CancelReason, OrderType, Phase, PostOnly, Side, TimeInForce
from exchange.services.orders.order import Order
from tests.scenarios.controls import INSTRUMENT, game
from tests.support.staged import NOW_US, Staged

BUY, SELL = Side.BUY, Side.SELL
ONE, TWO = 1, 2
SOON_US = NOW_US + 1_000_000


@pytest.fixture
def floor() -> Staged:
    """Continuous trading, two teams."""
    return Staged(game(None), "trader")


def order(account: int, side: Side, quantity: int, price: int | None = 100, **fields: Any) -> NewOrder:
    """A limit order, GTC, with the terms that are given."""
    time_in_force = fields.pop("time_in_force", TimeInForce.GTC)
    order_type = fields.pop("order_type", OrderType.LIMIT)
    terms = OrderTerms(**fields) if any(value is not None for value in fields.values()) else None
    return NewOrder(account, INSTRUMENT, side, order_type, price, quantity, time_in_force, None, "r", terms)


def amend(order_id: int, quantity: int | None = None, price: int | None = None, **fields: Any) -> AmendOrder:
    """An amend of an order of the first team."""
    return AmendOrder(ONE, order_id, INSTRUMENT, quantity, price, "r", **fields)


def cancel(order_id: int) -> CancelOrder:
    """A cancel of an order of the first team."""
    return CancelOrder(ONE, order_id, INSTRUMENT, "r")


def known(floor: Staged, order_id: int) -> Order:
    """The order as the register has it."""
    found = floor.core.register.get(order_id)
    assert found is not None
    return found


def bids(floor: Staged) -> list[tuple[int, int]]:
    """Levels of the public book."""
    return list(floor.core.venue.depth(INSTRUMENT, 10).bids)


def events_of(floor: Staged, order_id: int) -> list[OrderEvent]:
    """What was told of one order."""
    return [each for each in floor.told if isinstance(each, OrderEvent) and each.order_id == order_id]


def ends(floor: Staged, order_id: int) -> int:
    """Terminal events: cancels, and the fill that left nothing."""
    return sum(
        isinstance(each, OrderCancelled)
        or (isinstance(each, ExecutionReport) and not each.remaining_quantity)
        for each in events_of(floor, order_id)
    )


def filled(floor: Staged, order_id: int) -> int:
    """Lots of all execution reports."""
    return sum(each.quantity for each in events_of(floor, order_id) if isinstance(each, ExecutionReport))


@pytest.mark.parametrize("display", [None, 3])
@pytest.mark.parametrize(
    ("total", "price", "left", "slice_left"),
    [
        # What is left of the slice that is shown stays where the order keeps its place.
        (7, None, 3, 2),
        (12, None, 8, 3),
        (None, 99, 6, 3),
        (7, 99, 3, 3),
        (4, None, 0, 0),
        (3, None, 0, 0),
    ],
)
def test_amend_after_a_partial_fill_leaves_the_depth_of_what_remains(
    floor: Staged, display: int | None, total: int | None, price: int | None, left: int, slice_left: int
) -> None:
    """Four of ten have filled: the book shows the new total less four, of an iceberg its slice."""
    order_id = floor.accept(order(ONE, BUY, 10, display_quantity=display))
    floor.accept(order(TWO, SELL, 4))
    floor.accept(amend(order_id, total, price))
    floor.drain()
    shown = left if display is None else slice_left
    assert bids(floor) == ([(price or 100, shown)] if left else [])
    assert known(floor, order_id).remaining_quantity == left
    floor.accept(CancelOrders(ONE, (CancelScope(),), CancelReason.REQUESTED, "r"))
    floor.drain()
    assert bids(floor) == []
    assert ends(floor, order_id) == 1


@pytest.mark.parametrize("amended", [4, 5, 12])
def test_amend_racing_a_fill_fills_nothing_twice(floor: Staged, amended: int) -> None:
    """Both under way, the fill first: the amend counts what has filled, and the order has one end at most."""
    order_id = floor.accept(order(ONE, BUY, 10))
    floor.match()
    floor.accept(order(TWO, SELL, 5))
    floor.accept(amend(order_id, amended))
    floor.accept(order(TWO, SELL, 20))
    floor.drain()
    assert filled(floor, order_id) == max(5, amended)
    assert ends(floor, order_id) == 1
    assert floor.core.exposure.position(ONE, INSTRUMENT) == max(5, amended)
    assert floor.core.exposure.open_quantity(ONE, INSTRUMENT, BUY) == 0


def test_amend_to_a_crossing_price_never_rests_crossed(floor: Staged) -> None:
    """It trades; a post-only order is refused and stands as it was."""
    floor.accept(order(TWO, SELL, 5, 101))
    crossing = floor.accept(order(ONE, BUY, 2))
    standing = floor.accept(order(ONE, BUY, 2, post_only=PostOnly.REFUSE))
    floor.drain()
    floor.accept(amend(crossing, price=101))
    refused = floor.accept(amend(standing, price=101))
    floor.drain()
    assert known(floor, crossing).status is OrderStatus.FILLED
    answer = floor.settled[refused].answer
    assert isinstance(answer, Refusal)
    assert answer.code == Code.POST_ONLY_WOULD_TRADE
    assert bids(floor) == [(100, 2)]
    assert floor.core.exposure.open_quantity(ONE, INSTRUMENT, BUY) == 2


def test_refused_amend_of_a_post_only_order_gives_back_what_it_reserved(floor: Staged) -> None:
    """More lots at a crossing price: neither comes."""
    floor.accept(order(TWO, SELL, 5, 101))
    standing = floor.accept(order(ONE, BUY, 2, post_only=PostOnly.REFUSE))
    floor.drain()
    floor.accept(amend(standing, 9, 101))
    floor.drain()
    assert (known(floor, standing).quantity, known(floor, standing).price_ticks) == (2, 100)
    assert floor.core.exposure.open_quantity(ONE, INSTRUMENT, BUY) == 2


def test_amend_racing_the_trigger_of_its_stop_is_refused(floor: Staged) -> None:
    """The trade that triggers it is ahead: the stop has filled, once, at the old terms."""
    stop_id = floor.accept(order(ONE, BUY, 3, None, order_type=OrderType.STOP, stop_price_ticks=105))
    floor.accept(order(TWO, SELL, 1, 105))
    floor.accept(order(TWO, SELL, 3, 106))
    floor.drain()
    floor.accept(order(ONE, BUY, 1, 105))
    late = floor.accept(amend(stop_id, 9, stop_price_ticks=120))
    floor.drain()
    answer = floor.settled[late].answer
    assert isinstance(answer, Refusal)
    assert answer.code == Code.AMEND_FAILED
    assert (filled(floor, stop_id), ends(floor, stop_id)) == (3, 1)
    assert floor.core.exposure.open_quantity(ONE, INSTRUMENT, BUY) == 0
    assert floor.core.exposure.stop_orders(ONE, INSTRUMENT) == 0


KINDS: dict[str, dict[str, Any]] = {
    "gtd": {"time_in_force": TimeInForce.GTD, "expires_at_us": SOON_US},
    "iceberg": {"time_in_force": TimeInForce.GTD, "expires_at_us": SOON_US, "display_quantity": 1},
    "stop": {
        "time_in_force": TimeInForce.GTD,
        "expires_at_us": SOON_US,
        "order_type": OrderType.STOP_LIMIT,
        "stop_price_ticks": 150,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", range(4))
def test_order_ends_once_whatever_ends_it(floor: Staged, kind: str, first: int) -> None:
    """Its cancel, its expiry, a mass cancel and the close are all under way: one of them is its end."""
    order_id = floor.accept(order(ONE, BUY, 5, **KINDS[kind]))
    causes: list[AnyCommand] = [
        cancel(order_id),
        ExpireOrders(SOON_US),
        CancelOrders(ONE, (CancelScope(),), CancelReason.REQUESTED, "r"),
        SetPhase(Phase.CLOSED, "test"),
    ]
    # Once the close is sequenced no cancel is taken: it comes last unless it is to come first.
    commands = [causes[first], *(each for each in causes if each is not causes[first])]
    for command in commands:
        floor.enter(command)
    floor.drain()
    assert ends(floor, order_id) == 1
    assert known(floor, order_id).status is OrderStatus.CANCELLED
    assert floor.core.exposure.open_quantity(ONE, INSTRUMENT, BUY) == 0
    assert bids(floor) == []


@pytest.mark.parametrize(
    "fields", [{}, {"display_quantity": 2}, {"post_only": PostOnly.REFUSE}, *KINDS.values()]
)
def test_cancel_does_not_overtake_its_own_order(floor: Staged, fields: dict[str, Any]) -> None:
    """Sent right behind it: acknowledged, then cancelled, and nothing is left."""
    order_id = floor.accept(order(ONE, BUY, 5, **fields))
    request = floor.accept(cancel(order_id))
    floor.drain()
    assert [type(each) for each in floor.told] == [NewOrderAck, OrderCancelled]
    assert isinstance(floor.settled[request].answer, OrderAnswer)
    assert bids(floor) == []


IMMEDIATE: list[dict[str, Any]] = [
    {},
    {"time_in_force": TimeInForce.FOK},
    {"time_in_force": TimeInForce.IOC},
    {"order_type": OrderType.MARKET, "price": None, "time_in_force": TimeInForce.IOC},
]


@pytest.mark.parametrize("fields", IMMEDIATE)
def test_command_belongs_to_the_phase_in_which_it_was_sequenced(
    floor: Staged, fields: dict[str, Any]
) -> None:
    """Accepted before a halt it trades before it, though match sees both later; after it, it is refused."""
    floor.accept(order(TWO, SELL, 5))
    early = floor.accept(order(ONE, BUY, 5, **fields))
    floor.accept(SetPhase(Phase.HALTED, "test"))
    late = floor.enter(order(ONE, BUY, 5, **fields))
    assert isinstance(late, Refusal)
    assert late.code == Code.MARKET_CLOSED
    floor.drain()
    assert known(floor, early).status is OrderStatus.FILLED


def test_order_for_a_call_is_judged_by_the_call_it_reaches(floor: Staged) -> None:
    """Once the reopening is sequenced fill-or-kill and post-only are refused, match being still behind."""
    floor.accept(SetPhase(Phase.HALTED, "test"))
    floor.accept(SetPhase(Phase.REOPENING, "test"))
    for fields, code in (
        ({"time_in_force": TimeInForce.FOK}, Code.TIME_IN_FORCE_NOT_ALLOWED),
        ({"post_only": PostOnly.REFUSE}, Code.POST_ONLY_NOT_ALLOWED),
    ):
        verdict = floor.enter(order(ONE, BUY, 5, **fields))
        assert isinstance(verdict, Refusal)
        assert verdict.code == code
    floor.accept(SetPhase(Phase.CONTINUOUS, "test"))
    order_id = floor.accept(order(ONE, BUY, 5, post_only=PostOnly.REFUSE))
    floor.drain()
    assert known(floor, order_id).status is OrderStatus.OPEN
