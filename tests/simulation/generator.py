"""What clients and operators ask for. A new kind of command is one function and one row of ACTIONS."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import TypeAlias

import msgspec

from exchange.model.commands import (
    HOUSE_ACCOUNT,
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    GuardOrders,
    NewOrder,
    RegisterTeam,
    RotateKey,
    SetPhase,
)
from exchange.model.types import CancelReason, OrderType, Phase, Side, TimeInForce
from exchange.services.game.keys import hash_key
from tests.oracle.actions import INSTRUMENTS
from tests.simulation.books import Books
from tests.simulation.rules import PRICES, ROLES

OPERATOR = HOUSE_ACCOUNT
_RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY)


class Asked(msgspec.Struct, frozen=True):
    """A command and the team whose request it is."""

    command: AnyCommand
    account: int


class Generator:
    """Makes commands from a seeded stream and from what it has heard: orders, teams, the phase."""

    def __init__(self, chance: Random, books: Books) -> None:
        self.chance = chance
        self.books = books
        self.accounts: list[int] = []
        self.keys: dict[int, str] = {}
        self.entered: list[tuple[int, NewOrder]] = []
        """Orders acknowledged, and the numbers they got."""
        self.phase = Phase.CONTINUOUS
        self.disabled: set[int] = set()
        self._sent: list[NewOrder] = []
        self._made = 0

    def next(self) -> Asked:
        """One more."""
        return self.chance.choices(_MAKERS, cum_weights=_WEIGHTS)[0](self)

    def calm(self) -> Asked:
        """What leads back to continuous trading."""
        phase = Phase.REOPENING if self.phase is Phase.HALTED else Phase.CONTINUOUS
        return Asked(SetPhase(phase, "simulation"), OPERATOR)

    # --- what the makers below share --------------------------------------------------------------

    def number(self) -> int:
        """A number of its own for each thing that is made."""
        self._made += 1
        return self._made

    def account(self) -> int:
        return self.chance.choice(self.accounts)

    def instrument(self) -> str:
        return self.chance.choice(INSTRUMENTS)

    def side(self) -> Side:
        return self.chance.choice((Side.BUY, Side.SELL))

    def order(
        self, time_in_force: TimeInForce, price_ticks: int | None, quantity: int | None = None
    ) -> NewOrder:
        """A new order; most have an id of their client's."""
        number = self.number()
        order = NewOrder(
            self.account(),
            self.instrument(),
            self.side(),
            OrderType.MARKET if price_ticks is None else OrderType.LIMIT,
            price_ticks,
            quantity or self.chance.randint(1, 9),
            time_in_force,
            f"c{number}" if self.chance.random() < 0.7 else None,
            f"r{number}",
        )
        self._sent.append(order)
        return order

    def price(self) -> int:
        return self.chance.choice(PRICES)

    def known(self) -> tuple[int, NewOrder]:
        """An order that was acknowledged; mostly one that is live, as far as anyone was told."""
        live = self.books.live[self.account()]
        if live and self.chance.random() < 0.8:
            order_id = self.chance.choice(tuple(live))
            return order_id, self.books.orders[order_id].command
        return self.chance.choice(self.entered)

    def sent(self) -> NewOrder | None:
        """An order with a client's id that was sent before, answered or not."""
        young = [each for each in self._sent[-40:] if each.client_order_id is not None]
        return self.chance.choice(young) if young else None


Maker: TypeAlias = Callable[[Generator], Asked]


def _limit(make: Generator) -> Asked:
    order = make.order(make.chance.choice(_RESTING), make.price())
    return Asked(order, order.account)


def _immediate(make: Generator) -> Asked:
    order = make.order(TimeInForce.IOC, make.price())
    return Asked(order, order.account)


def _market(make: Generator) -> Asked:
    order = make.order(TimeInForce.IOC, None)
    return Asked(order, order.account)


def _huge(make: Generator) -> Asked:
    order = make.order(TimeInForce.GTC, make.price(), make.chance.randint(15, 45))
    return Asked(order, order.account)


def _resend(make: Generator) -> Asked:
    order = make.sent()
    if order is None:
        return _limit(make)
    if make.chance.random() < 0.1:
        order = msgspec.structs.replace(order, quantity=order.quantity + 1)
    return Asked(msgspec.structs.replace(order, request_id=f"r{make.number()}"), order.account)


def _cancel(make: Generator) -> Asked:
    if not make.entered:
        return _limit(make)
    order_id, order = make.known()
    account = make.account() if make.chance.random() < 0.05 else order.account
    return Asked(CancelOrder(account, order_id, order.instrument_id, f"r{make.number()}"), account)


def _amend(make: Generator) -> Asked:
    if not make.entered:
        return _limit(make)
    order_id, order = make.known()
    quantity = max(1, order.quantity + make.chance.randint(-4, 3)) if make.chance.random() < 0.8 else None
    price_ticks = make.price() if quantity is None or make.chance.random() < 0.4 else None
    amend = AmendOrder(
        order.account, order_id, order.instrument_id, quantity, price_ticks, f"r{make.number()}"
    )
    return Asked(amend, order.account)


def _mass_cancel(make: Generator) -> Asked:
    account = make.account()
    scope = CancelScope(make.chance.choice((None, *INSTRUMENTS)), make.chance.choice((None, *Side)))
    request_id = f"r{make.number()}"
    return Asked(CancelOrders(account, (scope,), CancelReason.REQUESTED, request_id), account)


def _operator_cancel(make: Generator) -> Asked:
    command = CancelOrders(make.account(), (CancelScope(),), CancelReason.OPERATOR, f"r{make.number()}")
    return Asked(command, OPERATOR)


def _disable(make: Generator) -> Asked:
    return Asked(DisableTeam(make.account(), True, "simulation", f"r{make.number()}"), OPERATOR)


def _enable(make: Generator) -> Asked:
    if not make.disabled:
        return _limit(make)
    account = make.chance.choice(sorted(make.disabled))
    return Asked(DisableTeam(account, False, "simulation", f"r{make.number()}"), OPERATOR)


def _phase(make: Generator) -> Asked:
    return Asked(SetPhase(make.chance.choice(tuple(Phase)), "simulation"), OPERATOR)


def _instrument_phase(make: Generator) -> Asked:
    phase = make.chance.choice((Phase.HALTED, Phase.HALTED, Phase.REOPENING, Phase.CONTINUOUS))
    return Asked(SetPhase(phase, "simulation", make.instrument()), OPERATOR)


def _rotate(make: Generator) -> Asked:
    account, key = make.account(), f"key{make.number()}"
    make.keys[account] = key
    return Asked(RotateKey(account, hash_key(key), f"r{make.number()}"), OPERATOR)


def _register(make: Generator) -> Asked:
    return register(make)


def register(make: Generator) -> Asked:
    """A new team; its key is known by its name."""
    number = make.number()
    role = ROLES[number % len(ROLES)].name
    command = RegisterTeam(f"Team {number}", role, hash_key(f"key{number}"), f"r{number}", by_operator=True)
    return Asked(command, OPERATOR)


def _guard(make: Generator) -> Asked:
    account = make.account()
    against = make.chance.choice((CancelReason.DISCONNECTED, CancelReason.DEAD_MAN_SWITCH))
    return Asked(GuardOrders(account, against, True, f"r{make.number()}"), account)


ACTIONS: tuple[tuple[float, Maker], ...] = (
    (40, _limit),
    (8, _immediate),
    (4, _market),
    (2, _huge),
    (5, _resend),
    (14, _cancel),
    (16, _amend),
    (1, _mass_cancel),
    (0.3, _operator_cancel),
    (0.2, _disable),
    (3, _enable),
    (0.3, _phase),
    (0.3, _instrument_phase),
    (0.2, _rotate),
    (0.02, _register),
    (0.3, _guard),
)
"""How often, and what."""

_WEIGHTS = list(accumulate(weight for weight, _ in ACTIONS))
_MAKERS = [maker for _, maker in ACTIONS]
