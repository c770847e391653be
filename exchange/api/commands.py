"""Handing a command to the pipeline and its answer back."""

from __future__ import annotations

from collections.abc import Awaitable

from exchange.api.context import ApiContext
from exchange.api.operation import AnyCall
from exchange.api.replies import Answered, Reply
from exchange.model.answers import Answer, OrderAnswer
from exchange.model.commands import AnyCommand
from exchange.model.reasons import Refusal
from exchange.pipeline.responses import Wait, answered
from exchange.wire.ids import order_id_text
from exchange.wire.views import order_result


def execute(
    context: ApiContext, call: AnyCall, command: AnyCommand, wait: Wait = Wait.SETTLEMENT
) -> Awaitable[Answer]:
    """Submit ``command``; its answer is to be awaited. What that waits for is noted on ``call``."""
    pending = context.intake.submit(command, call.request_id, call.caller.account, wait)
    if isinstance(pending, Refusal):
        return answered(pending)
    call.pending = pending
    return context.responses.wait_for_completion(pending)


def order_reply(context: ApiContext, answer: Answer) -> Reply:
    """The answer to an order, a cancel or an amend."""
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, OrderAnswer)
    return Answered(
        order_result(answer, context.grids[answer.instrument_id]),
        order_id_text(answer.order_id),
        answer.timestamp_us,
    )
