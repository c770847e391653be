"""The samples on a whole exchange, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from exchange.app import Exchange
from exchange.base.entropy import SeededEntropy
from exchange.base.streams import random_stream
from exchange.bots import MarketMaker, Momentum, PacedBot, Quoting, RandomTaker
from exchange.client import (
    ExchangeClient,
    InProcessTransport,
    OperatorClient,
    OrderFilter,
    Side,
    TradeEvent,
    register,
)
from exchange.config import Config, GameConfig
from exchange.journal.memory import MemoryJournal
from exchange.model.commands import SetPhase
from exchange.model.types import Phase
from exchange.wire.data import InstrumentView
from tests.unit.bots.virtual_time import LoopClock, run_virtually

ADMIN_KEY = "itg_admin_key_of_the_tests"
FEW = ("SPX", "SPY", "SPX_CALL_4400_20240315")


@asynccontextmanager
async def small_exchange() -> AsyncIterator[Exchange]:
    """A running exchange on virtual time."""
    exchange = Exchange(
        Config(game=GameConfig(preset="small")),
        MemoryJournal(random.Random(1)),
        clock=LoopClock(asyncio.get_running_loop()),
        entropy=SeededEntropy(1),
        admin_key=ADMIN_KEY,
    )
    await exchange.start()
    running = asyncio.create_task(exchange.run())
    try:
        yield exchange
    finally:
        exchange.stop()
        await running


async def client_of(exchange: Exchange, name: str, role: str, seed: int) -> ExchangeClient:
    """A client of a new team."""
    team = await register(InProcessTransport(exchange.api), name, role)
    transport = InProcessTransport(exchange.api, team.api_key, prefers_socket=seed % 2 == 1)
    return ExchangeClient(transport, entropy=SeededEntropy(seed))


async def cast(exchange: Exchange) -> list[PacedBot]:
    """Two makers, two takers and a follower of trends."""
    clients = [
        await client_of(exchange, f"Team {seed}", role, seed)
        for seed, role in enumerate(("market_maker", "market_maker", "hedge_fund", "arbitrage", "hedge_fund"))
    ]
    streams = [random_stream(1, f"bot {number}") for number in range(len(clients))]
    everything = [each.instrument_id for each in exchange.core.rules.instruments]
    return [
        MarketMaker(clients[0], streams[0], everything),
        MarketMaker(clients[1], streams[1], FEW, quoting=Quoting(size=3, half_width=0.0015)),
        RandomTaker(clients[2], streams[2], FEW),
        RandomTaker(clients[3], streams[3], FEW, timer_s=0.5),
        Momentum(clients[4], streams[4], FEW),
    ]


def test_samples_make_a_market_that_stays_sane(caplog: pytest.LogCaptureFixture) -> None:
    """Ten minutes: they trade, prices stay near where they began, limits are kept, books are two-sided."""
    run_virtually(_play(600))
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def _play(seconds: float) -> None:
    async with small_exchange() as exchange:
        bots = await cast(exchange)
        first = {each.instrument_id: each.reference_price for each in await _instruments(exchange)}
        prices: dict[str, list[float]] = defaultdict(list)
        async with ExchangeClient(InProcessTransport(exchange.api)) as watcher:
            watcher.on_event(
                lambda event: (
                    prices[event.channel.removeprefix("trades.")].append(event.price)
                    if isinstance(event, TradeEvent)
                    else None
                )
            )
            await watcher.subscribe(*(f"trades.{each}" for each in FEW))
            playing = [asyncio.create_task(bot.run()) for bot in bots]
            await asyncio.sleep(seconds)
            for instrument_id in FEW:
                assert len(prices[instrument_id]) > seconds / 10
                assert all(abs(price / first[instrument_id] - 1) < 0.01 for price in prices[instrument_id])
            for bot in bots:
                assert all(abs(lots) <= bot.max_position for lots in bot.positions.values())
                assert set(bot.refusals) <= {"AMEND_FAILED", "CANCEL_FAILED"}
            book = await watcher.book(list(first)[-1])
            assert book.bids
            assert book.asks
            for bot in bots:
                bot.stop()
            await asyncio.gather(*playing)
            assert (await watcher.book("SPX")).bids == []


async def _instruments(exchange: Exchange) -> list[InstrumentView]:
    async with ExchangeClient(InProcessTransport(exchange.api)) as client:
        return await client.instruments()


def test_samples_play_the_same_game_twice() -> None:
    """Everything random is handed in: two runs end in the same state."""
    assert run_virtually(_state_after(120)) == run_virtually(_state_after(120))


async def _state_after(seconds: float) -> str:
    async with small_exchange() as exchange:
        playing = [asyncio.create_task(bot.run()) for bot in await cast(exchange)]
        await asyncio.sleep(seconds)
        state = exchange.core.state_hash()
        for task in playing:
            task.cancel()
        await asyncio.wait(playing)
        return state


def test_bots_stay_below_the_rate_of_their_role() -> None:
    """A taker that wants five orders a second from a role with one gets none refused."""

    async def play() -> None:
        async with small_exchange() as exchange:
            async with OperatorClient(InProcessTransport(exchange.api, ADMIN_KEY)) as operator:
                team = await operator.add_team("Retail", "retail")
            transport = InProcessTransport(exchange.api, team.api_key)
            client = ExchangeClient(transport, entropy=SeededEntropy(7))
            taker = RandomTaker(client, random_stream(1, "taker"), FEW, timer_s=0.2, per_second=50)
            maker = MarketMaker(await client_of(exchange, "M", "market_maker", 8), random_stream(1, "m"), FEW)
            playing = [asyncio.create_task(bot.run()) for bot in (maker, taker)]
            await asyncio.sleep(60)
            assert dict(taker.refusals) == {}
            sent = (await client.orders(OrderFilter.ALL)).orders
            assert 40 <= len(sent) <= 61
            for bot in (maker, taker):
                bot.stop()
            await asyncio.gather(*playing)

    run_virtually(play())


def test_disabled_team_stops_its_bot() -> None:
    """A team that may not trade any more has no use for a bot that tries."""

    async def play() -> None:
        async with small_exchange() as exchange:
            maker = MarketMaker(await client_of(exchange, "M", "market_maker", 8), random_stream(1, "m"), FEW)
            playing = asyncio.create_task(maker.run())
            await asyncio.sleep(5)
            async with OperatorClient(InProcessTransport(exchange.api, ADMIN_KEY)) as operator:
                await operator.disable_team("TEAM_1")
            async with asyncio.timeout(10):
                await playing
            assert maker.refusals["TEAM_DISABLED"] == 1

    run_virtually(play())


def test_halt_is_waited_out() -> None:
    """Nothing is sent while the market is halted; quotes are kept up again afterwards."""

    async def play() -> None:
        async with small_exchange() as exchange:
            client = await client_of(exchange, "M", "market_maker", 8)
            maker = MarketMaker(client, random_stream(1, "m"), FEW)
            playing = asyncio.create_task(maker.run())
            await asyncio.sleep(5)
            exchange.path.submit_system(SetPhase(Phase.HALTED, "test"))
            await asyncio.sleep(1)
            await client.cancel_all()
            await asyncio.sleep(30)
            assert await client.open_orders() == []
            assert dict(maker.refusals) == {}
            exchange.path.submit_system(SetPhase(Phase.REOPENING, "test"))
            exchange.path.submit_system(SetPhase(Phase.CONTINUOUS, "test"))
            await asyncio.sleep(3)
            assert len(await client.open_orders()) == 2 * len(FEW)
            maker.stop()
            await playing

    run_virtually(play())


def test_portfolio_limit_leaves_only_the_side_that_reduces() -> None:
    """At the limit a maker quotes nothing that would add to a position."""

    async def play() -> None:
        async with small_exchange() as exchange:
            client = await client_of(exchange, "M", "market_maker", 8)
            maker = MarketMaker(client, random_stream(1, "m"), FEW)
            maker.client.account.is_live = True
            maker._max_portfolio = 10
            maker.client.account._positions = {"SPX": 7, "SPY": -3}
            assert (maker.room("SPX", Side.BUY), maker.room("SPX", Side.SELL)) == (0, 7)
            assert (maker.room("SPY", Side.BUY), maker.room("SPY", Side.SELL)) == (3, 0)
            maker._max_portfolio = 12
            assert (maker.room("SPX", Side.BUY), maker.room("SPX", Side.SELL)) == (2, 9)
            await client.close()

    run_virtually(play())
