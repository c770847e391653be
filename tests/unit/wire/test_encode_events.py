from __future__ import annotations

import msgspec
import pytest

from exchange.model import events as domain
from exchange.model.types import CancelReason, Liquidity, OrderType, Side, TimeInForce
from exchange.wire.encode_events import ENCODERS, Encoding, PrivateEventWriter
from tests.support.sockets import INSTRUMENT

NOON_US = 1_705_320_000_010_000
ORDER = (7, "mine-1", "req_1", "SPX", Side.BUY)
WRITER = PrivateEventWriter([INSTRUMENT])


def _json(event: domain.AnyPrivateEvent) -> object:
    return msgspec.json.decode(ENCODERS[Encoding.JSON](WRITER.message(event)))


def test_encode_new_order_ack() -> None:
    """Flat: ids as text, the price a decimal number, the time UTC with Z."""
    event = domain.NewOrderAck(1, 3, NOON_US, *ORDER, OrderType.LIMIT, TimeInForce.GTC, 440_001, 10)
    assert _json(event) == {
        "type": "new_order_ack",
        "seq": 3,
        "timestamp": "2024-01-15T12:00:00.010000Z",
        "order_id": "ORD_7",
        "request_id": "req_1",
        "instrument_id": "SPX",
        "side": "buy",
        "order_type": "limit",
        "time_in_force": "gtc",
        "quantity": 10,
        "price": 4400.01,
        "client_order_id": "mine-1",
    }


def test_encode_market_order_without_client_id_omits_both() -> None:
    """Absent optionals are omitted, never null."""
    order = (7, None, "req_1", "SPX", Side.SELL)
    event = domain.NewOrderAck(1, 3, NOON_US, *order, OrderType.MARKET, TimeInForce.IOC, None, 10)
    message = _json(event)
    assert isinstance(message, dict)
    assert "price" not in message
    assert "client_order_id" not in message


def test_encode_execution_report() -> None:
    """Fees are signed like all money: paid is negative."""
    event = domain.ExecutionReport(1, 4, NOON_US, *ORDER, 12, 6, 440_000, 3, Liquidity.TAKER, -900, 3, 7)
    assert _json(event) == {
        "type": "execution_report",
        "seq": 4,
        "timestamp": "2024-01-15T12:00:00.010000Z",
        "order_id": "ORD_7",
        "request_id": "req_1",
        "instrument_id": "SPX",
        "side": "buy",
        "exec_id": "EXE_12",
        "trade_id": "TRD_6",
        "price": 4400.0,
        "quantity": 3,
        "liquidity_type": "taker",
        "fees": -0.09,
        "filled_quantity": 3,
        "remaining_quantity": 7,
        "client_order_id": "mine-1",
    }


def test_encode_amended_and_cancelled() -> None:
    """The new total with what is filled; what was given up with the reason."""
    amended = domain.OrderAmended(1, 5, NOON_US, *ORDER, 439_900, 8, 3, 5)
    cancelled = domain.OrderCancelled(1, 6, NOON_US, *ORDER, 439_900, 5, 3, CancelReason.REQUESTED)
    common = {
        "timestamp": "2024-01-15T12:00:00.010000Z",
        "order_id": "ORD_7",
        "request_id": "req_1",
        "instrument_id": "SPX",
        "side": "buy",
        "price": 4399.0,
        "filled_quantity": 3,
        "client_order_id": "mine-1",
    }
    assert (
        _json(amended)
        == {
            "type": "order_amended",
            "seq": 5,
            "quantity": 8,
            "remaining_quantity": 5,
        }
        | common
    )
    assert (
        _json(cancelled)
        == {
            "type": "order_cancelled",
            "seq": 6,
            "cancelled_quantity": 5,
            "reason": "requested",
        }
        | common
    )


@pytest.mark.parametrize(
    ("position", "cost", "average_price"),
    [
        (3, 3 * 440_010 * 10_000, 4400.1),
        (-2, -2 * 440_010 * 10_000, 4400.1),
        (0, 0, None),
    ],
)
def test_encode_position_update(position: int, cost: int, average_price: float | None) -> None:
    """The average price has no sign and is absent when the position is flat; money in the currency."""
    event = domain.PositionUpdate(1, 7, NOON_US, "SPX", position, cost, 12_345, -500_000, -600)
    message = _json(event)
    assert isinstance(message, dict)
    assert message.get("average_price") == average_price
    assert ("average_price" in message) is (average_price is not None)
    assert (message["realised_pnl"], message["cash"], message["fees"]) == (1.2345, -50.0, -0.06)


def test_encode_both_encodings_say_the_same() -> None:
    """MessagePack and JSON carry the same names and values."""
    message = WRITER.message(
        domain.NewOrderAck(1, 3, NOON_US, *ORDER, OrderType.LIMIT, TimeInForce.GTC, 440_001, 10)
    )
    packed = msgspec.msgpack.decode(ENCODERS[Encoding.MSGPACK](message))
    assert packed == msgspec.json.decode(ENCODERS[Encoding.JSON](message))
