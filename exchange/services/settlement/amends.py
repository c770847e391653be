"""What an amend does to the register and to what it reserved."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.model.commands import AmendOrder, Record
from exchange.model.events import AmendRefused, AnyVenueEvent, Cancelled
from exchange.model.types import CancelReason
from exchange.services.settlement.ports import Orders, Reservations


def apply_amend(
    record: Record,
    command: AmendOrder,
    events: Sequence[AnyVenueEvent],
    orders: Orders,
    exposure: Reservations,
) -> None:
    """Give the order its new terms, if match did, and give back what the amend reserved beyond them.

    Comes before the trades of the amend, though ``Amended`` follows them: they fill the new total.
    """
    pending = orders.amend_settled(record.sequence)
    applied = _takes_effect(events)
    if pending is None:
        # A replay admits and settles in step: there the order had ended and left the register before.
        assert not applied
        return
    surplus = pending.reserved
    if applied:
        order = orders.get(command.order_id)
        assert order is not None
        old = order.quantity
        quantity = old if command.quantity is None else command.quantity
        price_ticks = order.price_ticks if command.price_ticks is None else command.price_ticks
        orders.amend(command.order_id, price_ticks, quantity, record.timestamp_us, command.stop_price_ticks)
        surplus += old - quantity
    # Admission reserved against the lowest total the order could have had: that covers any growth.
    assert surplus >= 0
    own = pending.command
    exposure.release(own.account, own.instrument_id, own.side, surplus)


def _takes_effect(events: Sequence[AnyVenueEvent]) -> bool:
    """An amend can be refused, or cancel an order that has already filled as much as it now asks for."""
    # What an iceberg hides may come to light first.
    return not any(
        isinstance(event, AmendRefused)
        or (isinstance(event, Cancelled) and event.reason is CancelReason.AMENDED_BELOW_FILLED)
        for event in events[:2]
    )
