"""Who trades in the demonstration: nine bots in three roles, about half of them over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeAlias

import msgspec

from exchange.bots import Bot, MarketMaker, Momentum, Quoting, RandomTaker
from exchange.client import ExchangeClient, HttpTransport, WebSocketTransport
from exchange.model.types import InstrumentKind
from exchange.wire.data import InstrumentView

Choice: TypeAlias = Callable[[Sequence[InstrumentView]], list[str]]
MakeBot: TypeAlias = Callable[[ExchangeClient, Random, list[str]], Bot]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One bot: its team, how its orders go in, what it trades, and how it is made."""

    name: str
    role: str
    transport: type[HttpTransport]
    instruments: Choice
    make: MakeBot


def everything(found: Sequence[InstrumentView]) -> list[str]:
    """Underlyings and options."""
    return [each.instrument_id for each in found]


def underlyings(found: Sequence[InstrumentView]) -> list[str]:
    """No options."""
    return [each.instrument_id for each in found if each.kind is not InstrumentKind.OPTION]


def options(found: Sequence[InstrumentView]) -> list[str]:
    """Nothing else."""
    return [each.instrument_id for each in found if each.kind is InstrumentKind.OPTION]


def _wide_maker(client: ExchangeClient, rng: Random, instruments: list[str]) -> Bot:
    return MarketMaker(client, rng, instruments, quoting=Quoting(half_width=0.002))


def _tight_maker(client: ExchangeClient, rng: Random, instruments: list[str]) -> Bot:
    return MarketMaker(client, rng, instruments, quoting=Quoting(half_width=0.0004, size=3), timer_s=0.5)


def _trend_follower(client: ExchangeClient, rng: Random, instruments: list[str]) -> Bot:
    return Momentum(client, rng, instruments, window=8, threshold=0.0001)


def _eager_taker(client: ExchangeClient, rng: Random, instruments: list[str]) -> Bot:
    return RandomTaker(client, rng, instruments, timer_s=0.25)


def _calm_taker(client: ExchangeClient, rng: Random, instruments: list[str]) -> Bot:
    return RandomTaker(client, rng, instruments, timer_s=0.5, max_quantity=10)


_HTTP, _WS = HttpTransport, WebSocketTransport


def _part(name: str, role: str, transport: type[HttpTransport], choice: Choice, make: MakeBot) -> Part:
    return Part(name=name, role=role, transport=transport, instruments=choice, make=make)


CAST: Final[tuple[Part, ...]] = (
    _part("Alder", "market_maker", _WS, everything, _wide_maker),
    _part("Birch", "market_maker", _HTTP, everything, _wide_maker),
    _part("Cedar", "market_maker", _WS, underlyings, _tight_maker),
    _part("Dogwood", "hedge_fund", _WS, underlyings, _trend_follower),
    _part("Elm", "hedge_fund", _HTTP, options, _eager_taker),
    _part("Fir", "hedge_fund", _WS, everything, _calm_taker),
    _part("Ginkgo", "arbitrage", _HTTP, underlyings, _trend_follower),
    _part("Hazel", "arbitrage", _WS, underlyings, _eager_taker),
    _part("Ivy", "arbitrage", _HTTP, everything, _eager_taker),
)
