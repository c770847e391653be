"""Bots: a base class with handlers, and samples that trade with one another. They use only the SDK."""

from exchange.bots.bot import Bot
from exchange.bots.market_maker import MarketMaker, Quoting
from exchange.bots.momentum import Momentum
from exchange.bots.pace import Pace
from exchange.bots.paced_bot import PacedBot
from exchange.bots.random_taker import RandomTaker

__all__ = ["Bot", "MarketMaker", "Momentum", "Pace", "PacedBot", "Quoting", "RandomTaker"]
