"""Who trades in a simulated market: the sample bots, as many as asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import Final, TypeAlias

import msgspec

from exchange.bots import Bot, MarketMaker, Momentum, Quoting, RandomTaker
from exchange.client import ExchangeClient
from exchange.model.instrument import Instrument
from exchange.model.types import InstrumentKind

MakeBot: TypeAlias = Callable[[ExchangeClient, Random, Sequence[str]], Bot]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of bot: its role, what it trades, how it is made, and whether its orders go over the socket."""

    name: str
    role: str
    kinds: tuple[InstrumentKind, ...]
    make: MakeBot
    socket: bool = True

    def instruments(self, found: Sequence[Instrument]) -> list[str]:
        """The names of those it trades."""
        return [each.instrument_id for each in found if each.kind in self.kinds]


_UNDERLYINGS: Final = (InstrumentKind.INDEX, InstrumentKind.ETF)
_EVERYTHING: Final = tuple(InstrumentKind)


def _maker(client: ExchangeClient, rng: Random, instruments: Sequence[str]) -> Bot:
    return MarketMaker(client, rng, instruments, quoting=Quoting(half_width=0.001), timer_s=20.0)


def _taker(client: ExchangeClient, rng: Random, instruments: Sequence[str]) -> Bot:
    return RandomTaker(client, rng, instruments, timer_s=10.0)


def _follower(client: ExchangeClient, rng: Random, instruments: Sequence[str]) -> Bot:
    return Momentum(client, rng, instruments, window=8, threshold=0.0001)


PARTS: Final[tuple[Part, ...]] = (
    Part(name="maker", role="market_maker", kinds=_EVERYTHING, make=_maker),
    Part(name="taker", role="hedge_fund", kinds=_UNDERLYINGS, make=_taker),
    Part(name="follower", role="arbitrage", kinds=_UNDERLYINGS, make=_follower),
    Part(name="taker", role="arbitrage", kinds=_UNDERLYINGS, make=_taker, socket=False),
    Part(name="maker", role="market_maker", kinds=_UNDERLYINGS, make=_maker, socket=False),
)
"""In turn: every five bots are a market of their own."""


def cast(bots: int) -> Iterator[tuple[str, Part]]:
    """The names and parts of so many bots."""
    for number, part in enumerate(islice(cycle(PARTS), bots), start=1):
        yield f"{part.name}-{number}", part
