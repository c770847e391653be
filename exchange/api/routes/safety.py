"""Orders that must not outlive their owner: cancel on disconnect, the dead-man switch."""

from __future__ import annotations

from typing import Final

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import COMMAND_CODES, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.model.commands import GuardOrders
from exchange.model.reasons import Category, Refusal
from exchange.model.types import CancelReason
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.wire import data
from exchange.wire.queries import NoQuery
from exchange.wire.requests import CancelAfterRequest, DisconnectRequest
from exchange.wire.times import time_text

_DISCONNECTED, _DEAD_MAN = CancelReason.DISCONNECTED, CancelReason.DEAD_MAN_SWITCH


async def cancel_on_disconnect(context: ApiContext, call: Call[NoQuery, DisconnectRequest]) -> Reply:
    """Flag this socket, or take its flag away; what the team wants is durable once it is answered."""
    connection, guards, account = call.connection, context.guards, call.caller.account
    assert connection is not None
    refusal: Refusal | None = None
    watched = guards.watches(connection)
    if call.body.enabled:
        guards.watch(connection)
        refusal = await _finish(context, _begin(context, call, _DISCONNECTED, enabled=True))
        if refusal is not None and refusal.category is Category.UNAVAILABLE and not watched:
            guards.unwatch(connection)
    elif guards.sockets(account) > watched or not _is_guarded(context, account, _DISCONNECTED):
        guards.unwatch(connection)
    else:
        begun = _begin(context, call, _DISCONNECTED, enabled=False)
        if isinstance(begun, Refusal):
            return begun
        guards.unwatch(connection)
        refusal = await _finish(context, begun)
    return refusal or Answered(
        data.DisconnectGuard(enabled=guards.watches(connection), sockets=guards.sockets(account))
    )


async def get_cancel_after(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Whether the team's timer runs, and until when."""
    return Answered(_switch_view(context, call.caller.account))


async def cancel_all_after(context: ApiContext, call: Call[NoQuery, CancelAfterRequest]) -> Reply:
    """Let the team's timer run from now, or stop it."""
    timeout_ms, guards, account = call.body.timeout_ms, context.guards, call.caller.account
    if not timeout_ms:
        return await _disarm(context, call)
    if not guards.arm(account, timeout_ms).is_durable:
        refusal = await _finish(context, _begin(context, call, _DEAD_MAN, enabled=True))
        switch = guards.switch(account)
        if refusal is not None:
            if refusal.category is Category.UNAVAILABLE and switch is not None and not switch.is_durable:
                guards.disarm(account)
            return refusal
        if switch is not None:
            switch.is_durable = True
    return Answered(_switch_view(context, account))


async def _disarm(context: ApiContext, call: Call[NoQuery, CancelAfterRequest]) -> Reply:
    account = call.caller.account
    if context.guards.switch(account) is not None or _is_guarded(context, account, _DEAD_MAN):
        begun = _begin(context, call, _DEAD_MAN, enabled=False)
        if isinstance(begun, Refusal):
            return begun
        context.guards.disarm(account)
        refusal = await _finish(context, begun)
        if refusal is not None:
            return refusal
    return Answered(_switch_view(context, account))


def _is_guarded(context: ApiContext, account: int, against: CancelReason) -> bool:
    team = context.teams.by_account(account)
    return team is not None and against in team.guards


def _begin(
    context: ApiContext,
    call: Call[NoQuery, DisconnectRequest] | Call[NoQuery, CancelAfterRequest],
    against: CancelReason,
    *,
    enabled: bool,
) -> PendingRequest | Refusal:
    account, request_id = call.caller.account, call.request_id
    command = GuardOrders(account, against, enabled, request_id)
    pending = context.intake.submit(command, request_id, account, Wait.SETTLEMENT)
    if isinstance(pending, PendingRequest):
        call.pending = pending
    return pending


async def _finish(context: ApiContext, begun: PendingRequest | Refusal) -> Refusal | None:
    if isinstance(begun, Refusal):
        return begun
    answer = await context.responses.wait_for_completion(begun)
    return answer if isinstance(answer, Refusal) else None


def _switch_view(context: ApiContext, account: int) -> data.CancelAfter:
    switch = context.guards.switch(account)
    if switch is None:
        return data.CancelAfter(armed=False)
    return data.CancelAfter(
        armed=True, timeout_ms=switch.timeout_ms, expires_at=time_text(switch.expires_at_us)
    )


ROUTES: Final = (
    Operation(
        operation_id="cancel_all_after",
        method="POST",
        path="/exchange/orders/cancel_all_after",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=cancel_all_after,
        summary="Cancel everything unless called again in time",
        description=(
            "The dead-man switch of the team: `timeout_ms` after the last call all its orders are cancelled,"
            " with the reason `dead_man_switch`, and the switch is off again. Call it every third of the"
            " timeout. 0 turns it off. It belongs to the team, whichever key or connection it came over; time"
            " is the server's, and checked ten times a second. A restart of the server counts as running out."
        ),
        body=CancelAfterRequest,
        data=data.CancelAfter,
        codes=COMMAND_CODES,
        example={"timeout_ms": 30000},
    ),
    Operation(
        operation_id="get_cancel_all_after",
        method="GET",
        path="/exchange/orders/cancel_all_after",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=get_cancel_after,
        summary="The dead-man switch as it stands",
        data=data.CancelAfter,
    ),
)
