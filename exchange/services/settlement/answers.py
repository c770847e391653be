"""What the requester of a settled command is answered."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.model.answers import Answer, Done, OrderAnswer, OrdersCancelled, TeamAnswer
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    DisableTeam,
    NewOrder,
    Record,
    RegisterTeam,
    RotateKey,
)
from exchange.model.events import AmendRefused, AnyVenueEvent, CancelRefused
from exchange.model.reasons import amend_failed, cancel_failed, post_only_would_trade
from exchange.services.settlement.ports import Orders


def answer(record: Record, events: Sequence[AnyVenueEvent], orders: Orders, ended: int) -> Answer:
    """The order as it stands now, a refused cancel or amend, or that an act took effect. ``ended`` are the
    orders that a mass cancel has ended, in the slices before this one too.

    The timestamp is that of ``record``: of a cancel or amend its own, not its order's.
    """
    command = record.command
    match command:
        case NewOrder():
            return _order(record, record.sequence, command.instrument_id, command.client_order_id, orders)
        case CancelOrder() | AmendOrder():
            return _change(record, command, events, orders)
        case RegisterTeam() | RotateKey() | DisableTeam():
            return TeamAnswer(command.account, record.timestamp_us)
        case CancelOrders():
            return OrdersCancelled(record.sequence, record.timestamp_us, ended)
        case _:
            return Done(record.sequence, record.timestamp_us)


def _change(
    record: Record, command: CancelOrder | AmendOrder, events: Sequence[AnyVenueEvent], orders: Orders
) -> Answer:
    for event in events:
        if isinstance(event, CancelRefused):
            return cancel_failed()
        if isinstance(event, AmendRefused):
            return post_only_would_trade() if event.would_trade else amend_failed()
    # The stops that an amend triggers may end so many orders that the register has forgotten this one.
    order = orders.get(command.order_id)
    client_order_id = None if order is None else order.command.client_order_id
    return _order(record, command.order_id, command.instrument_id, client_order_id, orders)


def _order(
    record: Record, order_id: int, instrument_id: str, client_order_id: str | None, orders: Orders
) -> OrderAnswer:
    return OrderAnswer(
        order_id,
        record.timestamp_us,
        instrument_id,
        client_order_id,
        False,
        orders.report(order_id),
    )
