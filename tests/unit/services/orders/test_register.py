"""The order register: entering, the life of an order, amends in flight, and what is kept of the past."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from exchange.model.answers import OrderReport
from exchange.model.commands import AmendOrder, CancelScope, NewOrder, OrderTerms, Record
from exchange.model.order import IllegalTransition, OrderStatus
from exchange.model.types import CancelReason, Side
from exchange.services.orders.order import RegisterSnapshot
from exchange.services.orders.register import OrderRegister
from tests.support.sameness import Comparison
from tests.support.settling import new_order

BUY, SELL = Side.BUY, Side.SELL


def _enter(register: OrderRegister, order_id: int, order: NewOrder | None = None) -> None:
    register.enter(Record(order_id, 1_000 + order_id, order or new_order(1, BUY, 10)))


def _opened(register: OrderRegister, order_id: int, order: NewOrder | None = None) -> None:
    _enter(register, order_id, order)
    register.acknowledge(order_id)


def _amend(sequence: int, order_id: int, quantity: int | None, price_ticks: int | None = None) -> Record:
    return Record(sequence, 0, AmendOrder(1, order_id, "X", quantity, price_ticks, "amend"))


def _status(register: OrderRegister, order_id: int) -> OrderStatus:
    order = register.get(order_id)
    assert order is not None
    return order.status


def test_enter_gives_the_order_its_number_and_time() -> None:
    """An entered order is accepted, under the sequence and timestamp of its record."""
    register = OrderRegister()
    command = new_order(1, BUY, 10, 128)
    register.enter(Record(7, 1_234, command))
    order = register.get(7)
    assert order is not None
    assert (order.order_id, order.timestamp_us, order.updated_at_us) == (7, 1_234, 1_234)
    assert (order.status, order.price_ticks, order.quantity) == (OrderStatus.ACCEPTED, 128, 10)
    assert order.command is command


def test_enter_refuses_a_number_twice() -> None:
    """Numbers rise: entering the same record again is a bug, not an update."""
    register = OrderRegister()
    _enter(register, 7)
    with pytest.raises(AssertionError):
        _enter(register, 7)


def test_fill_sums_quantity_value_and_fees() -> None:
    """Two fills at different prices: filled 3 + 4, value 3 * 100 + 4 * 101, fees added."""
    register = OrderRegister()
    _opened(register, 1)
    register.fill(1, 100, 3, -6, 2_000)
    register.fill(1, 101, 4, -8, 3_000)
    assert register.report(1) == OrderReport(OrderStatus.PARTIALLY_FILLED, 10, 7, 704, -14, 100)
    order = register.get(1)
    assert order is not None
    assert order.updated_at_us == 3_000


def test_fill_of_the_last_lot_finishes() -> None:
    """A filled order is open no more, and still known."""
    register = OrderRegister()
    _opened(register, 1)
    register.fill(1, 100, 10, 0, 2_000)
    assert _status(register, 1) is OrderStatus.FILLED
    assert register.open_orders(1) == []
    assert [order.order_id for order in register.finished(1)] == [1]


def test_fill_beyond_the_quantity_is_a_bug() -> None:
    """More lots than the order has left are never booked."""
    register = OrderRegister()
    _opened(register, 1)
    with pytest.raises(AssertionError):
        register.fill(1, 100, 11, 0, 2_000)


def test_fill_before_acknowledge_is_a_bug() -> None:
    """Transitions follow the table of exchange.model.order."""
    register = OrderRegister()
    _enter(register, 1)
    with pytest.raises(IllegalTransition):
        register.fill(1, 100, 1, 0, 2_000)


def test_cancel_after_the_end_is_a_bug() -> None:
    """An order ends once."""
    register = OrderRegister()
    _opened(register, 1)
    register.cancel(1, CancelReason.REQUESTED, 2_000)
    with pytest.raises(IllegalTransition):
        register.cancel(1, CancelReason.REQUESTED, 3_000)


def test_cancel_keeps_the_reason() -> None:
    """A cancelled order says why."""
    register = OrderRegister()
    _opened(register, 1)
    order = register.cancel(1, CancelReason.MARKET_CLOSE, 2_000)
    assert (order.status, order.cancel_reason) == (OrderStatus.CANCELLED, CancelReason.MARKET_CLOSE)
    assert order.updated_at_us == 2_000


def test_amend_sets_price_and_total_and_leaves_what_was_sent() -> None:
    """The entry moves on; the command in it stays what a resend is compared with."""
    register = OrderRegister()
    _opened(register, 1)
    register.fill(1, 100, 4, 0, 2_000)
    order = register.amend(1, 101, 8, 3_000)
    assert (order.price_ticks, order.quantity, order.filled_quantity) == (101, 8, 4)
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert (order.command.price_ticks, order.command.quantity) == (100, 10)


def test_open_orders_by_order_id_and_instrument() -> None:
    """Live orders of one team in order of their numbers, in flight included, of one instrument on request."""
    register = OrderRegister()
    _enter(register, 1)
    _enter(register, 2, new_order(1, SELL, 5, instrument_id="Y"))
    _enter(register, 3, new_order(2, SELL, 5))
    _opened(register, 4)
    assert [order.order_id for order in register.open_orders(1)] == [1, 2, 4]
    assert [order.order_id for order in register.open_orders(1, "Y")] == [2]
    assert register.open_orders(9) == []


# --- resends ------------------------------------------------------------------------------------


def test_by_client_id_is_per_team() -> None:
    """Two teams may use the same id; each finds its own order."""
    register = OrderRegister()
    _enter(register, 1, new_order(1, BUY, 1, client_order_id="a"))
    _enter(register, 2, new_order(2, BUY, 2, client_order_id="a"))
    known = register.by_client_id(1, "a"), register.by_client_id(2, "a"), register.by_client_id(3, "a")
    assert [each and (each.order_id, each.timestamp_us, each.command.quantity) for each in known] == [
        (1, 1_001, 1),
        (2, 1_002, 2),
        None,
    ]


def test_by_client_id_outlives_the_order() -> None:
    """The id is known after the order itself left the register."""
    register = OrderRegister(finished_per_team=1)
    for order_id, client_order_id in ((1, "a"), (2, "b")):
        _opened(register, order_id, new_order(1, BUY, 1, client_order_id=client_order_id))
        register.fill(order_id, 100, 1, 0, 0)
    assert register.get(1) is None
    known = register.by_client_id(1, "a")
    assert known is not None
    assert known.order_id == 1


def test_by_client_id_forgets_the_oldest_at_the_bound() -> None:
    """Beyond the bound the oldest id of that team is free again."""
    register = OrderRegister(known_per_team=2)
    for order_id, client_order_id in ((1, "a"), (2, "b"), (3, "c")):
        _enter(register, order_id, new_order(1, BUY, 1, client_order_id=client_order_id))
    assert register.by_client_id(1, "a") is None
    assert register.by_client_id(1, "b") is not None
    _enter(register, 4, new_order(1, BUY, 1, client_order_id="a"))
    again = register.by_client_id(1, "a")
    assert again is not None
    assert again.order_id == 4


# --- amends in flight ---------------------------------------------------------------------------


def test_most_looks_at_every_amend_in_flight() -> None:
    """The largest of the total now and of each new total under way; a new price alone changes nothing."""
    register = OrderRegister()
    _opened(register, 1)
    assert register.most(1) == 10
    for amend in (_amend(2, 1, 20), _amend(3, 1, 4), _amend(4, 1, None, 99)):
        register.amend_pending(amend)
        assert register.most(1) == 20
    register.amend_settled(_amend(2, 1, 20), applied=False)
    assert register.most(1) == 10


def test_amend_settled_gives_what_is_free_once() -> None:
    """Refused, an amend frees what lay beyond the total; the second time there is nothing to settle."""
    register = OrderRegister()
    _opened(register, 1, new_order(1, SELL, 10))
    register.amend_pending(_amend(2, 1, 15))
    assert register.has_pending_amend(1)
    freed = register.amend_settled(_amend(2, 1, 15), applied=False)
    assert freed is not None
    assert (freed.command.side, freed.lots) == (SELL, 5)
    assert not register.has_pending_amend(1)
    assert register.amend_settled(_amend(2, 1, 15), applied=False) is None


def test_amend_settled_leaves_what_another_may_use() -> None:
    """10 to 4 to 8: the first frees 2 lots of 10, the second none."""
    register = OrderRegister()
    _opened(register, 1)
    first, second = _amend(2, 1, 4), _amend(3, 1, 8)
    register.amend_pending(first)
    register.amend_pending(second)
    freed = [register.amend_settled(each, applied=True) for each in (first, second)]
    assert [each.lots for each in freed if each is not None] == [2, 0]


def test_amend_settled_after_the_order_left_the_register() -> None:
    """An amend in flight is remembered though its order has finished and been forgotten."""
    register = OrderRegister(finished_per_team=1)
    _opened(register, 1)
    register.amend_pending(_amend(2, 1, 15))
    register.fill(1, 100, 10, 0, 0)
    _opened(register, 3)
    register.fill(3, 100, 10, 0, 0)
    assert register.get(1) is None
    freed = register.amend_settled(_amend(2, 1, 15), applied=False)
    assert freed is not None
    assert freed.lots == 5


# --- history ------------------------------------------------------------------------------------


def test_finished_pages_from_the_newest_down() -> None:
    """Highest order_id first; the next page continues below the last one seen, also if that one is gone."""
    register = OrderRegister(finished_per_team=4)
    for order_id in range(1, 7):
        _opened(register, order_id, new_order(1, BUY, 1))
    for order_id in (2, 1, 6, 4, 5, 3):
        register.cancel(order_id, CancelReason.REQUESTED, 0)
    assert [order.order_id for order in register.finished(1)] == [6, 5, 4, 3]
    assert [order.order_id for order in register.finished(1, after=5)] == [4, 3]
    assert list(register.finished(1, after=2)) == []
    assert list(register.finished(2)) == []


def test_finished_bound_is_per_team_and_keeps_live_orders() -> None:
    """A team's own oldest finished order goes first; live ones and other teams are untouched."""
    register = OrderRegister(finished_per_team=2)
    _opened(register, 1, new_order(2, BUY, 1))
    register.cancel(1, CancelReason.REQUESTED, 0)
    _opened(register, 2)
    for order_id in (3, 4, 5):
        _opened(register, order_id)
        register.cancel(order_id, CancelReason.REQUESTED, 0)
    assert [order_id for order_id in range(1, 6) if register.get(order_id) is not None] == [1, 2, 4, 5]


def test_report_of_an_unknown_order_is_none() -> None:
    """An order that never was has no state."""
    assert OrderRegister().report(1) is None


def test_state_is_canonical_and_shows_every_change() -> None:
    """Two registers with the same history encode alike; any one more event changes the bytes."""

    def encoded(steps: int) -> bytes:
        register = OrderRegister()
        actions = (
            lambda: _enter(register, 1, new_order(2, BUY, 10, client_order_id="a")),
            lambda: _enter(register, 2),
            lambda: register.acknowledge(1),
            lambda: register.fill(1, 100, 3, -6, 5),
            lambda: register.amend_pending(_amend(3, 1, 12)),
            lambda: register.cancel(1, CancelReason.REQUESTED, 6),
        )
        for action in actions[:steps]:
            action()
        return msgspec.msgpack.encode(register.state())

    assert encoded(6) == encoded(6)
    assert len({encoded(steps) for steps in range(7)}) == 7


def test_snapshot_keeps_what_is_in_flight_and_what_was_forgotten() -> None:
    """Amends that wait, client order ids of orders that are gone, and whose turn it is to be forgotten."""
    register = OrderRegister(finished_per_team=1, known_per_team=3)
    for order_id in (1, 2, 3):
        _opened(register, order_id, new_order(1, BUY, 10, 100, client_order_id=f"c{order_id}"))
    for order_id in (1, 2):
        register.cancel(order_id, CancelReason.REQUESTED, 5)
    register.amend_pending(_amend(4, 3, 15))
    register.amend_pending(_amend(5, 3, 4))
    loaded = OrderRegister(finished_per_team=1, known_per_team=3)
    payload = msgspec.json.encode(register.snapshot())
    loaded.load(msgspec.json.decode(payload, type=RegisterSnapshot))
    assert list(Comparison({}).differences(register, loaded)) == []
    assert loaded.get(1) is None
    assert loaded.gone(1) == register.gone(1) is not None
    assert loaded.by_client_id(1, "c1") == register.by_client_id(1, "c1") is not None
    assert loaded.most(3) == 15
    _enter(loaded, 6, new_order(1, BUY, 1, 100, client_order_id="c6"))
    assert loaded.by_client_id(1, "c1") is None


def _quoted(order_id: int, side: Side = BUY, group: str = "g") -> Record:
    order = replace(new_order(1, side, 10, 100), terms=OrderTerms(quote_group=group))
    return Record(order_id, 0, order)


def _side(register: OrderRegister, side: Side = BUY, group: str = "g") -> int | None:
    order = register.quoted(1, "X", group, side)
    return None if order is None else order.order_id


def test_quoted_is_the_order_of_a_side_until_it_ends() -> None:
    """By team, instrument, group and side; filled, cancelled or about to be it is none."""
    register = OrderRegister()
    for record in (_quoted(1), _quoted(2, SELL), _quoted(3, BUY, "other")):
        register.enter(record)
        register.acknowledge(record.sequence)
    assert (_side(register), _side(register, SELL), _side(register, BUY, "other")) == (1, 2, 3)
    assert register.quoted(2, "X", "g", BUY) is None
    assert register.quoted(1, "Y", "g", BUY) is None
    register.fill(1, 100, 10, 0, 5)
    register.cancel(2, CancelReason.REQUESTED, 5)
    register.cancel_pending(3)
    assert (_side(register), _side(register, SELL), _side(register, BUY, "other")) == (None, None, None)


def test_quoted_forgets_an_old_order_without_the_new_one() -> None:
    """The end of an order whose cancel was under way does not take its successor along."""
    register = OrderRegister()
    register.enter(_quoted(1))
    register.acknowledge(1)
    register.cancel_pending(1)
    register.enter(_quoted(3))
    assert _side(register) == 3
    register.cancel(1, CancelReason.REQUESTED, 5)
    assert _side(register) == 3


@pytest.mark.parametrize(
    ("account", "scope", "left"),
    [
        (1, CancelScope(), set()),
        (None, CancelScope(), set()),
        (2, CancelScope(), {1, 2, 3}),
        (1, CancelScope(side=SELL), {1, 3}),
        (1, CancelScope(quote_group="g"), {3}),
        (1, CancelScope(label="l"), {1, 2, 3}),
        (1, CancelScope("Y"), {1, 2, 3}),
    ],
)
def test_cancels_pending_ends_the_quotes_within(
    account: int | None, scope: CancelScope, left: set[int]
) -> None:
    """What match will cancel is no order to amend any more, and nothing else is touched."""
    register = OrderRegister()
    for record in (_quoted(1), _quoted(2, SELL), _quoted(3, BUY, "other")):
        register.enter(record)
    register.cancels_pending(account, (CancelScope("Z"), scope))
    found = {_side(register), _side(register, SELL), _side(register, BUY, "other")} - {None}
    assert found == left


def test_latest_limit_is_that_of_the_last_amend_under_way() -> None:
    """An amend without price keeps what the one before it says; settled, the order itself says it."""
    register = OrderRegister()
    _opened(register, 1)
    before = register.latest_limit(1)
    register.amend_pending(_amend(2, 1, None, 105))
    register.amend_pending(_amend(3, 1, 7))
    assert (before, register.latest_limit(1)) == (100, 105)
    register.amend_pending(_amend(4, 1, None, 103))
    register.amend_settled(_amend(2, 1, None, 105), applied=True)
    assert register.latest_limit(1) == 103
