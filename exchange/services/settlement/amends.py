"""What an amend does to the register and to what it reserved."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.model.commands import Record
from exchange.model.events import AmendRefused, AnyVenueEvent, Cancelled
from exchange.model.types import CancelReason
from exchange.services.settlement.ports import Orders, Reservations


def apply_amend(
    record: Record, events: Sequence[AnyVenueEvent], orders: Orders, exposure: Reservations
) -> None:
    """Give the order its new terms, if match did, and give back what the amend reserved beyond them.

    Comes before the trades of the amend, though ``Amended`` follows them: they fill the new total.
    """
    applied = _takes_effect(events)
    freed = orders.amend_settled(record, applied)
    if freed is None:
        # A replay admits and settles in step: there the order had ended and left the register before.
        assert not applied
        return
    own = freed.command
    exposure.release(own.account, own.instrument_id, own.side, freed.lots)


def _takes_effect(events: Sequence[AnyVenueEvent]) -> bool:
    """An amend can be refused, or cancel an order that has already filled as much as it now asks for."""
    # What an iceberg hides may come to light first.
    return not any(
        isinstance(event, AmendRefused)
        or (isinstance(event, Cancelled) and event.reason is CancelReason.AMENDED_BELOW_FILLED)
        for event in events[:2]
    )
