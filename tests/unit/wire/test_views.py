import msgspec

from exchange.model.answers import OrderAnswer, OrderReport
from exchange.model.instrument import Instrument
from exchange.model.order import OrderStatus
from exchange.model.types import InstrumentKind
from exchange.wire.prices import PriceGrid
from exchange.wire.views import order_result

GRID = PriceGrid(
    Instrument(
        instrument_id="X", kind=InstrumentKind.INDEX, tick_size="0.01", multiplier=1, first_price_ticks=1
    )
)


def _shown(answer: OrderAnswer) -> object:
    return msgspec.to_builtins(order_result(answer, GRID))


def test_order_result_is_absent_without_report() -> None:
    """Nobody waited for more than the validation: the order id is all there is to say."""
    assert order_result(OrderAnswer(1, 2, "X", "mine"), GRID) is None


def test_order_result_of_a_resend_says_so() -> None:
    """A duplicate is marked also where the order itself is no longer known."""
    assert _shown(OrderAnswer(1, 2, "X", "mine", duplicate=True)) == {
        "client_order_id": "mine",
        "duplicate": True,
    }


def test_order_result_reports_in_decimals() -> None:
    """Price, average price and fees are decimals; what is still open is counted."""
    report = OrderReport(OrderStatus.PARTIALLY_FILLED, 10, 4, 4 * 6_245, -800, 6_250)
    assert _shown(OrderAnswer(1, 2, "X", report=report)) == {
        "status": "partially_filled",
        "quantity": 10,
        "price": 62.5,
        "filled_quantity": 4,
        "remaining_quantity": 6,
        "average_price": 62.45,
        "fees": -0.08,
    }


def test_order_result_of_a_finished_order_has_nothing_remaining() -> None:
    """A cancelled order has no remaining quantity, an unfilled one no average, a market one no price."""
    report = OrderReport(OrderStatus.CANCELLED, 10, 0, 0, 0, None)
    assert _shown(OrderAnswer(1, 2, "X", report=report)) == {
        "status": "cancelled",
        "quantity": 10,
        "filled_quantity": 0,
        "remaining_quantity": 0,
        "fees": 0.0,
    }
