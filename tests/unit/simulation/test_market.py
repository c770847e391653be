"""A market in virtual time: the SDK as it is, hours without waiting, one outcome per seed."""

from __future__ import annotations

import asyncio

from exchange.base.clock import GAME_START_US
from exchange.base.virtual_loop import run_virtual
from exchange.client import Side
from exchange.config import Config, GameConfig, MarketConfig
from exchange.model.commands import NewOrder, SetPhase
from exchange.model.types import Phase
from exchange.simulation.market import open_market
from exchange.simulation.run import Outcome, Scenario, simulate

SMALL = Config(game=GameConfig(preset="small"))


def _simulate(seed: int = 1, hours: float = 0.02) -> Outcome:
    return simulate(Scenario(config=SMALL, seed=seed, hours=hours, bots=5))


def test_market_outcome_is_a_function_of_the_seed() -> None:
    """The same records, byte for byte, and the same state; other seeds give other games."""
    first = _simulate()
    assert _simulate() == first
    assert first.trades > 0
    assert _simulate(seed=2).journal_hash != first.journal_hash


def test_market_takes_orders_of_the_sdk() -> None:
    """Two clients of ones own trade; what was sequenced can be read when it is over."""

    async def trade() -> tuple[int, list[str]]:
        async with open_market(SMALL, 7) as market:
            maker = market.client("maker", await market.add_team("Maker", "market_maker"))
            taker = market.client("taker", await market.add_team("Taker", "hedge_fund"), socket=False)
            async with maker, taker:
                await maker.order("SPX", Side.SELL, 5, price=4_400.0)
                await taker.order("SPX", Side.BUY, 3, price=4_400.0)
                await asyncio.sleep(3_600)
                held = (await taker.positions()).positions["SPX"]
        entered = [each.command for each in market.records() if isinstance(each.command, NewOrder)]
        return held, [each.side.value for each in entered]

    assert run_virtual(trade()) == (3, ["sell", "buy"])


def test_market_keeps_its_schedule() -> None:
    """Two days of ten minutes pass at once: the market opens and closes by its own clock."""

    async def days() -> list[tuple[Phase, int]]:
        config = Config(game=GameConfig(preset="sprint"), market=MarketConfig(check_interval_s=1.0))
        async with open_market(config, 1) as market:
            await asyncio.sleep(1_190)
            assert market.now().minute == 19
        changes = [(each.command, each.timestamp_us) for each in market.records()]
        return [
            (command.phase, (timestamp_us - GAME_START_US) // 1_000_000)
            for command, timestamp_us in changes
            if isinstance(command, SetPhase)
        ]

    day = [
        (Phase.OPENING_AUCTION, 55),
        (Phase.CONTINUOUS, 60),
        (Phase.PRE_CLOSE, 540),
        (Phase.CLOSING_AUCTION, 565),
        (Phase.CLOSED, 570),
    ]
    told = run_virtual(days())
    expected = [(Phase.PRE_OPEN, 0), *day, (Phase.PRE_OPEN, 600)]
    expected += [(phase, at_s + 600) for phase, at_s in day]
    assert [phase for phase, _ in told] == [phase for phase, _ in expected]
    assert all(0 <= at_s - due_s <= 1 for (_, at_s), (_, due_s) in zip(told, expected, strict=True))
