"""The game that is simulated: few prices, tight limits and small bounds, so that everything happens often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import NamedTuple
from unittest.mock import patch

from exchange.config import Config, CoordinationConfig, GameConfig, JournalConfig, MarketConfig
from exchange.journal.memory import MemoryFaults
from exchange.model.roles import Fees, PortfolioLimit, PositionLimit, QuoteRules, Role
from exchange.model.rules import Bands, BatchAuctions, Closing, ClosingCancels
from exchange.model.types import SelfTradePrevention
from tests.oracle.actions import INSTRUMENTS, rules

PRICES = range(98, 103)
ROLES = (
    Role(
        name="tight",
        fees=Fees(maker=100, taker=-200, auction=-10),
        constraints=(PositionLimit(max_position=20), PortfolioLimit(max_total_position=25)),
    ),
    Role(
        name="wide",
        fees=Fees(maker=-50, taker=-300, auction=-20),
        constraints=(PositionLimit(max_position=40),),
        quotes=QuoteRules(min_quantity=2, max_spread_ticks=3),
    ),
)
POSITION_LIMIT = {"tight": 20, "wide": 40}
TEAMS = 6
ORDER_QUEUE = 24
STOPS_AT_ONCE = 2
CHECK_INTERVAL_S = 0.002
BATCH_MS = 10

_SMALL = {
    "exchange.pipeline.path.STAGE_QUEUE_CAPACITY": 5,
    "exchange.engine.auction.AUCTION_SLICE": 3,
    "exchange.engine.endings.AUCTION_SLICE": 3,
    "exchange.engine.venue.MAX_TRIGGERED_STOPS": STOPS_AT_ONCE,
    "exchange.engine.stops.MAX_DEAD_ENTRIES": 2,
    "exchange.pipeline.hub.CONNECTION_BUFFER_MESSAGES": 60,
    "exchange.engine.matching.MAX_DEAD_ENTRIES": 2,
    "exchange.engine.book.MAX_DEAD_ENTRIES": 2,
    "exchange.pipeline.hub.RESUME_SLICE": 4,
}


@contextmanager
def small_bounds() -> Iterator[None]:
    """Bounds that are met all the time."""
    with ExitStack() as stack:
        for name, bound in _SMALL.items():
            stack.enter_context(patch(name, bound))
        yield


class Game(NamedTuple):
    """What differs from seed to seed. ``batched`` are the instruments that trade in batch auctions."""

    prevention: SelfTradePrevention
    closing_cancels: ClosingCancels
    batched: tuple[str, ...]


def choose_game(chance: Random) -> Game:
    """Half of the games are continuous in both instruments."""
    return Game(
        chance.choice(tuple(SelfTradePrevention)),
        chance.choice(tuple(ClosingCancels)),
        chance.choice(((), (), INSTRUMENTS[1:], INSTRUMENTS)),
    )


def configure(game: Game) -> Config:
    """Two instruments without bands, and timers of milliseconds."""
    batch_auctions = BatchAuctions(interval_ms=BATCH_MS, instruments=game.batched) if game.batched else None
    return Config(
        game=GameConfig(
            preset="flow",
            instruments=rules(game.prevention).instruments,
            roles=ROLES,
            bands=Bands(enabled=False),
            self_trade_prevention=game.prevention,
            closing=Closing(cancels=game.closing_cancels),
            batch_auctions=batch_auctions,
        ),
        responses=CoordinationConfig(
            default_timeout_seconds=0.05,
            max_pending_requests=48,
            max_pending_per_team=20,
            cleanup_interval_seconds=0.1,
        ),
        journal=JournalConfig(restart_grace_s=0.004),
        market=MarketConfig(check_interval_s=CHECK_INTERVAL_S, reopening_s=0.004),
    )


def disk(chance: Random) -> MemoryFaults:
    """Of one life: mostly quick, sometimes slower than the one who waits is patient; three in ten fail."""
    jitter_s = chance.choice((0.0, 0.0002, 0.0005, 0.001, 0.001, 0.002, 0.002, 0.1))
    fail_at = chance.randint(2, 100) if chance.random() < 0.3 else None
    return MemoryFaults(latency_s=chance.choice((0.0, 0.0002)), jitter_s=jitter_s, fail_at=fail_at)
