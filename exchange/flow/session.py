"""A flow from file to figures: its exchange, its clients, and every message in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from typing import Final

import anyio
import msgspec

from exchange.base.bounds import FLOW_WAIT_S
from exchange.base.entropy import Entropy, SystemEntropy
from exchange.client import (
    ExchangeClient,
    HttpTransport,
    LinkSettings,
    Rejected,
    Retries,
    WebSocketTransport,
    register,
)
from exchange.flow.errors import Unreproducible
from exchange.flow.player import Player
from exchange.flow.recording import Recording
from exchange.flow.report import ReportStream
from exchange.flow.terms import Terms, broken_rules, read_terms
from exchange.model.reasons import Code

PROGRESS_EVERY: Final = 200
CLOSE_TIMEOUT_S: Final = 5.0
RETRIES: Final = Retries(attempts=3)
LINK: Final = LinkSettings(attempts=6)
"""About three seconds: an exchange that is away for longer has died, and the flow with it."""


class OrderEntry(StrEnum):
    """How orders go in; events come over each client's WebSocket in any case."""

    HTTP = "http"
    WS = "ws"


_TRANSPORTS: Final[Mapping[OrderEntry, type[HttpTransport]]] = {
    OrderEntry.HTTP: HttpTransport,
    OrderEntry.WS: WebSocketTransport,
}

_REGISTRATION_RULES: Final[Mapping[str, str]] = {
    Code.INVALID_INVITE_CODE: "invite code",
    Code.ROLE_NOT_OPEN: "roles",
    Code.TOO_MANY_TEAMS: "number of teams",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to play. Without ``instrument_id`` and ``role`` what suits best is taken."""

    order_entry: OrderEntry = OrderEntry.WS
    clients: int = 4
    invite_code: str | None = None
    instrument_id: str | None = None
    role: str | None = None
    wait_s: float = FLOW_WAIT_S


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the clients were told, and how long it took from the first message to the last execution."""

    reports: ReportStream
    messages: int
    seconds: float


async def play_flow(
    url: str,
    recording: Recording,
    settings: Settings,
    progress: Callable[[int], None],
    entropy: Entropy | None = None,
) -> Outcome:
    """Play ``recording`` on the exchange at ``url``; ``progress`` is told how many messages are done.

    Raises Unreproducible before the first message where the exchange's rules do not allow it, or when an
    answer shows it; FlowFailed and ExchangeError when something went wrong.
    """
    terms = await read_terms(url, settings.instrument_id, settings.role)
    broken = broken_rules(terms, recording)
    if broken:
        raise Unreproducible(broken)
    async with _clients(url, terms, settings, entropy or SystemEntropy()) as clients:
        player = Player(clients, terms.instrument, settings.wait_s)
        now_s = asyncio.get_running_loop().time
        started_s = now_s()
        for done, message in enumerate(recording.messages, start=1):
            await player.play(message)
            if done % PROGRESS_EVERY == 0:
                progress(done)
        return Outcome(reports=player.reports, messages=len(recording.messages), seconds=now_s() - started_s)


@asynccontextmanager
async def _clients(
    url: str, terms: Terms, settings: Settings, entropy: Entropy
) -> AsyncIterator[list[ExchangeClient]]:
    mark = entropy.token(4).hex()
    stack = AsyncExitStack()
    clients: list[ExchangeClient] = []
    try:
        for number in range(1, settings.clients + 1):
            client = await _client(url, f"flow {mark}-{number}", terms.role.role, settings)
            clients.append(await stack.enter_async_context(client))
            await client.subscribe("private")
        yield clients
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await stack.aclose()


async def _client(url: str, name: str, role: str, settings: Settings) -> ExchangeClient:
    try:
        team = await register(url, name, role, settings.invite_code)
    except Rejected as error:
        rule = _REGISTRATION_RULES.get(error.code)
        if rule is None:
            raise
        raise Unreproducible([f"{rule}: team {name} was refused, {error}"]) from None
    transport = _TRANSPORTS[settings.order_entry](url, team.api_key)
    return ExchangeClient(transport, retries=RETRIES, link=LINK)
