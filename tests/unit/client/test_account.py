"""What a client believes to have and to have open, from its own acts and the private stream."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exchange.client.account import Account
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason, Liquidity, OrderType, Side, TimeInForce
from exchange.wire.events import (
    AnyEvent,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrderTriggered,
    PositionSnapshot,
    PositionUpdate,
    TradeEvent,
)
from exchange.wire.requests import OrderRequest

REQUEST = OrderRequest(instrument_id="SPX", side=Side.BUY, quantity=10, price=100.0, client_order_id="mine")
COMMON: dict[str, Any] = {
    "timestamp": "T",
    "order_id": "ORD_1",
    "request_id": "r",
    "instrument_id": "SPX",
    "side": Side.BUY,
    "client_order_id": "mine",
}
ACK = NewOrderAck(
    seq=1, order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC, quantity=10, price=100.0, **COMMON
)
CANCELLED = OrderCancelled(
    seq=3, cancelled_quantity=6, filled_quantity=4, reason=CancelReason.REQUESTED, **COMMON
)
VIEW = {
    "order_id": "ORD_1",
    "instrument_id": "SPX",
    "side": "buy",
    "order_type": "limit",
    "time_in_force": "gtc",
    "status": "open",
    "quantity": 10,
    "filled_quantity": 3,
    "remaining_quantity": 7,
    "fees": 0.0,
    "timestamp": "T",
    "price": 100.0,
    "client_order_id": "mine",
}


def fill(quantity: int, remaining: int) -> ExecutionReport:
    """A fill of the order that leaves ``remaining``."""
    return ExecutionReport(
        seq=2,
        exec_id="EXE_1",
        trade_id="TRD_1",
        price=100.0,
        quantity=quantity,
        liquidity_type=Liquidity.MAKER,
        fees=0.0,
        filled_quantity=10 - remaining,
        remaining_quantity=remaining,
        **COMMON,
    )


def snapshot(*views: dict[str, Any], **positions: int) -> PositionSnapshot:
    """How a private stream begins."""
    return PositionSnapshot(
        seq=0, timestamp="T", positions=positions, cash=5.0, fees=-1.0, open_orders=list(views)
    )


def live_account() -> Account:
    """An account whose stream has begun with nothing in it."""
    account = Account()
    account.apply(snapshot())
    return account


LIVES: list[tuple[list[AnyEvent], int]] = [
    ([ACK], 10),
    ([ACK, fill(4, 6)], 6),
    ([ACK, fill(4, 6), CANCELLED], 0),
    ([ACK, fill(4, 6), fill(6, 0)], 0),
    ([ACK, CANCELLED], 0),
]


@given(life=st.sampled_from(LIVES), place=st.integers(0, 3), waited=st.booleans())
def test_order_is_open_for_what_remains_wherever_the_answer_falls(
    life: tuple[list[AnyEvent], int], place: int, waited: bool
) -> None:
    """The answer may come before, between or after the events: in the end what remains is open."""
    events, remaining = life
    status = (OrderStatus.OPEN if remaining else OrderStatus.CANCELLED) if waited else None
    account = live_account()
    account.sending(REQUEST)
    assert [order.remaining_quantity for order in account.open_orders()] == [10]
    for index, event in enumerate(events):
        if index == place:
            account.accepted("mine", "ORD_1", status)
        account.apply(event)
    if place >= len(events):
        account.accepted("mine", "ORD_1", status)
    assert [order.remaining_quantity for order in account.open_orders()] == [remaining] * (remaining > 0)


@given(
    before=st.integers(0, 3),
    life=st.sampled_from(LIVES),
    answered=st.integers(0, 4),
    is_in=st.booleans(),
)
def test_snapshot_in_the_midst_leaves_no_order_behind(
    before: int, life: tuple[list[AnyEvent], int], answered: int, is_in: bool
) -> None:
    """Events lost behind a snapshot may have ended an order whose answer is still to come.

    Before its first event an order may or may not be in the exchange's list.
    """
    events, remaining = life
    before = min(before, len(events))
    known = _state_after(events[:before]) if before or is_in else []
    account = live_account()
    account.sending(REQUEST)
    steps: list[AnyEvent | None] = [snapshot(*known), *events[before:]]
    steps.insert(min(answered, len(steps)), None)
    for step in steps:
        if step is None:
            account.accepted("mine", "ORD_1", None)
        else:
            account.apply(step)
    assert [order.remaining_quantity for order in account.open_orders()] == [remaining] * (remaining > 0)


def _state_after(events: list[AnyEvent]) -> list[dict[str, Any]]:
    """The order as the exchange lists it in a snapshot: from its acceptance to its end."""
    remaining = 10
    for event in events:
        if isinstance(event, ExecutionReport):
            remaining = event.remaining_quantity
        elif isinstance(event, OrderCancelled):
            remaining = 0
    if not remaining:
        return []
    return [{**VIEW, "remaining_quantity": remaining, "status": "open" if events else "accepted"}]


def test_order_under_way_stays_open_over_a_snapshot() -> None:
    """A snapshot that does not list it yet says nothing about an order that was just sent."""
    account = live_account()
    account.sending(REQUEST)
    account.apply(snapshot())
    assert [order.client_order_id for order in account.open_orders()] == ["mine"]


def test_refused_order_is_not_open() -> None:
    """Nor one of unknown fate; should it be in, its acknowledgement brings it back."""
    account = live_account()
    account.sending(REQUEST)
    account.refused("mine")
    assert account.open_orders() == []
    account.apply(ACK)
    account.refused("mine")
    assert [order.order_id for order in account.open_orders()] == ["ORD_1"]


def test_orders_of_a_client_without_stream_are_not_kept() -> None:
    """Without the private stream nothing would ever take them out."""
    account = Account()
    account.sending(REQUEST)
    account.accepted("mine", "ORD_1", None)
    account.refused("mine")
    assert account.open_orders() == []
    assert not account.is_live


def test_amend_changes_quantity_price_and_what_remains() -> None:
    """The new total counts; an amend to what is filled ends the order."""
    account = live_account()
    account.apply(ACK)
    amended = {"seq": 2, "price": 101.0, "filled_quantity": 2, **COMMON}
    account.apply(OrderAmended(quantity=8, remaining_quantity=6, **amended))
    (order,) = account.open_orders("SPX")
    assert (order.quantity, order.remaining_quantity, order.price) == (8, 6, 101.0)
    assert account.open_orders("SPY") == []
    account.apply(OrderAmended(quantity=2, remaining_quantity=0, **amended))
    assert account.open_orders() == []


def test_positions_and_cash_follow_the_stream() -> None:
    """A snapshot replaces them, an update changes one; what is flat is no position."""
    account = Account()
    account.apply(snapshot(SPX=3, SPY=0))
    assert account.is_live
    assert (dict(account.positions), account.cash, account.fees) == ({"SPX": 3}, 5.0, -1.0)
    for position in (4, 0):
        account.apply(
            PositionUpdate(
                seq=1,
                timestamp="T",
                instrument_id="SPX",
                position=position,
                realised_pnl=0.0,
                cash=position * 2.0,
                fees=0.5,
            )
        )
        assert (account.position("SPX"), account.cash) == (position, position * 2.0)
    assert dict(account.positions) == {}


def test_public_events_change_nothing() -> None:
    """A trade of others is not the team's."""
    account = live_account()
    account.apply(
        TradeEvent(
            seq=1,
            timestamp="T",
            channel="trades.SPX",
            trade_id="TRD_1",
            price=1.0,
            quantity=1,
            side=Side.BUY,
        )
    )
    assert (dict(account.positions), account.open_orders()) == ({}, [])


def test_orders_of_other_clients_of_the_team_are_open_too() -> None:
    """An order without client_order_id goes by the exchange's."""
    account = live_account()
    account.apply(
        NewOrderAck(
            seq=1,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            quantity=2,
            **{**COMMON, "client_order_id": None},
        )
    )
    (order,) = account.open_orders()
    assert (order.order_id, order.price) == ("ORD_1", None)


def test_stop_waits_until_it_is_triggered() -> None:
    """Its stop price is that of now, and gone with the trigger; a snapshot tells the same."""
    account = live_account()
    account.sending(replace(REQUEST, stop_price=110.0, label="exit"))
    (sent,) = account.open_orders()
    assert (sent.stop_price, sent.label) == (110.0, "exit")
    account.apply(replace(ACK, stop_price=110.0, label="exit"))
    amended = OrderAmended(
        seq=2, price=100.0, quantity=10, filled_quantity=0, remaining_quantity=10, stop_price=111.0, **COMMON
    )
    account.apply(amended)
    (waiting,) = account.open_orders()
    assert (waiting.stop_price, waiting.label) == (111.0, "exit")
    account.apply(OrderTriggered(seq=3, quantity=10, price=100.0, **COMMON))
    assert [order.stop_price for order in account.open_orders()] == [None]
    for status, stop_price in (("untriggered", 111.0), ("open", None)):
        account.apply(snapshot({**VIEW, "status": status, "stop_price": 111.0}))
        assert [order.stop_price for order in account.open_orders()] == [stop_price]
