"""Orders: enter, check, amend, cancel."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from exchange.api.auth import Access
from exchange.api.commands import execute, order_reply
from exchange.api.context import ApiContext
from exchange.api.operation import COMMAND_CODES, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.routes.blotter import find_order
from exchange.model.answers import Answer, OrdersCancelled
from exchange.model.commands import CancelOrder, CancelOrders, CancelScope
from exchange.model.reasons import Code, Refusal, amend_failed, cancel_failed, unknown_instrument
from exchange.model.types import CancelReason
from exchange.pipeline.responses import Wait
from exchange.wire import data
from exchange.wire.orders import amend_order, new_order
from exchange.wire.queries import CancelAllQuery, NoQuery, SubmitQuery, WaitFor
from exchange.wire.requests import AmendRequest, OrderRequest

WAITS: Final = {
    WaitFor.VALIDATION: Wait.VALIDATION,
    WaitFor.MATCHING: Wait.MATCHING,
    WaitFor.SETTLEMENT: Wait.SETTLEMENT,
}
"""Clients' words for the stage that answers."""


async def submit_order(context: ApiContext, call: Call[SubmitQuery, OrderRequest]) -> Reply:
    """Enter one order."""
    order = new_order(call.body, call.caller.account, call.request_id, context.grids, context.resting)
    if isinstance(order, Refusal):
        return order
    return order_reply(context, await execute(context, call, order, WAITS[call.query.wait]))


async def validate_order(context: ApiContext, call: Call[NoQuery, OrderRequest]) -> Reply:
    """Say what would become of the order now, and change nothing."""
    refusal = context.health.refusal()
    if refusal is not None:
        return refusal
    order = new_order(call.body, call.caller.account, call.request_id, context.grids, context.resting)
    if isinstance(order, Refusal):
        return order
    return context.admission.dry_run(order, context.clock.now_us()) or Answered(data.DryRun(valid=True))


async def amend(context: ApiContext, call: Call[NoQuery, AmendRequest]) -> Reply:
    """Give an order a new total, limit or stop price."""
    order = find_order(context, call)
    if order is None or order.status.is_final:
        return amend_failed()
    grid = context.grids[order.command.instrument_id]
    command = amend_order(call.body, call.caller.account, order.order_id, grid, call.request_id)
    if isinstance(command, Refusal):
        return command
    return order_reply(context, await execute(context, call, command))


async def cancel(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Cancel one order."""
    order = find_order(context, call)
    if order is None or order.status.is_final:
        return cancel_failed()
    command = CancelOrder(call.caller.account, order.order_id, order.command.instrument_id, call.request_id)
    return order_reply(context, await execute(context, call, command))


async def cancel_all(context: ApiContext, call: Call[CancelAllQuery, None]) -> Reply:
    """Cancel every open order of the team, or those in one instrument, of one side, with one name."""
    instrument_id = call.query.instrument_id
    if instrument_id is not None and instrument_id not in context.grids:
        return unknown_instrument(instrument_id)
    side, group = call.query.side, call.query.quote_group
    scope = CancelScope(
        instrument_id,
        None if side is UNSET else side,
        call.query.label,
        None if group is UNSET else group,
    )
    command = CancelOrders(call.caller.account, (scope,), CancelReason.REQUESTED, call.request_id)
    return cancel_all_reply(await execute(context, call, command))


def cancel_all_reply(answer: Answer) -> Reply:
    """The answer to a mass cancel."""
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, OrdersCancelled)
    result = data.CancelAllResult(sequence=answer.sequence, cancelled=answer.cancelled)
    return Answered(result, timestamp_us=answer.timestamp_us)


_TERMS: Final = (
    Code.UNKNOWN_INSTRUMENT,
    Code.PRICE_NOT_ON_TICK,
    Code.PRICE_OUT_OF_RANGE,
    Code.PRICE_OUT_OF_BAND,
    Code.ORDER_TYPE_CONTRADICTION,
    Code.TIME_IN_FORCE_NOT_ALLOWED,
    Code.CONTROL_CONTRADICTION,
    Code.EXPIRES_AT_OUT_OF_RANGE,
    Code.POST_ONLY_NOT_ALLOWED,
    Code.DISPLAY_QUANTITY_OUT_OF_RANGE,
    Code.SELF_TRADE_PREVENTION_NOT_ALLOWED,
    Code.REDUCE_ONLY_REFUSED,
    Code.REDUCE_ONLY_OPEN,
    Code.TOO_MANY_STOP_ORDERS,
    Code.CLIENT_ORDER_ID_REUSED,
    Code.POSITION_LIMIT_EXCEEDED,
    Code.PORTFOLIO_LIMIT_EXCEEDED,
    Code.ORDER_SIZE_OUT_OF_RANGE,
    Code.ORDER_RATE_EXCEEDED,
    Code.ORDER_TYPE_NOT_ALLOWED,
    Code.INSTRUMENT_NOT_ALLOWED,
    Code.TWO_SIDED_NOT_ALLOWED,
    Code.MARKET_CLOSED,
    Code.TEAM_DISABLED,
)
_AMEND_TERMS: Final = (
    Code.AMEND_FAILED,
    Code.PRICE_NOT_ON_TICK,
    Code.PRICE_OUT_OF_RANGE,
    Code.PRICE_OUT_OF_BAND,
    Code.ORDER_TYPE_CONTRADICTION,
    Code.POST_ONLY_NOT_ALLOWED,
    Code.POST_ONLY_WOULD_TRADE,
    Code.DISPLAY_QUANTITY_OUT_OF_RANGE,
    Code.REDUCE_ONLY_REFUSED,
    Code.REDUCE_ONLY_OPEN,
    Code.POSITION_LIMIT_EXCEEDED,
    Code.PORTFOLIO_LIMIT_EXCEEDED,
    Code.ORDER_SIZE_OUT_OF_RANGE,
    Code.ORDER_RATE_EXCEEDED,
    Code.MARKET_CLOSED,
    Code.TEAM_DISABLED,
)
_ORDER_EXAMPLE: Final = {
    "instrument_id": "SPX_CALL_4400_20240315",
    "side": "buy",
    "quantity": 10,
    "price": 62.5,
    "client_order_id": "my-order-1",
}

ROUTES: Final = (
    Operation(
        operation_id="submit_order",
        method="POST",
        path="/exchange/orders",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=submit_order,
        summary="Enter an order",
        description=(
            "Answers as soon as the order is validated and durable; `wait=matching` or `wait=settlement` wait"
            " for the matcher or for the booking, and put the order's state into `data`. Fills come over the"
            " WebSocket in any case. Sending the same body with the same `client_order_id` again is safe: the"
            " answer has the first order's id and `duplicate`. docs/orders.md explains every order type and"
            " control."
        ),
        query=SubmitQuery,
        body=OrderRequest,
        data=data.OrderResult,
        data_optional=True,
        has_order_id=True,
        codes=(*_TERMS, *COMMAND_CODES),
        example=_ORDER_EXAMPLE,
    ),
    Operation(
        operation_id="cancel_order",
        method="DELETE",
        path="/exchange/orders/{order_id}",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=cancel,
        summary="Cancel an order",
        description=(
            "Answers with the matcher's result. Unknown, foreign and finished orders are refused alike."
        ),
        data=data.OrderResult,
        has_order_id=True,
        codes=(Code.CANCEL_FAILED, Code.MARKET_CLOSED, *COMMAND_CODES),
    ),
    Operation(
        operation_id="amend_order",
        method="PATCH",
        path="/exchange/orders/{order_id}",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=amend,
        summary="Amend an order",
        description=(
            "`quantity` is the new total, filled lots included; at or below what is filled the order is"
            " cancelled. Lowering the quantity keeps the order's place in the queue, anything else loses it."
            " All other terms stay as they are. Answers with the matcher's result."
        ),
        body=AmendRequest,
        data=data.OrderResult,
        has_order_id=True,
        codes=(*_AMEND_TERMS, *COMMAND_CODES),
        example={"quantity": 5, "price": 62.4},
    ),
    Operation(
        operation_id="cancel_all_orders",
        method="DELETE",
        path="/exchange/orders",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=cancel_all,
        summary="Cancel every open order of the team",
        description=(
            "Or those in one instrument, of one side, with one label, the quotes of one group, or with"
            " several of these together. `cancelled` counts them; each is told as one `order_cancelled` with"
            " the `request_id` of this request. Orders accepted before it are covered, also"
            " those still on their way to the book."
            " Succeeds also where there are none."
        ),
        query=CancelAllQuery,
        data=data.CancelAllResult,
        codes=(Code.UNKNOWN_INSTRUMENT, *COMMAND_CODES),
    ),
    Operation(
        operation_id="validate_order",
        method="POST",
        path="/exchange/orders/validate",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=validate_order,
        summary="Check an order without entering it",
        description=(
            "Success means that the order would be accepted now; a refusal is the one it would get. Nothing"
            " is reserved, and it does not count towards the order rate."
        ),
        body=OrderRequest,
        data=data.DryRun,
        codes=(
            *_TERMS,
            Code.OVERLOADED,
            Code.VENUE_HALTED,
            Code.SHUTTING_DOWN,
            Code.JOURNAL_FAILED,
        ),
        example=_ORDER_EXAMPLE,
    ),
)
