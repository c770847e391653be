"""The exchange in virtual time: everything but its sockets and threads, driven by one seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from exchange.app import Exchange
from exchange.base.clock import GAME_START_US, LoopClock
from exchange.base.entropy import SeededEntropy
from exchange.base.streams import random_stream
from exchange.client import ExchangeClient, OperatorClient
from exchange.config import Config
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.journal.records import decode_batches
from exchange.model.commands import Record
from exchange.services.game.keys import new_key
from exchange.simulation.network import DelayedTransport, Network

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARKET_START: Final = _EPOCH + timedelta(microseconds=GAME_START_US)


class Market:
    """A running exchange and the ways to it; made by :func:`open_market`, inside a virtual loop.

    ``exchange``, ``journal`` and ``clock`` are the real ones: whatever they offer can be read, at any moment.
    """

    def __init__(
        self, config: Config, seed: int, start: datetime, network: Network, disk: MemoryFaults
    ) -> None:
        self.seed = seed
        start_us = (start - _EPOCH) // timedelta(microseconds=1)
        self.clock = LoopClock(asyncio.get_running_loop().time, start_us)
        self.journal = MemoryJournal(random_stream(seed, "journal"), disk)
        self._network = network
        self._admin_key = new_key(self.entropy("admin"))
        self.exchange = Exchange(
            config,
            self.journal,
            clock=self.clock,
            entropy=self.entropy("exchange"),
            admin_key=self._admin_key,
        )

    def client(self, name: str, api_key: str | None = None, *, socket: bool = True) -> ExchangeClient:
        """A client of the SDK; ``name`` is unique. Orders go over the socket, or else over HTTP."""
        return ExchangeClient(self.transport(name, api_key, socket=socket), entropy=self.entropy(name))

    def transport(self, name: str, api_key: str | None = None, *, socket: bool = True) -> DelayedTransport:
        """The way from ``name`` to the exchange, for whoever makes a client of another kind."""
        app = self.exchange.api
        return DelayedTransport(app, api_key, self._network, self.seed, name, socket=socket)

    async def add_team(self, name: str, role: str) -> str:
        """Register a team, by the operator; its API key."""
        transport = self.transport(f"operator.{name}", self._admin_key)
        async with OperatorClient(transport, entropy=self.entropy(f"operator.{name}")) as operator:
            return (await operator.add_team(name, role)).api_key

    def entropy(self, name: str) -> SeededEntropy:
        """A source of its own for whoever is called ``name``."""
        return SeededEntropy(random_stream(self.seed, f"entropy.{name}").getrandbits(64))

    def records(self) -> Iterator[Record]:
        """Everything sequenced so far: the state is a function of it, and any study can be made of it."""
        return decode_batches(self.journal.read())

    def now(self) -> datetime:
        """The time in the market."""
        return _EPOCH + timedelta(microseconds=self.clock.now_us())


@asynccontextmanager
async def open_market(
    config: Config,
    seed: int,
    *,
    start: datetime = MARKET_START,
    network: Network | None = None,
    disk: MemoryFaults | None = None,
) -> AsyncIterator[Market]:
    """A market with any rules, from its start until everything accepted is settled and published.

    To be used within :func:`exchange.base.virtual_loop.run_virtual`. ``start`` has a time zone; ``disk``
    says how long a commit takes.
    """
    disk = disk or MemoryFaults(latency_s=0.0005, jitter_s=0.0005)
    market = Market(config, seed, start=start, network=network or Network(), disk=disk)
    await market.exchange.start()
    running = asyncio.create_task(market.exchange.run())
    try:
        yield market
    finally:
        market.exchange.stop()
        await running
        await market.journal.close()
