"""The bots on stage: registered, running, and taken off again with their orders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Final

import anyio
import msgspec

from exchange.base.streams import random_stream
from exchange.bots import Bot
from exchange.client import ExchangeClient, HttpTransport, OperatorClient
from exchange.demo.cast import Part
from exchange.demo.meter import Meter, MeteredClient
from exchange.wire.data import InstrumentView

_LOG: Final = logging.getLogger("exchange.demo")


class Member(msgspec.Struct, frozen=True):
    """A part, the bot that plays it and the bot's client."""

    part: Part
    api_key: str
    client: MeteredClient
    bot: Bot

    @property
    def lots_held(self) -> int:
        """Sum of the absolute positions."""
        return sum(abs(lots) for lots in self.client.account.positions.values())

    def equity(self, instruments: Mapping[str, InstrumentView]) -> float:
        """Cash, fees, and positions at the middle of their books."""
        account = self.client.account
        values = (
            lots * instruments[each].multiplier * self._price(instruments[each])
            for each, lots in account.positions.items()
        )
        return account.cash + account.fees + sum(values)

    def _price(self, instrument: InstrumentView) -> float:
        book = self.client.live_book(instrument.instrument_id)
        if book is None or book.best_bid is None or book.best_ask is None:
            return instrument.reference_price
        return (book.best_bid.price + book.best_ask.price) / 2


class Troupe:
    """Every bot of the demonstration, on the exchange at ``url``."""

    def __init__(self, url: str, members: Iterable[Member], instruments: Iterable[InstrumentView]) -> None:
        self.members = tuple(members)
        self.instruments = {each.instrument_id: each for each in instruments}
        self._url = url

    async def perform(self) -> None:
        """Until every bot has ended; what one of them fails with is logged, the others go on."""
        async with anyio.create_task_group() as tasks:
            for member in self.members:
                tasks.start_soon(self._perform, member)

    def stop(self) -> None:
        """Let every bot end."""
        for member in self.members:
            member.bot.stop()

    async def cancel_orders(self) -> int:
        """Cancel whatever is open, each team by itself; the number of orders open after that."""
        left = 0
        for member in self.members:
            async with ExchangeClient(HttpTransport(self._url, member.api_key)) as client:
                await client.cancel_all()
                left += len(await client.open_orders())
        return left

    async def close(self) -> None:
        """Give back every connection, also of bots that were cut off."""
        for member in self.members:
            await member.client.close()

    async def _perform(self, member: Member) -> None:
        try:
            await member.bot.run()
        except Exception:
            _LOG.exception("%s fell off the stage", member.part.name)


async def engage(url: str, admin_key: str, cast: Iterable[Part], meter: Meter, seed: int) -> Troupe:
    """Register a team for each part and make its bot; raises ExchangeError."""
    now_s = asyncio.get_running_loop().time
    members = []
    async with ExchangeClient(HttpTransport(url)) as guest:
        instruments = await guest.instruments()
    async with OperatorClient(HttpTransport(url, admin_key)) as operator:
        for part in cast:
            team = await operator.add_team(part.name, part.role)
            client = MeteredClient(part.transport(url, team.api_key), meter, now_s)
            rng = random_stream(seed, f"demo.{part.name}")
            bot = part.make(client, rng, part.instruments(instruments))
            members.append(Member(part, team.api_key, client, bot))
    return Troupe(url, members, instruments)
