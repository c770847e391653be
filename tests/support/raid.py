"""A server to attack, and what every attack ends with: an audit."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from exchange.process import ServerProcess
from tests.support.audit import Auditor, check_quiet, check_stopped
from tests.support.traffic import client_session

Body = dict[str, Any]


@dataclass
class Team:
    """Who attacks."""

    team_id: str
    key: str


@dataclass
class Raid:
    """A running server and everything that was acknowledged so far."""

    server: ServerProcess
    session: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)
    acknowledged: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def team(self, name: str, role: str = "player") -> Team:
        """Register a team."""
        body = {"name": name, "role": role}
        status, answer = await self.send("POST", "/admin/teams", self.server.admin_key, json=body)
        assert status == 200, answer
        team = Team(answer["data"]["team_id"], answer["data"]["api_key"])
        self.keys[team.team_id] = team.key
        return team

    async def send(self, method: str, path: str, key: str | None = None, **kwargs: Any) -> tuple[int, Body]:
        """One request; status and envelope."""
        headers = dict(kwargs.pop("headers", {}))
        if key is not None:
            headers["X-API-Key"] = key
        async with self.session.request(
            method, f"{self.server.url}{path}", headers=headers, **kwargs
        ) as answer:
            return answer.status, json.loads(await answer.read())

    async def order(
        self,
        team: Team,
        wait: str = "validation",
        headers: Mapping[str, str] | None = None,
        /,
        **fields: Any,
    ) -> tuple[int, Body]:
        """Enter an order, and remember it where it was acknowledged."""
        status, answer = await self.send(
            "POST", f"/exchange/orders?wait={wait}", team.key, json=fields, headers=headers or {}
        )
        if status == 200:
            self.acknowledged[team.team_id].add(answer["order_id"])
        return status, answer

    async def amend(self, team: Team, order_id: str, **fields: Any) -> tuple[int, Body]:
        return await self.send("PATCH", f"/exchange/orders/{order_id}", team.key, json=fields)

    async def cancel(self, team: Team, order_id: str) -> tuple[int, Body]:
        return await self.send("DELETE", f"/exchange/orders/{order_id}", team.key)

    async def audit(self) -> str:
        """Every invariant, through the API; the state hash."""
        auditor = Auditor(self.session, self.server.url, self.server.admin_key, self.keys)
        return await auditor.audit(self.acknowledged)


@asynccontextmanager
async def raid(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Raid]:
    """A server of its own process. On leaving all invariants are checked, also on a replay of its journal."""
    data = folder / "data"
    server = ServerProcess(data, arguments or ("--preset", "flow"), environment=environment)
    async with client_session() as session:
        with server:
            attack = Raid(server, session)
            yield attack
            state_hash = await attack.audit()
            server.terminate()
            assert await asyncio.to_thread(server.wait) == 0
    check_stopped(data, state_hash)
    check_quiet(server.log_text())


def roles_file(folder: Path, roles: Sequence[str]) -> str:
    """A config whose game has ``roles``, each a TOML inline table."""
    file = folder / "game.toml"
    file.write_text("[game]\nroles = [\n" + ",\n".join(roles) + "\n]\n")
    return str(file)
