"""``exchange`` with a planted fault: match raises on an order of 666 lots, after having entered it."""

from __future__ import annotations

from exchange.cli import main
from exchange.engine.venue import Venue
from exchange.model.commands import NewOrder, Record
from exchange.model.events import AnyVenueEvent

POISON = 666

_apply = Venue.apply


def _poisoned(venue: Venue, record: Record) -> list[AnyVenueEvent]:
    events = _apply(venue, record)
    if isinstance(record.command, NewOrder) and record.command.quantity == POISON:
        raise RuntimeError("planted")
    return events


if __name__ == "__main__":
    setattr(Venue, "apply", _poisoned)  # noqa: B010  # the planted fault, which types forbid
    main()
