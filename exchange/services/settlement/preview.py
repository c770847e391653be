"""What ``?wait=matching`` answers: how the order stands after match, computed before anything is booked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exchange.model.answers import OrderReport
from exchange.model.commands import AmendOrder, CancelOrder, NewOrder, Record
from exchange.model.events import Acknowledged, Amended, AnyVenueEvent, Cancelled, Decremented, Parked, Traded
from exchange.model.order import OrderStatus
from exchange.model.types import Liquidity
from exchange.services.settlement.ports import Fees, Orders


def preview(
    record: Record, events: Sequence[AnyVenueEvent], orders: Orders, fees: Fees
) -> OrderReport | None:
    """None where only settlement can say: no order, a refusal, or a register that is still behind match.

    Match runs ahead of settle. A new order has no past, so its events say everything; an order that is
    cancelled or amended may have fills or amends that are not booked yet.
    """
    command = record.command
    if isinstance(command, NewOrder):
        return _new_order(record.sequence, command, events, fees)
    if isinstance(command, CancelOrder):
        return _cancel(command, events, orders)
    if isinstance(command, AmendOrder):
        return _amend(command, events, orders, fees)
    return None


def _new_order(
    order_id: int, command: NewOrder, events: Sequence[AnyVenueEvent], fees: Fees
) -> OrderReport | None:
    if not events:
        return None
    filled, value, paid = _fills(order_id, command.account, events, fees)
    own = [event for event in events if getattr(event, "order_id", None) == order_id]
    quantity, price_ticks = _as_it_stands(command, own)
    if filled == quantity:
        status = OrderStatus.FILLED
    elif isinstance(own[-1], Cancelled):
        status = OrderStatus.CANCELLED
    elif isinstance(own[-1], Parked):
        status = OrderStatus.UNTRIGGERED
    else:
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    stop_price_ticks = command.all_terms.stop_price_ticks
    return OrderReport(status, quantity, filled, value, paid, price_ticks, stop_price_ticks)


def _as_it_stands(command: NewOrder, own: Sequence[AnyVenueEvent]) -> tuple[int, int | None]:
    """The total after self-trade prevention, and the limit after post-only."""
    totals = [event.quantity for event in own if isinstance(event, Decremented)]
    quantity = totals[-1] if totals else command.quantity
    first = own[0]
    if command.all_terms.post_only is not None and isinstance(first, Acknowledged):
        return quantity, first.price_ticks
    return quantity, command.price_ticks


def _cancel(command: CancelOrder, events: Sequence[AnyVenueEvent], orders: Orders) -> OrderReport | None:
    order = orders.get(command.order_id)
    if order is None or orders.has_pending_amend(command.order_id):
        return None
    if order.status is OrderStatus.ACCEPTED:
        # Its acknowledgement, not yet settled, may move a post-only order.
        return None
    for event in events:
        if isinstance(event, Cancelled) and event.order_id == command.order_id:
            if order.filled_quantity != order.quantity - event.remaining:
                return None
            return OrderReport(
                OrderStatus.CANCELLED,
                order.quantity,
                order.filled_quantity,
                order.value,
                order.fees,
                order.price_ticks,
                order.stop_price_ticks,
            )
    return None


def _amend(
    command: AmendOrder, events: Sequence[AnyVenueEvent], orders: Orders, fees: Fees
) -> OrderReport | None:
    order = orders.get(command.order_id)
    amended = next((event for event in events if isinstance(event, Amended)), None)
    if order is None or amended is None or amended.parked:
        return None
    if any(isinstance(event, Decremented) for event in events):
        return None
    filled, value, paid = _fills(command.order_id, command.account, events, fees)
    if order.filled_quantity != amended.quantity - amended.remaining - filled:
        return None
    filled += order.filled_quantity
    if not amended.remaining:
        status = OrderStatus.FILLED
    elif any(isinstance(event, Cancelled) and event.order_id == command.order_id for event in events):
        status = OrderStatus.CANCELLED
    else:
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
    return OrderReport(
        status,
        amended.quantity,
        filled,
        order.value + value,
        order.fees + paid,
        amended.price_ticks,
        order.stop_price_ticks,
    )


def _fills(order_id: int, account: int, events: Iterable[AnyVenueEvent], fees: Fees) -> tuple[int, int, int]:
    filled = value = paid = 0
    for event in events:
        if isinstance(event, Traded) and order_id in (event.taker_order_id, event.maker_order_id):
            # What it left at rest may be taken by stops that it triggered.
            liquidity = Liquidity.TAKER if event.taker_order_id == order_id else Liquidity.MAKER
            filled += event.quantity
            value += event.price_ticks * event.quantity
            paid += fees.fee(account, liquidity, event.quantity)
    return filled, value, paid
