"""What the operator may do; every act is journaled."""

from __future__ import annotations

from typing import Final

import msgspec

from exchange.api.auth import Access
from exchange.api.commands import execute
from exchange.api.context import ApiContext
from exchange.api.operation import COMMAND_CODES, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.routes.game import REGISTRATION_CODES, find_team, register
from exchange.api.routes.orders import cancel_all_reply
from exchange.api.views import team_view
from exchange.base.bounds import AUDIT_ENTRIES
from exchange.model.answers import Done, TeamAnswer
from exchange.model.commands import CancelOrders, CancelScope, DisableTeam, RotateKey, SetPhase
from exchange.model.reasons import Code, Refusal
from exchange.model.types import CancelReason
from exchange.services.game.keys import hash_key, new_key
from exchange.wire import data
from exchange.wire.audit import audit_act
from exchange.wire.ids import act_number, team_id_text
from exchange.wire.queries import AdminStatusQuery, AuditQuery, NoQuery
from exchange.wire.requests import DisableTeamRequest, PhaseRequest, TeamRequest
from exchange.wire.times import time_text


async def get_admin_status(context: ApiContext, call: Call[AdminStatusQuery, None]) -> Reply:
    """The server from within."""
    admission, health = context.admission, context.health
    return Answered(
        data.AdminStatus(
            state=health.state.value,
            sequence=admission.last_sequence,
            timestamp=time_text(context.clock.now_us()),
            phase=admission.phase,
            teams=len(context.teams.all()),
            queues=dict(context.queue_depths()),
            responses=msgspec.structs.asdict(context.responses.statistics()),
            cause=health.cause,
            state_hash=context.state_hash() if call.query.state_hash else None,
        )
    )


async def list_audit(context: ApiContext, call: Call[AuditQuery, None]) -> Reply:
    """A page of acts, oldest first."""
    query = call.query
    after = None if query.after is None else act_number(query.after)
    found = context.settlement.audit.entries(query.limit + 1, after)
    acts = [
        audit_act(entry.sequence, entry.timestamp_us, entry.command, entry.operator)
        for entry in found[: query.limit]
    ]
    cursor = acts[-1].act_id if len(found) > query.limit else None
    return Answered(data.AuditList(acts=acts, next_cursor=cursor))


async def list_teams(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Every team, in the order of registration."""
    return Answered(data.TeamList(teams=[team_view(team) for team in context.teams.all()]))


async def create_team(context: ApiContext, call: Call[NoQuery, TeamRequest]) -> Reply:
    """Register a team in any role."""
    return await register(context, call, call.body, by_operator=True)


async def rotate_key(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Give a team a new key; the old one is void."""
    team = find_team(context, call)
    if isinstance(team, Refusal):
        return team
    key = new_key(context.entropy)
    answer = await execute(context, call, RotateKey(team.account, hash_key(key), call.request_id))
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, TeamAnswer)
    rotated = data.RotatedKey(team_id=team_id_text(team.account), api_key=key)
    return Answered(rotated, timestamp_us=answer.timestamp_us)


async def disable_team(context: ApiContext, call: Call[NoQuery, DisableTeamRequest]) -> Reply:
    """Take a team's trading away and cancel its orders."""
    return await _set_disabled(context, call, disabled=True)


async def enable_team(context: ApiContext, call: Call[NoQuery, DisableTeamRequest]) -> Reply:
    """Let a disabled team trade again."""
    return await _set_disabled(context, call, disabled=False)


async def set_phase(context: ApiContext, call: Call[NoQuery, PhaseRequest]) -> Reply:
    """Halt, reopen or close; an instrument or the whole market."""
    asked = call.body
    command = SetPhase(asked.phase, asked.reason, asked.instrument_id, by_operator=True)
    answer = await execute(context, call, command)
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, Done)
    phases = context.admission.phases
    phase = asked.phase if asked.instrument_id is None else phases.of(asked.instrument_id)
    done = data.PhaseSet(phase=phase, sequence=answer.sequence, instrument_id=asked.instrument_id)
    return Answered(done, timestamp_us=answer.timestamp_us)


async def _set_disabled(
    context: ApiContext, call: Call[NoQuery, DisableTeamRequest], *, disabled: bool
) -> Reply:
    team = find_team(context, call)
    if isinstance(team, Refusal):
        return team
    command = DisableTeam(team.account, disabled, call.body.reason, call.request_id)
    answer = await execute(context, call, command)
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, TeamAnswer)
    changed = context.teams.by_account(answer.account)
    assert changed is not None
    return Answered(team_view(changed), timestamp_us=answer.timestamp_us)


async def cancel_team_orders(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Cancel a team's orders; it may go on trading."""
    team = find_team(context, call)
    if isinstance(team, Refusal):
        return team
    command = CancelOrders(team.account, (CancelScope(),), CancelReason.OPERATOR, call.request_id)
    return cancel_all_reply(await execute(context, call, command))


ROUTES: Final = (
    Operation(
        operation_id="get_admin_status",
        method="GET",
        path="/admin/status",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=get_admin_status,
        summary="The server from within",
        description=(
            "Sequence, queue depths and counts of requests since the start. With `state_hash=true` also the"
            " hash of the whole state, to compare with a replay: that holds up the exchange for about 2.5 ms"
            " per thousand orders it keeps."
        ),
        query=AdminStatusQuery,
        data=data.AdminStatus,
    ),
    Operation(
        operation_id="list_audit",
        method="GET",
        path="/admin/audit",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=list_audit,
        summary="Who did what",
        description=(
            "Registrations, acts of operators, phases, and the settings each start noted, oldest first: the"
            f" last {AUDIT_ENTRIES:,} of them. `exchange audit list` has all."
        ),
        query=AuditQuery,
        data=data.AuditList,
    ),
    Operation(
        operation_id="list_teams",
        method="GET",
        path="/admin/teams",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=list_teams,
        summary="Every team",
        data=data.TeamList,
    ),
    Operation(
        operation_id="create_team",
        method="POST",
        path="/admin/teams",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=create_team,
        summary="Register a team in any role",
        description="Without invite code, and also in roles that are not open.",
        body=TeamRequest,
        data=data.TeamRegistered,
        codes=REGISTRATION_CODES,
        example={"name": "House flow", "role": "retail"},
    ),
    Operation(
        operation_id="rotate_key",
        method="POST",
        path="/admin/teams/{team_id}/rotate-key",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=rotate_key,
        summary="Give a team a new key",
        description="The old key is void at once, and sockets logged in with it are closed.",
        data=data.RotatedKey,
        codes=(Code.UNKNOWN_TEAM, *COMMAND_CODES),
    ),
    Operation(
        operation_id="cancel_team_orders",
        method="POST",
        path="/admin/teams/{team_id}/cancel_orders",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=cancel_team_orders,
        summary="Cancel a team's open orders",
        description="With the reason `operator`. The team may go on trading; to stop it, disable it.",
        data=data.CancelAllResult,
        codes=(Code.UNKNOWN_TEAM, *COMMAND_CODES),
    ),
    Operation(
        operation_id="disable_team",
        method="POST",
        path="/admin/teams/{team_id}/disable",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=disable_team,
        summary="Disable a team",
        description="Its orders are cancelled; it may read and cancel, not trade. The body may be left out.",
        body=DisableTeamRequest,
        body_optional=True,
        data=data.TeamView,
        codes=(Code.UNKNOWN_TEAM, *COMMAND_CODES),
        example={"reason": "runaway bot"},
    ),
    Operation(
        operation_id="enable_team",
        method="POST",
        path="/admin/teams/{team_id}/enable",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=enable_team,
        summary="Let a disabled team trade again",
        description="The body may be left out.",
        body=DisableTeamRequest,
        body_optional=True,
        data=data.TeamView,
        codes=(Code.UNKNOWN_TEAM, *COMMAND_CODES),
        example={"reason": "bot repaired"},
    ),
    Operation(
        operation_id="set_phase",
        method="POST",
        path="/admin/phase",
        topic=Topic.ADMIN,
        access=Access.OPERATOR,
        handler=set_phase,
        summary="Set the phase of the market, or halt and reopen one instrument",
        description=(
            "It holds until the schedule's next change. A halt ends through `reopening`, which trades again"
            " by itself after `reopening_s`. With `instrument_id` only `halted`, `reopening`, and"
            " `continuous` for whatever the market does. Journaled with its `reason`."
        ),
        body=PhaseRequest,
        data=data.PhaseSet,
        codes=(Code.UNKNOWN_INSTRUMENT, Code.PHASE_NOT_ALLOWED, *COMMAND_CODES),
        example={"phase": "halted", "reason": "wrong expiry", "instrument_id": "SPY"},
    ),
)
