"""A client outlives its exchange: stopped or killed and started again, nothing is lost and nothing is told twice."""

from __future__ import annotations

import asyncio
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
    OrderStatus,
    Reconnected,
    Retries,
    StreamReset,
    TimeInForce,
    Transport,
    WaitFor,
    WebSocketTransport,
    register,
)
from exchange.process import ServerProcess

PATIENT = Retries(attempts=200, backoff=Backoff(first_s=0.05, max_s=0.2))


def server(folder: Path, port: int = 0) -> ServerProcess:
    """An exchange on ``folder`` that reopens at once after a crash."""
    config = folder.with_suffix(".toml")
    config.write_text("[journal]\nrestart_grace_s = 0.0\n")
    return ServerProcess(folder, ("--preset", "small", "--config", str(config)), port=port)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("kind", [HttpTransport, WebSocketTransport], ids=["http", "ws"])
async def test_client_goes_on_where_it_was(
    kind: type[HttpTransport], is_killed: bool, tmp_path: Path
) -> None:
    """Orders under way while the exchange is away are entered once; private events have no gap."""
    with server(tmp_path / "game") as first:
        port = urlsplit(first.url).port
        assert port is not None
        team = await register(first.url, "Steady", "market_maker")
        transport: Transport = kind(first.url, team.api_key)
        link = LinkSettings(backoff=Backoff(first_s=0.05, max_s=0.2))
        async with ExchangeClient(transport, retries=PATIENT, link=link) as client:
            events = client.events("private", "book.SPX")
            await events.open()
            before = [await client.buy("SPX", 1, price=4300.0 + number) for number in range(3)]
            first.kill() if is_killed else first.stop()
            meanwhile = [
                asyncio.create_task(client.buy("SPX", 1, price=4310.0 + number)) for number in range(3)
            ]
            with server(tmp_path / "game", port):
                after = await asyncio.gather(*meanwhile)
                last = await client.buy(
                    "SPX", 1, price=4300.0, time_in_force=TimeInForce.IOC, wait=WaitFor.SETTLEMENT
                )
                assert last.status is OrderStatus.CANCELLED
                told = await _read_until(events, last.order_id)
                placed = [*before, *after, last]
                assert len({each.order_id for each in placed}) == 7
                acks = [event for event in told if isinstance(event, NewOrderAck)]
                assert sorted(ack.order_id for ack in acks) == sorted(each.order_id for each in placed)
                assert [ack.seq for ack in acks] == [1, 2, 3, 4, 5, 6, 7]
                assert any(isinstance(event, Reconnected) for event in told)
                resets = [event for event in told if isinstance(event, StreamReset)]
                assert [(reset.channel, reset.reason) for reset in resets] == [("book.SPX", "new_epoch")]
                assert sum(isinstance(event, BookSnapshot) for event in told) == 2
                assert len(client.account.open_orders()) == len(await client.open_orders()) == 6
                await client.cancel_all()


async def _read_until(events: EventStream, order_id: str) -> list[ClientEvent]:
    told: list[ClientEvent] = []
    async with asyncio.timeout(30):
        async for event in events:
            told.append(event)
            if isinstance(event, NewOrderAck) and event.order_id == order_id:
                break
    return told
