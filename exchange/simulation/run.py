"""A market with sample bots for so many hours, and what it came to."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import datetime

import msgspec

from exchange.base.streams import random_stream
from exchange.base.virtual_loop import run_virtual
from exchange.bots import Bot
from exchange.config import Config
from exchange.simulation.cast import Part, cast
from exchange.simulation.market import MARKET_START, Market, open_market
from exchange.simulation.network import Network

_LOG = logging.getLogger("exchange.simulation")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated. The same scenario gives the same outcome, on every machine and Python."""

    config: Config
    seed: int = 1
    hours: float = 1.0
    bots: int = 20
    start: datetime = MARKET_START
    network: Network = Network()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``journal_hash`` covers every byte of every record, ``state_hash`` what they come to."""

    records: int
    commands: dict[str, int]
    trades: int
    open_orders: int
    journal_hash: str
    state_hash: str


def simulate(scenario: Scenario) -> Outcome:
    """Play ``scenario`` in virtual time. Raises ConfigError, or StartError for rules that make no sense."""
    return run_virtual(_play(scenario))


async def _play(scenario: Scenario) -> Outcome:
    async with open_market(
        scenario.config, scenario.seed, start=scenario.start, network=scenario.network
    ) as market:
        bots = [await _engage(market, name, part) for name, part in cast(scenario.bots)]
        playing = [asyncio.create_task(_perform(bot)) for bot in bots]
        await asyncio.sleep(scenario.hours * 3_600)
        for bot in bots:
            bot.stop()
        if playing:
            await asyncio.wait(playing)
    return _outcome(market)


async def _engage(market: Market, name: str, part: Part) -> Bot:
    api_key = await market.add_team(name, part.role)
    client = market.client(name, api_key, socket=part.socket)
    instruments = part.instruments(market.exchange.core.rules.instruments)
    return part.make(client, random_stream(market.seed, f"bot.{name}"), instruments)


async def _perform(bot: Bot) -> None:
    try:
        await bot.run()
    except Exception:
        _LOG.exception("%s ended early", type(bot).__name__)


def _outcome(market: Market) -> Outcome:
    core = market.exchange.core
    commands = Counter(type(record.command).__name__ for record in market.records())
    trades = market.exchange.metrics.registry.get_sample_value("exchange_trades_total")
    return Outcome(
        records=market.journal.last_sequence,
        commands=dict(sorted(commands.items())),
        trades=int(trades or 0),
        open_orders=core.venue.statistics().live_orders,
        journal_hash=market.journal.chain.hex(),
        state_hash=core.state_hash(),
    )
