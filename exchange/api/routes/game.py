"""The game: registration, teams, status."""

from __future__ import annotations

import hmac
from typing import Final

from exchange.api.auth import Access
from exchange.api.commands import execute
from exchange.api.context import ApiContext
from exchange.api.operation import COMMAND_CODES, AnyCall, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.views import team_view
from exchange.model.answers import TeamAnswer
from exchange.model.commands import RegisterTeam
from exchange.model.reasons import Category, Code, Refusal
from exchange.services.game.keys import hash_key, new_key
from exchange.services.game.teams import Team
from exchange.wire import data
from exchange.wire.ids import team_id_text, team_number
from exchange.wire.queries import NoQuery
from exchange.wire.requests import RegisterTeamRequest, TeamRequest
from exchange.wire.times import time_text

_INVALID_INVITE_CODE: Final = Refusal(
    Category.FORBIDDEN, Code.INVALID_INVITE_CODE, "Registration needs the invite code of this game"
)


async def register_team(context: ApiContext, call: Call[NoQuery, RegisterTeamRequest]) -> Reply:
    """Register a team in a role that is open."""
    if not _is_invited(context.settings.invite_code, call.body.invite_code):
        return _INVALID_INVITE_CODE
    return await register(context, call, call.body, by_operator=False)


async def register(context: ApiContext, call: AnyCall, request: TeamRequest, *, by_operator: bool) -> Reply:
    """Register a team and tell its key, this once."""
    key = new_key(context.entropy)
    command = RegisterTeam(
        request.name, request.role, hash_key(key), call.request_id, by_operator=by_operator
    )
    answer = await execute(context, call, command)
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, TeamAnswer)
    team = context.teams.by_account(answer.account)
    assert team is not None
    registered = data.TeamRegistered(
        team_id=team_id_text(team.account), name=team.name, role=team.role.name, api_key=key
    )
    return Answered(registered, timestamp_us=answer.timestamp_us)


async def get_team(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """A team as anyone sees it."""
    team = find_team(context, call)
    return team if isinstance(team, Refusal) else Answered(team_view(team))


async def get_game_status(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """The game as a whole."""
    return Answered(
        data.GameStatus(
            preset=context.rules.preset,
            phase=context.admission.phase,
            teams=len(context.teams.all()),
            instruments=len(context.rules.instruments),
            sequence=context.admission.last_sequence,
            timestamp=time_text(context.clock.now_us()),
            api_version=context.settings.api_version,
            halted_by_failure=context.health.is_stale,
        )
    )


def find_team(context: ApiContext, call: AnyCall) -> Team | Refusal:
    """The team named in the path."""
    account = team_number(call.path["team_id"])
    team = None if account is None else context.teams.by_account(account)
    return team or Refusal(Category.UNKNOWN, Code.UNKNOWN_TEAM, "No such team")


def _is_invited(expected: str | None, given: str | None) -> bool:
    return expected is None or hmac.compare_digest((given or "").encode(), expected.encode())


REGISTRATION_CODES: Final = (
    Code.UNKNOWN_ROLE,
    Code.TEAM_NAME_TAKEN,
    Code.TOO_MANY_TEAMS,
    *COMMAND_CODES,
)

ROUTES: Final = (
    Operation(
        operation_id="register_team",
        method="POST",
        path="/game/teams/register",
        topic=Topic.GAME,
        access=Access.PUBLIC,
        handler=register_team,
        summary="Register a team",
        description=(
            "`api_key` is told this once and kept nowhere: store it. `invite_code` is needed where the"
            " organiser set one."
        ),
        body=RegisterTeamRequest,
        data=data.TeamRegistered,
        codes=(Code.INVALID_INVITE_CODE, Code.ROLE_NOT_OPEN, *REGISTRATION_CODES),
        example={"name": "Alpha", "role": "market_maker"},
    ),
    Operation(
        operation_id="get_team",
        method="GET",
        path="/game/teams/{team_id}",
        topic=Topic.GAME,
        access=Access.PUBLIC,
        handler=get_team,
        summary="A team",
        data=data.TeamView,
        codes=(Code.UNKNOWN_TEAM,),
    ),
    Operation(
        operation_id="get_game_status",
        method="GET",
        path="/game/status",
        topic=Topic.GAME,
        access=Access.PUBLIC,
        handler=get_game_status,
        summary="The game: phase, teams, API version",
        data=data.GameStatus,
    ),
)
