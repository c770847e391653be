"""A random session over all kinds of commands, its journal as a file, and what a replay of it comes to.

``python -m tests.support.session FILE`` replays a file and prints :func:`digest`: for another interpreter.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from exchange.app import build_core
from exchange.base.clock import SystemClock
from exchange.journal.batch import Batch
from exchange.journal.memory import MemoryJournal
from exchange.model.answers import Answer, OrderAnswer, TeamAnswer
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    NewOrder,
    Quote,
    QuoteSide,
    RegisterTeam,
    RotateKey,
    SetPhase,
    SetProtection,
)
from exchange.model.roles import Fees, PortfolioLimit, PositionLimit, QuoteRules, Role
from exchange.model.types import CancelReason, Phase, Side, TimeInForce
from exchange.pipeline.core import Core
from exchange.pipeline.recovery import Recovered, journal_rules, recover
from exchange.pipeline.streams import PrivateStreams
from exchange.services.game.keys import hash_key
from tests.oracle.actions import order_terms
from tests.support.floor import Floor, new_order

ROLES = (
    Role(
        name="tight", fees=Fees(maker=100, taker=-200), constraints=(PortfolioLimit(max_total_position=20),)
    ),
    Role(
        name="wide",
        fees=Fees(maker=-100, taker=-300),
        constraints=(PositionLimit(max_position=40), PortfolioLimit(max_total_position=60)),
        quotes=QuoteRules(),
    ),
)
PRICES = {"SPX": 440_000, "SPY": 44_000}
TEAMS = 6


class Session:
    """``play`` submits random commands, several at a time, and waits until all is settled."""

    def __init__(self, floor: Floor, seed: int) -> None:
        self._floor = floor
        self._random = random.Random(seed)
        self._accounts: list[int] = []
        self._orders: list[int] = []
        self._made = 0
        self.answers: list[Answer] = []

    async def play(self, commands: int) -> None:
        """At least ``commands`` of clients and operators; system commands come on top."""
        for number in range(TEAMS):
            self._accounts.append(await self._floor.team(f"Team {number}", ROLES[number % 2].name))
        while self._made < commands:
            await self._submit([self._command() for _ in range(self._random.randint(1, 12))])
            if self._random.random() < 0.05:
                await self._halt()

    async def _submit(self, commands: list[AnyCommand | Quote]) -> None:
        self._made += len(commands)
        answers = await asyncio.gather(*(self._floor.execute(command) for command in commands))
        self.answers += answers
        self._orders += [answer.order_id for answer in answers if isinstance(answer, OrderAnswer)]
        self._accounts += [
            answer.account
            for command, answer in zip(commands, answers, strict=True)
            if isinstance(command, RegisterTeam) and isinstance(answer, TeamAnswer)
        ]

    async def _halt(self) -> None:
        path = self._floor.exchange.path
        path.submit_system(SetPhase(Phase.HALTED, "session"))
        await self._submit([self._command() for _ in range(5)])
        path.submit_system(SetPhase(Phase.REOPENING, "session"))
        await self._submit([self._command() for _ in range(5)])
        path.submit_system(SetPhase(Phase.CONTINUOUS, "session"))
        await self._submit([self._operate(self._account())])

    def _command(self) -> AnyCommand | Quote:
        choice = self._random.random()
        if choice < 0.1:
            return self._quote()
        if choice < 0.55 or not self._orders:
            return self._order()
        if choice < 0.7:
            return self._cancel()
        if choice < 0.9:
            return self._amend()
        if choice < 0.95:
            name = self._random.choice([None, *PRICES])
            return CancelOrders(self._account(), (CancelScope(name),), CancelReason.REQUESTED)
        return self._operate(self._account())

    def _order(self) -> AnyCommand:
        chance = self._random
        name = chance.choice(list(PRICES))
        price = PRICES[name] + chance.randint(-3, 3)
        if chance.random() < 0.4:
            return self._order_with_terms(name, price)
        return new_order(
            self._account(),
            chance.choice([Side.BUY, Side.SELL]),
            chance.randint(1, 12),
            None if chance.random() < 0.1 else price,
            time_in_force=chance.choice(list(TimeInForce)),
            client_order_id=chance.choice([None, f"c{chance.randrange(200)}"]),
            request_id=f"r{self._made}",
            instrument_id=name,
        )

    def _order_with_terms(self, name: str, price_ticks: int) -> NewOrder:
        chance = self._random
        side, quantity = chance.choice([Side.BUY, Side.SELL]), chance.randint(1, 12)
        order = order_terms(chance.randrange(10_000), self._account(), name, side, quantity, price_ticks)
        terms = order.all_terms
        if terms.expires_at_us is not None:
            ends_us = SystemClock().now_us() + 3_600_000_000
            terms = replace(terms, expires_at_us=ends_us)
        if chance.random() < 0.2:
            terms = replace(terms, reduce_only=True)
        return replace(order, terms=terms, request_id=f"r{self._made}")

    def _quote(self) -> Quote:
        chance = self._random
        name = chance.choice(list(PRICES))
        middle = PRICES[name] + chance.randint(-2, 2)
        bid, ask = (QuoteSide(middle + away, chance.randint(1, 5)) for away in (-1, 1))
        return Quote(self._account(), name, chance.choice(["a", "b"]), bid, ask, f"r{self._made}")

    def _cancel(self) -> CancelOrder:
        order = self._floor.exchange.core.register.get(self._order_id())
        assert order is not None
        account = order.command.account if self._random.random() < 0.5 else self._account()
        return CancelOrder(account, order.order_id, "", "r")

    def _amend(self) -> AmendOrder:
        chance = self._random
        order_id = self._order_id()
        order = self._floor.exchange.core.register.get(order_id)
        assert order is not None
        price = PRICES[order.command.instrument_id] + chance.randint(-3, 3)
        quantity, price_ticks = chance.choice([(chance.randint(1, 15), None), (None, price), (5, price)])
        return AmendOrder(order.command.account, order_id, "", quantity, price_ticks, "r")

    def _operate(self, account: int) -> AnyCommand:
        chance = self._random
        self._made += 1
        choices: list[Callable[[], AnyCommand]] = [
            lambda: DisableTeam(account, True, "session", "r"),
            lambda: DisableTeam(account, False, "session", "r"),
            lambda: SetProtection(account, chance.choice("ab"), chance.choice([None, 2]), 9, 10**9, 0, "r"),
            lambda: RotateKey(account, hash_key(f"key{self._made}"), "r"),
            lambda: RegisterTeam(f"More {self._made}", "wide", hash_key(f"new{self._made}"), "r"),
        ]
        return chance.choices(choices, (1, 4, 3, 1, 1))[0]()

    def _account(self) -> int:
        return self._random.choice(self._accounts)

    def _order_id(self) -> int:
        # Mostly young ones: they are more often alive.
        return self._random.choice(self._orders[-30:])


def save(batches: Iterable[Batch], file: Path) -> None:
    """Write a journal as one file."""
    file.write_bytes(msgspec.msgpack.encode(list(batches)))


def digest(core: Core, streams: PrivateStreams) -> str:
    """The state hash, and a hash of every private event of every team."""
    told = hashlib.sha256()
    for team in core.teams.all():
        ring = streams.of(team.account)
        events = ring.after(ring.oldest_resume, ring.last_seq)
        told.update(msgspec.msgpack.encode([team.account, ring.last_seq, events]))
    return f"{core.state_hash()} {told.hexdigest()}"


def replay(batches: Iterable[Batch], until: int | None = None) -> Recovered:
    """What these batches come to."""
    journal = MemoryJournal(random.Random(1), batches=batches)
    rules = journal_rules(journal)
    assert rules is not None
    return recover(journal, rules, build_core, until=until)


if __name__ == "__main__":
    replayed = replay(msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=list[Batch]))
    assert replayed.failure is None
    sys.stdout.write(digest(replayed.core, replayed.streams) + "\n")
