"""Many orders in one request, each with an answer of its own."""

from __future__ import annotations

from typing import Final

from exchange.api.auth import Access
from exchange.api.commands import order_reply
from exchange.api.context import ApiContext
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.routes.orders import WAITS
from exchange.model.reasons import Refusal
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.wire import data
from exchange.wire.errors import api_error, http_status, refused_order_id
from exchange.wire.orders import new_order
from exchange.wire.queries import SubmitQuery
from exchange.wire.requests import BatchRequest, OrderRequest
from exchange.wire.times import time_text


async def submit_batch(context: ApiContext, call: Call[SubmitQuery, BatchRequest]) -> Reply:
    """Enter the orders one behind the other: nothing of another client comes between them."""
    wait = WAITS[call.query.wait]
    names = [f"{call.request_id}.{place}" for place in range(1, len(call.body.orders) + 1)]
    # Nothing may be awaited before the last one is on the queue.
    entered = [
        _enter(context, call, order, name, wait) for order, name in zip(call.body.orders, names, strict=True)
    ]
    answers = [await _answer(context, name, each) for name, each in zip(names, entered, strict=True)]
    return Answered(data.BatchResult(answers=answers))


def _enter(
    context: ApiContext, call: Call[SubmitQuery, BatchRequest], body: OrderRequest, name: str, wait: Wait
) -> PendingRequest | Refusal:
    account = call.caller.account
    order = new_order(body, account, name, context.grids, context.resting)
    if isinstance(order, Refusal):
        return order
    pending = context.intake.submit(order, name, account, wait)
    if isinstance(pending, PendingRequest):
        call.pending = pending
    return pending


async def _answer(context: ApiContext, name: str, entered: PendingRequest | Refusal) -> data.BatchAnswer:
    if isinstance(entered, PendingRequest):
        reply = order_reply(context, await context.responses.wait_for_completion(entered))
    else:
        reply = entered
    if isinstance(reply, Refusal):
        return data.BatchAnswer(
            success=False,
            status=http_status(reply),
            request_id=name,
            timestamp=time_text(context.clock.now_us()),
            order_id=refused_order_id(reply),
            error=api_error(reply, context.grids),
        )
    assert isinstance(reply, Answered)
    assert reply.timestamp_us is not None
    return data.BatchAnswer(
        success=True,
        status=200,
        request_id=name,
        timestamp=time_text(reply.timestamp_us),
        order_id=reply.order_id,
        data=reply.data,
    )


ROUTES: Final = (
    Operation(
        operation_id="submit_batch",
        method="POST",
        path="/exchange/orders/batch",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=submit_batch,
        summary="Enter up to 50 orders",
        description=(
            "They are entered in their order, and nothing of another client comes between them. `answers` has"
            " one for each, in the same order: what `POST /exchange/orders` would have answered, with"
            " `status` in place of the HTTP status. Each is judged by itself, counts towards the order rate,"
            " and has the `request_id` of the batch with its place behind it: `my-request-1.1`. Only a body"
            " that is not well-formed, or a field out of its bounds, refuses the whole."
        ),
        query=SubmitQuery,
        body=BatchRequest,
        data=data.BatchResult,
        example={
            "orders": [
                {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4399.0},
                {"instrument_id": "SPX", "side": "sell", "quantity": 1, "price": 4401.005},
            ]
        },
    ),
)
