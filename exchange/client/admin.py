"""What needs no team: registration, and the operator's acts, for the command line and for tools."""

from __future__ import annotations

from random import Random
from types import TracebackType
from typing import Self

from exchange.base.entropy import Entropy, SystemEntropy
from exchange.client import calls
from exchange.client.caller import Caller
from exchange.client.http import HttpTransport
from exchange.client.retries import Retries
from exchange.client.transport import Transport
from exchange.model.types import Phase
from exchange.wire import data
from exchange.wire.requests import DisableTeamRequest, PhaseRequest, RegisterTeamRequest, TeamRequest


async def register(
    exchange: str | Transport, name: str, role: str, invite_code: str | None = None
) -> data.TeamRegistered:
    """Enter a team and learn its API key, this once. ``exchange`` is an address, or a transport without key.

    Raises ExchangeError. Sent once: when the answer is lost the name may be taken, by this very team.
    """
    transport = HttpTransport(exchange) if isinstance(exchange, str) else exchange
    request = RegisterTeamRequest(name=name, role=role, invite_code=invite_code)
    try:
        caller = Caller(transport, None, Retries(), Random(0))
        registered: data.TeamRegistered = await caller.only_once(
            calls.Call("POST", "/game/teams/register", data.TeamRegistered, request)
        )
    finally:
        if isinstance(exchange, str):
            await transport.close()
    return registered


class OperatorClient:
    """Acts of the operator; the transport carries the admin key. Acts are sent once, questions again."""

    def __init__(
        self, transport: Transport, *, entropy: Entropy | None = None, retries: Retries | None = None
    ) -> None:
        rng = Random((entropy or SystemEntropy()).token(8))
        self._transport = transport
        self._caller = Caller(transport, None, retries or Retries(), rng)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back every connection."""
        await self._transport.close()

    async def status(self) -> data.AdminStatus:
        """The server from within: state, sequence, state hash, queues."""
        status: data.AdminStatus = await self._caller.safely(calls.read("/admin/status", data.AdminStatus))
        return status

    async def audit(self, after: str | None = None) -> data.AuditList:
        """A page of acts, oldest first; ``after`` is the ``next_cursor`` of the page before."""
        found: data.AuditList = await self._caller.safely(
            calls.read("/admin/audit", data.AuditList, after=after)
        )
        return found

    async def teams(self) -> list[data.TeamView]:
        """Every team, in the order of registration."""
        found: data.TeamList = await self._caller.safely(calls.read("/admin/teams", data.TeamList))
        return found.teams

    async def add_team(self, name: str, role: str) -> data.TeamRegistered:
        """Register a team in any role, also in those that are not open; its key is told this once."""
        request = TeamRequest(name=name, role=role)
        added: data.TeamRegistered = await self._caller.only_once(
            calls.Call("POST", "/admin/teams", data.TeamRegistered, request)
        )
        return added

    async def rotate_key(self, team_id: str) -> data.RotatedKey:
        """Give a team a new key; the old one is void at once and its sockets are closed."""
        rotated: data.RotatedKey = await self._caller.only_once(
            calls.Call("POST", f"{_team(team_id)}/rotate-key", data.RotatedKey)
        )
        return rotated

    async def cancel_orders(self, team_id: str) -> int:
        """Cancel every open order of a team, which may go on trading; how many there were."""
        call = calls.Call("POST", f"{_team(team_id)}/cancel_orders", data.CancelAllResult)
        result: data.CancelAllResult = await self._caller.only_once(call)
        return result.cancelled

    async def set_phase(
        self, phase: Phase, reason: str = "operator", instrument_id: str | None = None
    ) -> data.PhaseSet:
        """Set the phase of the market; halt, reopen or resume one instrument."""
        request = PhaseRequest(phase=phase, reason=reason, instrument_id=instrument_id)
        done: data.PhaseSet = await self._caller.only_once(
            calls.Call("POST", "/admin/phase", data.PhaseSet, request)
        )
        return done

    async def disable_team(self, team_id: str, reason: str = "operator") -> data.TeamView:
        """Cancel a team's orders and let it trade no more."""
        return await self._set_disabled(team_id, "disable", reason)

    async def enable_team(self, team_id: str, reason: str = "operator") -> data.TeamView:
        """Let a disabled team trade again."""
        return await self._set_disabled(team_id, "enable", reason)

    async def _set_disabled(self, team_id: str, act: str, reason: str) -> data.TeamView:
        request = DisableTeamRequest(reason=reason)
        team: data.TeamView = await self._caller.only_once(
            calls.Call("POST", f"{_team(team_id)}/{act}", data.TeamView, request)
        )
        return team


def _team(team_id: str) -> str:
    return f"/admin/teams/{calls.segment(team_id)}"
