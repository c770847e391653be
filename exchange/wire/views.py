"""What the pipeline answers, as ``data`` of an answer."""

from __future__ import annotations

from exchange.model.answers import OrderAnswer, OrderReport
from exchange.wire.data import OrderResult
from exchange.wire.prices import PriceGrid, money_decimal


def order_result(answer: OrderAnswer, grid: PriceGrid) -> OrderResult | None:
    """``data`` of an order, cancel or amend; None where nobody waited for more than the validation."""
    report = answer.report
    if report is None:
        if not answer.duplicate:
            return None
        return OrderResult(client_order_id=answer.client_order_id, duplicate=True)
    return OrderResult(
        client_order_id=answer.client_order_id,
        duplicate=answer.duplicate,
        status=report.status,
        quantity=report.quantity,
        price=None if report.price_ticks is None else grid.decimal(report.price_ticks),
        stop_price=None if report.stop_price_ticks is None else grid.decimal(report.stop_price_ticks),
        filled_quantity=report.filled_quantity,
        remaining_quantity=remaining_quantity(report),
        average_price=average_price(report.value, report.filled_quantity, grid),
        fees=money_decimal(report.fees),
    )


def remaining_quantity(report: OrderReport) -> int:
    """Lots that may still trade (FIX LeavesQty): none once the order has ended."""
    return 0 if report.status.is_final else report.quantity - report.filled_quantity


def average_price(value: int, filled_quantity: int, grid: PriceGrid) -> float | None:
    """Average price of fills with ``value`` = sum of ticks * quantity; None before the first."""
    return grid.mean_decimal(value, filled_quantity) if filled_quantity else None
