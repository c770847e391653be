"""The API on real services that stand still: no stage runs, time moves when a test says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.types import ASGIApp

from exchange.api.context import ApiContext, ApiSettings
from exchange.api.past import NoHistory
from exchange.api.rate_limits import RateLimits
from exchange.api.request_ids import RequestIds
from exchange.api.tally import AnswerTally
from exchange.app import build_core
from exchange.base.clock import ManualClock
from exchange.base.entropy import SeededEntropy
from exchange.config import CoordinationConfig, LimitsConfig
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.commands import Record, RegisterTeam
from exchange.model.presets import preset_rules
from exchange.pipeline.channel import OrderQueue
from exchange.pipeline.guards import Guards
from exchange.pipeline.health import Health
from exchange.pipeline.intake import Intake
from exchange.pipeline.responses import OrderResponseService
from exchange.services.game.keys import hash_key
from exchange.storage.progress import ProjectionState, ProjectionWatch
from tests.support.markets import empty_markets

ADMIN_KEY = "itg_admin"
TEAM_KEY = "itg_team"

Headers = Sequence[tuple[bytes, bytes]]


class Answer(msgspec.Struct, frozen=True):
    """What an application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    @property
    def code(self) -> str | None:
        error = self.envelope.get("error")
        return error["code"] if error else None


def still_context(limits: RateLimits | None = None, **settings: Any) -> ApiContext:
    """The services of a small game with one team, whose key is ``TEAM_KEY``."""
    rules = preset_rules("small")
    core = build_core(rules)
    clock, log, metrics = ManualClock(), get_logger("test"), Metrics()
    health = Health()
    health.run()
    responses = OrderResponseService(CoordinationConfig(), clock, log, metrics)
    registration = RegisterTeam("Alpha", "hedge_fund", hash_key(TEAM_KEY), "req_0")
    completed = core.teams.complete(registration)
    assert isinstance(completed, RegisterTeam)
    core.teams.register(Record(1, clock.now_us(), completed))
    return ApiContext(
        rules=rules,
        settings=ApiSettings(admin_key_hash=hash_key(ADMIN_KEY), **settings),
        intake=Intake(OrderQueue(), responses, health),
        responses=responses,
        health=health,
        admission=core.admission,
        register=core.register,
        exposure=core.exposure,
        ledger=core.ledger,
        settlement=core.settlement,
        teams=core.teams,
        venue=core.venue,
        markets=empty_markets(core.rules.instruments),
        guards=Guards(lambda command: None, clock),
        limits=limits or RateLimits(LimitsConfig()),
        clock=clock,
        entropy=SeededEntropy(1),
        request_ids=RequestIds(SeededEntropy(1)),
        log=log,
        tally=AnswerTally(),
        state_hash=core.state_hash,
        queue_depths=dict,
        projection=ProjectionWatch(lambda: 0, clock, ProjectionState.OFF).status,
        past=NoHistory(),
        exposition=metrics.exposition,
    )


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Headers = (),
    body: Sequence[bytes] = (b"",),
    path_params: dict[str, str] | None = None,
) -> Answer | None:
    """One request, ``body`` in chunks; None when nothing was answered. A chunk missing is a client gone."""
    chunks = [
        {"type": "http.request", "body": chunk, "more_body": place < len(body)}
        for place, chunk in enumerate(body, start=1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return chunks.pop(0) if chunks else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
    }
    await app(scope if path_params is None else scope | {"path_params": path_params}, receive, send)
    if not sent:
        return None
    start, content = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], names, content["body"])
