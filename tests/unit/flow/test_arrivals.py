import asyncio
from typing import Any

import pytest

from exchange.client import (
    ClientEvent,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    PositionUpdate,
    StreamReset,
)
from exchange.flow.arrivals import Arrivals, Expected
from exchange.flow.errors import FlowFailed
from exchange.model.types import CancelReason, Liquidity, OrderType, Side, TimeInForce

ORDER: dict[str, Any] = {
    "seq": 1,
    "timestamp": "2024-01-15T10:00:00.000000Z",
    "order_id": "ORD_1",
    "request_id": "req",
    "instrument_id": "FLOW",
    "side": Side.BUY,
}


def _ack(name: str = "2") -> NewOrderAck:
    return NewOrderAck(
        **ORDER,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=5,
        price=1.0,
        client_order_id=name,
    )


def _fill(
    name: str, trade: str, quantity: int = 5, liquidity: Liquidity = Liquidity.TAKER
) -> ExecutionReport:
    return ExecutionReport(
        **ORDER,
        exec_id="EXE_1",
        trade_id=trade,
        price=1.0,
        quantity=quantity,
        liquidity_type=liquidity,
        fees=0.0,
        filled_quantity=quantity,
        remaining_quantity=0,
        client_order_id=name,
    )


def _cancelled(name: str = "2") -> OrderCancelled:
    return OrderCancelled(
        **ORDER,
        cancelled_quantity=5,
        filled_quantity=0,
        reason=CancelReason.REQUESTED,
        price=1.0,
        client_order_id=name,
    )


def _amended(name: str = "2") -> OrderAmended:
    return OrderAmended(
        **ORDER, price=1.0, quantity=5, filled_quantity=0, remaining_quantity=5, client_order_id=name
    )


def _maker(name: str, trade: str, quantity: int = 5) -> ExecutionReport:
    return _fill(name, trade, quantity, Liquidity.MAKER)


def _arrivals() -> Arrivals:
    """Orders of even number belong to client 0, of odd number to client 1."""
    return Arrivals(lambda name: int(name) % 2)


COMPLETE: list[tuple[Expected, list[ClientEvent]]] = [
    (Expected("2"), []),
    (Expected("2", acknowledged=True), [_ack()]),
    (Expected("2", cancelled=True), [_cancelled()]),
    (Expected("2", amended=True), [_amended()]),
    (
        Expected("2", acknowledged=True, filled=8, cancelled=True),
        [
            _maker("4", "TRD_1"),
            _ack(),
            _fill("2", "TRD_1"),
            _fill("2", "TRD_2", 3),
            _maker("4", "TRD_2", 3),
            _cancelled(),
        ],
    ),
]


@pytest.mark.parametrize(("expected", "events"), COMPLETE)
async def test_arrivals_are_complete_in_any_order(expected: Expected, events: list[ClientEvent]) -> None:
    """Whether events come before or after the answer, and in which order, makes no difference."""
    for order in (events, events[::-1]):
        early, late = _arrivals(), _arrivals()
        for event in order:
            early.listener(0)(event)
        await early.complete(expected, 0)
        waiting = asyncio.create_task(late.complete(expected, 10))
        await asyncio.sleep(0)
        for event in order:
            assert not waiting.done()
            late.listener(0)(event)
        await waiting


MISSING: list[tuple[Expected, list[ClientEvent], str]] = [
    (Expected("2", acknowledged=True), [], "acknowledgement of order 2"),
    (
        Expected("2", filled=8),
        [_fill("2", "TRD_1"), _maker("4", "TRD_1")],
        "executions of order 2 .5 of 8 lots",
    ),
    (Expected("2", filled=5), [_fill("2", "TRD_1")], "maker's execution of TRD_1"),
    (Expected("2", filled=5), [_fill("2", "TRD_1"), _maker("4", "TRD_9")], "maker's execution of TRD_1"),
    (Expected("2", cancelled=True), [], "cancellation of order 2"),
    (Expected("2", amended=True), [], "amendment of order 2"),
]


@pytest.mark.parametrize(("expected", "events", "complaint"), MISSING)
async def test_arrivals_name_what_is_missing(
    expected: Expected, events: list[ClientEvent], complaint: str
) -> None:
    """The wait ends, and says for what."""
    arrivals = _arrivals()
    for event in events:
        arrivals.listener(0)(event)
    with pytest.raises(FlowFailed, match=f"{complaint}.*did not arrive within 0.01 s"):
        await arrivals.complete(expected, 0.01)


SURPLUS: list[tuple[Expected, list[ClientEvent], str]] = [
    (Expected("2"), [_ack()], "1 acknowledgements came .* 0 were due"),
    (Expected("2"), [_cancelled()], "1 cancellations came"),
    (Expected("2"), [_amended()], "1 amendments came"),
    (Expected("2", acknowledged=True), [_ack(), _ack()], "2 acknowledgements came .* 1 were due"),
    (Expected("2", acknowledged=True), [_ack("4")], "message was about order 2"),
    (Expected("2", filled=3), [_fill("2", "TRD_1"), _maker("4", "TRD_1")], "5 lots executed .* 3 were due"),
    (Expected("2"), [_maker("4", "TRD_1")], "1 executions of makers came"),
    (
        Expected("2", filled=5),
        [_maker("4", "TRD_1"), _maker("4", "TRD_1"), _fill("2", "TRD_1")],
        "no place here",
    ),
    (Expected("2"), [_fill("2", "TRD_1", 5, Liquidity.AUCTION)], "no place here"),
    (Expected("2", cancelled=True), [_cancelled(), StreamReset("private", 3, "new_epoch")], "events .* lost"),
]


@pytest.mark.parametrize(("expected", "events", "complaint"), SURPLUS)
async def test_arrivals_notice_what_should_not_have_come(
    expected: Expected, events: list[ClientEvent], complaint: str
) -> None:
    """Told twice, told of another order, told too much: each is a failure."""
    arrivals = _arrivals()
    for event in events:
        arrivals.listener(0)(event)
    with pytest.raises(FlowFailed, match=complaint):
        await arrivals.complete(expected, 10)


async def test_arrivals_notice_an_event_at_the_wrong_client() -> None:
    """What concerns one team is told to that team alone."""
    arrivals = _arrivals()
    arrivals.listener(1)(_ack("2"))
    with pytest.raises(FlowFailed, match="client 1 was told of order 2"):
        await arrivals.complete(Expected("2", acknowledged=True), 10)


async def test_arrivals_begin_anew_with_the_next_message() -> None:
    """Nothing of one message counts for the next; positions count for none."""
    arrivals = _arrivals()
    for event in (_ack(), _fill("2", "TRD_1"), _maker("4", "TRD_1"), _amended(), _cancelled()):
        arrivals.listener(0)(event)
    arrivals.clear()
    arrivals.listener(0)(
        PositionUpdate(
            seq=9,
            timestamp=ORDER["timestamp"],
            instrument_id="FLOW",
            position=1,
            realised_pnl=0,
            cash=0,
            fees=0,
        )
    )
    await arrivals.complete(Expected("2"), 0)
