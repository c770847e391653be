"""Random commands for books: few prices and small quantities, so that orders cross and queue all the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import msgspec
from hypothesis import strategies as st

from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    NewOrder,
    OrderTerms,
    Record,
    SetPhase,
)
from exchange.model.instrument import Instrument
from exchange.model.rules import Bands, Closing, ClosingCancels, GameRules
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

INSTRUMENTS = ("X", "Y")
ACCOUNTS = (1, 2, 3)
CALLS = (Phase.PRE_OPEN, Phase.REOPENING, Phase.PRE_CLOSE)
PHASES_CHOSEN = (*CALLS, *CALLS, *Phase)


class Reference(msgspec.Struct, frozen=True):
    """A cancel or amend of the order that was entered ``back`` orders ago; the account may not be its own."""

    back: int
    foreign: bool
    amend: bool
    quantity: int | None = None
    price_ticks: int | None = None
    stop_price_ticks: int | None = None


def rules(prevention: SelfTradePrevention, closing_cancels: ClosingCancels = ClosingCancels.ALL) -> GameRules:
    """Two instruments without bands."""
    instruments = tuple(
        Instrument(
            instrument_id=each,
            kind=InstrumentKind.INDEX,
            tick_size="0.01",
            multiplier=100,
            first_price_ticks=100,
        )
        for each in INSTRUMENTS
    )
    return GameRules(
        preset="test",
        instruments=instruments,
        roles=(),
        bands=Bands(enabled=False),
        self_trade_prevention=prevention,
        closing=Closing(cancels=closing_cancels),
    )


def new_order(
    account: int, instrument_id: str, side: Side, price_ticks: int | None, quantity: int, tif: TimeInForce
) -> NewOrder:
    """A limit order, or a market order without a price."""
    order_type = OrderType.MARKET if price_ticks is None else OrderType.LIMIT
    return NewOrder(account, instrument_id, side, order_type, price_ticks, quantity, tif, None, "")


_accounts = st.sampled_from(ACCOUNTS)
_instruments = st.sampled_from(("X", "X", "X", "Y"))
_sides = st.sampled_from(Side)
_prices = st.integers(98, 102)
_quantities = st.integers(1, 9)
_labels = st.sampled_from((None, None, "a", "b"))
_scopes = st.lists(
    st.builds(CancelScope, st.none() | _instruments, st.none() | _sides, _labels), min_size=0, max_size=3
).map(tuple)
_expiries = st.integers(1, 5)

_orders = st.builds(
    new_order,
    _accounts,
    _instruments,
    _sides,
    st.one_of(_prices, _prices, _prices, st.none()),
    _quantities,
    st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC)),
)
_RESTING = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD)


def order_terms(
    seed: int,
    account: int,
    instrument_id: str,
    side: Side,
    quantity: int,
    price_ticks: int,
    times_in_force: Sequence[TimeInForce] = (*_RESTING, TimeInForce.IOC, TimeInForce.FOK),
) -> NewOrder:
    """A limit order or stop with terms of every kind that fit together, from a seed."""
    pick = Random(seed)
    is_stop = pick.random() < 0.4
    tif = pick.choice(_RESTING if is_stop else times_in_force)
    rests = tif in _RESTING and not is_stop
    terms = OrderTerms(
        price_ticks + pick.randint(-1, 1) if is_stop else None,
        pick.choice((None, None, *PostOnly)) if rests else None,
        pick.choice((None, pick.randint(1, quantity))) if rests else None,
        False,
        pick.randint(1, 5) if tif is TimeInForce.GTD else None,
        pick.choice((None, None, "a", "b")),
        pick.choice((None, *SelfTradePrevention)),
    )
    order_type = OrderType.LIMIT
    if is_stop:
        order_type = pick.choice((OrderType.STOP, OrderType.STOP_LIMIT))
    price = None if order_type is OrderType.STOP else price_ticks
    return NewOrder(account, instrument_id, side, order_type, price, quantity, tif, None, "", terms)


_orders_with_terms = st.builds(
    order_terms,
    st.integers(0, 1_000_000),
    _accounts,
    _instruments,
    _sides,
    _quantities,
    _prices,
    st.just((*_RESTING, *TimeInForce)),
)


_cancels = st.builds(Reference, st.integers(0, 9), st.sampled_from((False, False, True)), st.just(False))
_amends = st.builds(
    Reference,
    st.integers(0, 9),
    st.sampled_from((False, False, False, True)),
    st.just(True),
    st.none() | st.integers(1, 15),
    st.none() | _prices,
    st.none() | _prices,
)
_sweeping = st.one_of(
    st.builds(CancelOrders, _accounts, _scopes, st.just(CancelReason.PORTFOLIO_LIMIT)),
    st.builds(DisableTeam, _accounts, st.booleans(), st.just(""), st.just("")),
    st.builds(SetPhase, st.sampled_from(PHASES_CHOSEN), st.just("test")),
)
_expiring = st.builds(ExpireOrders, _expiries)

plain_actions = st.lists(st.one_of(_orders, _orders, _orders, _cancels, _amends, _sweeping), max_size=60)
actions = st.lists(
    st.one_of(
        _orders, _orders, _orders_with_terms, _orders_with_terms, _cancels, _amends, _sweeping, _expiring
    ),
    max_size=60,
)


def records(chosen: Sequence[AnyCommand | Reference]) -> Iterator[Record]:
    """Numbered commands; the market is opened again at once after each phase that accepts no orders.

    In a call the orders that follow rest, until another phase comes. An order that validate refuses where the
    market stands comes without what it is refused for.
    """
    entered: list[tuple[int, NewOrder]] = []
    sequence, is_call = 0, False
    for action in chosen:
        sequence += 1
        command = _resolve(action, entered) if isinstance(action, Reference) else action
        if isinstance(command, NewOrder):
            command = _admissible(command, is_call)
            entered.append((sequence, command))
        elif isinstance(command, SetPhase):
            is_call = command.phase in CALLS
        yield Record(sequence, 0, command)
        if isinstance(command, SetPhase) and command.phase not in (*CALLS, Phase.CONTINUOUS):
            sequence += 1
            yield Record(sequence, 0, SetPhase(Phase.CONTINUOUS, "test"))


def _admissible(order: NewOrder, is_call: bool) -> NewOrder:
    only_there = TimeInForce.AT_THE_OPEN if not is_call else TimeInForce.FOK
    if order.time_in_force is only_there:
        order = msgspec.structs.replace(order, time_in_force=TimeInForce.GTC)
    if is_call and order.terms is not None:
        terms = msgspec.structs.replace(order.terms, post_only=None)
        order = msgspec.structs.replace(order, terms=terms)
    return order


def _resolve(action: Reference, entered: list[tuple[int, NewOrder]]) -> AnyCommand:
    order_id, account, instrument_id = 99, 1, "X"
    if entered:
        order_id, order = entered[-1 - action.back % len(entered)]
        account, instrument_id = order.account, order.instrument_id
    if action.foreign:
        account = account % len(ACCOUNTS) + 1
    if action.amend:
        return AmendOrder(
            account,
            order_id,
            instrument_id,
            action.quantity,
            action.price_ticks,
            "",
            action.stop_price_ticks,
        )
    return CancelOrder(account, order_id, instrument_id, "")
