"""What clients and operators ask for. A new kind of command is one function and one row of ACTIONS."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

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
    OrderTerms,
    Quote,
    QuoteSide,
    RegisterTeam,
    RotateKey,
    SetPhase,
    SetProtection,
)
from exchange.model.types import CancelReason, OrderType, Phase, SelfTradePrevention, Side, TimeInForce
from exchange.services.game.keys import hash_key
from tests.oracle.actions import INSTRUMENTS, order_terms
from tests.simulation.books import Books
from tests.simulation.rules import PRICES, ROLES

OPERATOR = HOUSE_ACCOUNT
_RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY)
_WITH_TERMS = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK)
GROUPS = ("q", "r")
LABELS = ("a", "b")


class Asked(msgspec.Struct, frozen=True):
    """A command and the team whose request it is."""

    command: AnyCommand | Quote
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
        self.now_us = 0
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
        order = NewOrder(
            self.account(),
            self.instrument(),
            self.side(),
            OrderType.MARKET if price_ticks is None else OrderType.LIMIT,
            price_ticks,
            quantity or self.chance.randint(1, 9),
            time_in_force,
            None,
            "",
        )
        return self.send(order)

    def send(self, order: NewOrder) -> NewOrder:
        """The order with ids of its own."""
        number = self.number()
        client_order_id = f"c{number}" if self.chance.random() < 0.7 else None
        order = replace(order, client_order_id=client_order_id, request_id=f"r{number}")
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


def _with_terms(make: Generator) -> Asked:
    """Of every kind; most modes that prevent no self-trade are left to the game."""
    chance = make.chance
    order = order_terms(
        chance.randrange(1 << 30),
        make.account(),
        make.instrument(),
        make.side(),
        chance.randint(1, 9),
        make.price(),
        _WITH_TERMS,
    )
    terms = order.all_terms
    if terms.expires_at_us is not None:
        terms = replace(terms, expires_at_us=make.now_us + chance.randint(1, 20_000))
    if terms.self_trade_prevention is SelfTradePrevention.NONE and chance.random() < 0.9:
        terms = replace(terms, self_trade_prevention=None)
    order = make.send(replace(order, terms=terms))
    return Asked(order, order.account)


def _market_whole(make: Generator) -> Asked:
    order = make.order(TimeInForce.FOK, None)
    return Asked(order, order.account)


def _at_the_open(make: Generator) -> Asked:
    if make.phase is not Phase.PRE_OPEN and make.chance.random() < 0.9:
        return _limit(make)
    order = make.order(TimeInForce.AT_THE_OPEN, make.chance.choice((None, make.price())))
    return Asked(order, order.account)


def _reduce_only(make: Generator) -> Asked:
    """Mostly of a position that there is, and no larger than that."""
    order = make.order(make.chance.choice((*_RESTING, TimeInForce.IOC)), make.price())
    held = make.books.positions[order.account, order.instrument_id]
    if held and make.chance.random() < 0.9:
        side = Side.SELL if held > 0 else Side.BUY
        order = replace(order, side=side, quantity=make.chance.randint(1, abs(held)))
    order = make.send(replace(order, terms=OrderTerms(reduce_only=True)))
    return Asked(order, order.account)


def _quote(make: Generator) -> Asked:
    """Mostly both sides, sometimes crossed, too wide or too small."""
    bid_ticks = make.price()
    ask_ticks = bid_ticks + make.chance.choice((1, 1, 1, 2, 2, 3, 4, 0))
    account, name, group = make.account(), make.instrument(), make.chance.choice(GROUPS)
    bid = QuoteSide(bid_ticks, make.chance.randint(1, 9)) if make.chance.random() < 0.9 else None
    ask = QuoteSide(ask_ticks, make.chance.randint(1, 9)) if make.chance.random() < 0.9 else None
    return Asked(Quote(account, name, group, bid, ask, f"q{make.number()}"), account)


def _protect(make: Generator) -> Asked:
    account, chance = make.account(), make.chance
    fills, lots = chance.choice((None, 1, 2, 3)), chance.choice((None, None, 3, 8))
    window_us, frozen_us = chance.choice((500, 5_000, 100_000)), chance.choice((0, 3_000, 20_000))
    command = SetProtection(
        account, chance.choice(GROUPS), fills, lots, window_us, frozen_us, f"r{make.number()}"
    )
    return Asked(command, account)


def _resend(make: Generator) -> Asked:
    order = make.sent()
    if order is None:
        return _limit(make)
    if make.chance.random() < 0.1:
        order = replace(order, quantity=order.quantity + 1)
    return Asked(replace(order, request_id=f"r{make.number()}"), order.account)


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
    stop_price_ticks = None
    if order.order_type.is_stop and make.chance.random() < 0.5:
        stop_price_ticks = make.price()
    if not order.order_type.has_price:
        price_ticks = None
    request_id = f"r{make.number()}"
    amend = AmendOrder(
        order.account, order_id, order.instrument_id, quantity, price_ticks, request_id, stop_price_ticks
    )
    return Asked(amend, order.account)


def _mass_cancel(make: Generator) -> Asked:
    account = make.account()
    scope = CancelScope(
        make.chance.choice((None, *INSTRUMENTS)),
        make.chance.choice((None, *Side)),
        make.chance.choice((None, None, *LABELS)),
        make.chance.choice((None, None, None, *GROUPS)),
    )
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
    (24, _with_terms),
    (1, _market_whole),
    (2, _at_the_open),
    (4, _reduce_only),
    (8, _quote),
    (1.5, _protect),
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
