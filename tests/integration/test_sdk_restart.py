"""A client outlives its exchange: after a stop or a crash nothing is lost and nothing is told twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exchange.client import (
    Backoff,
    BookSnapshot,
    ClientEvent,
    EventStream,
    ExchangeClient,
    HttpTransport,
    LinkSettings,
    NewOrderAck,
    Reconnected,
    Retries,
    StreamReset,
    WebSocketTransport,
    register,
)
from exchange.process import ServerProcess

PATIENT = Retries(attempts=200, backoff=Backoff(first_s=0.05, max_s=0.2))


@asynccontextmanager
async def server(folder: Path, port: int = 0) -> AsyncIterator[ServerProcess]:
    """An exchange on ``folder`` that reopens at once after a crash; the client's loop goes on meanwhile."""
    config = folder.with_suffix(".toml")
    config.write_text("[journal]\nrestart_grace_s = 0.0\n")
    process = ServerProcess(folder, ("--preset", "small", "--config", str(config)), port=port)
    await asyncio.to_thread(process.start)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.end)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("kind", [HttpTransport, WebSocketTransport], ids=["http", "ws"])
async def test_client_goes_on_where_it_was(
    kind: type[HttpTransport], is_killed: bool, tmp_path: Path
) -> None:
    """Orders under way while the exchange is away are entered once; private events have no gap."""
    async with server(tmp_path / "game") as first:
        port = urlsplit(first.url).port
        team = await register(first.url, "Steady", "market_maker")
        link = LinkSettings(backoff=PATIENT.backoff)
        async with ExchangeClient(kind(first.url, team.api_key), retries=PATIENT, link=link) as client:
            events = client.events("private", "book.SPX")
            await events.open()
            before = [await client.buy("SPX", 1, price=4300.0 + number) for number in range(3)]
            await asyncio.to_thread(first.kill if is_killed else first.stop)
            meanwhile = [client.buy("SPX", 1, price=4310.0 + number) for number in range(3)]
            entering = asyncio.gather(*meanwhile)
            async with server(tmp_path / "game", port or 0):
                after = await entering
                told = await _read_until(events, acknowledged=6)
                assert len(client.account.open_orders()) == len(await client.open_orders()) == 6
                await client.cancel_all()
    placed = [receipt.order_id for receipt in (*before, *after)]
    acks = [event for event in told if isinstance(event, NewOrderAck)]
    assert len(set(placed)) == 6
    assert sorted(ack.order_id for ack in acks) == sorted(placed)
    assert [ack.seq for ack in acks] == [1, 2, 3, 4, 5, 6]
    resets = [event for event in told if isinstance(event, StreamReset)]
    assert [(reset.channel, reset.reason) for reset in resets] == [("book.SPX", "new_epoch")]
    assert sum(isinstance(event, BookSnapshot) for event in told) == 2


async def _read_until(events: EventStream, acknowledged: int) -> list[ClientEvent]:
    """Events until the client is back, knows the book anew, and so many orders were acknowledged."""
    told: list[ClientEvent] = []
    count = Counter[type]()
    async with asyncio.timeout(30):
        while count[NewOrderAck] < acknowledged or not count[Reconnected] or count[BookSnapshot] < 2:
            told.append(await anext(events))
            count[type(told[-1])] += 1
    return told
