"""No interleaving of orders, amends, cancels and fills lets a reduce-only order do more than reduce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    CancelScope,
    NewOrder,
    OrderTerms,
    Record,
)
from exchange.model.events import AnyVenueEvent, Traded
from exchange.model.instrument import Instrument
from exchange.model.roles import Role
from exchange.model.rules import Bands, GameRules
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.support.staged import Staged

ACCOUNTS = (1, 2)


def _rules(mode: SelfTradePrevention) -> GameRules:
    instrument = Instrument(
        instrument_id="X",
        kind=InstrumentKind.INDEX,
        tick_size="0.01",
        multiplier=1,
        first_price_ticks=3,
    )
    return GameRules(
        preset="test",
        instruments=(instrument,),
        roles=(Role(name="trader"),),
        bands=Bands(enabled=False),
        self_trade_prevention=mode,
    )


class Change(NamedTuple):
    """An amend, or a cancel without ``quantity`` and ``price_ticks``, of one of the orders there were."""

    pick: int
    quantity: int | None
    price_ticks: int | None


Step: TypeAlias = NewOrder | Change | CancelOrders | str


@st.composite
def _orders(draw: st.DrawFn) -> NewOrder:
    """Few prices, so that most orders meet; every second one is reduce-only."""
    price_ticks = draw(st.sampled_from([2, 2, 3, 4, None]))
    stop_price_ticks = draw(st.sampled_from([None, None, None, 2, 4]))
    reduce_only = draw(st.booleans())
    kinds = {
        (True, False): OrderType.LIMIT,
        (False, False): OrderType.MARKET,
        (True, True): OrderType.STOP_LIMIT,
        (False, True): OrderType.STOP,
    }
    order_type = kinds[price_ticks is not None, stop_price_ticks is not None]
    quantity = draw(st.integers(1, 6))
    display_quantity = draw(st.sampled_from([None, 1])) if order_type is OrderType.LIMIT else None
    terms = OrderTerms(
        stop_price_ticks=stop_price_ticks, display_quantity=display_quantity, reduce_only=reduce_only
    )
    return NewOrder(
        draw(st.sampled_from(ACCOUNTS)),
        "X",
        draw(st.sampled_from(Side)),
        order_type,
        price_ticks,
        quantity,
        TimeInForce.IOC if order_type is OrderType.MARKET else TimeInForce.GTC,
        None,
        "r",
        None if terms == OrderTerms() else terms,
    )


_CHANGES = st.builds(
    Change,
    st.integers(0, 11),
    st.one_of(st.none(), st.integers(1, 9)),
    st.sampled_from([None, 2, 3, 4]),
)
_MASS_CANCELS = st.builds(
    lambda account, side: CancelOrders(account, (CancelScope("X", side),), CancelReason.REQUESTED, "r"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(Side),
)
_STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(_orders(), _orders(), _orders(), _CHANGES, st.sampled_from(["match", "settle"]), _MASS_CANCELS),
    min_size=10,
    max_size=60,
)


class Game(Staged):
    """The services and the venue with the queues between them, and what the reduce-only orders did."""

    def __init__(self, mode: SelfTradePrevention) -> None:
        self.orders: list[Record] = []
        self.reduced = 0
        self._held: dict[int, int] = {}
        super().__init__(_rules(mode), "trader")

    def take(self, step: Step) -> None:
        """One thing happens."""
        if step == "match":
            self.match()
        elif step == "settle":
            self.settle()
        elif isinstance(step, Change):
            self.change(step)
        else:
            assert not isinstance(step, str)
            verdict = self.enter(step)
            if isinstance(step, NewOrder) and isinstance(verdict, Record):
                self.orders.append(verdict)

    def change(self, change: Change) -> None:
        if not self.orders:
            return
        record = self.orders[-1 - change.pick % len(self.orders)]
        assert isinstance(record.command, NewOrder)
        account, order_id = record.command.account, record.sequence
        if change.quantity is None and change.price_ticks is None:
            self.enter(CancelOrder(account, order_id, "X", "r"))
            return
        self.enter(AmendOrder(account, order_id, "X", change.quantity, change.price_ticks, "r"))

    def before_settling(self, events: Sequence[AnyVenueEvent]) -> None:
        self._held = {account: self.core.exposure.position(account, "X") for account in ACCOUNTS}
        for event in events:
            if isinstance(event, Traded) and event.maker_account != event.taker_account:
                self._watch(event)

    def _watch(self, trade: Traded) -> None:
        """Follow the positions through the trades of one command: each reduce-only fill only reduces."""
        for account, order_id, side in (
            (trade.maker_account, trade.maker_order_id, trade.taker_side.opposite),
            (trade.taker_account, trade.taker_order_id, trade.taker_side),
        ):
            before = self._held[account]
            after = self._held[account] = before + side.sign * trade.quantity
            order = self.core.register.get(order_id)
            assert order is not None
            if order.command.all_terms.reduce_only:
                self.reduced += 1
                assert abs(after) < abs(before), (before, after)
                assert after * before >= 0, (before, after)


@settings(max_examples=150)
@given(_STEPS, st.sampled_from(SelfTradePrevention), st.sampled_from(ACCOUNTS))
def test_reduce_only_order_never_turns_a_position_round(
    steps: list[Step], mode: SelfTradePrevention, long: int
) -> None:
    """Whatever is in flight, each of its fills brings the position nearer to nothing, and none past it."""
    game = Game(mode)
    for order in (_order(long, Side.BUY, 8), _order(3 - long, Side.SELL, 8)):
        game.enter(order)
        game.drain()
    for step in steps:
        game.take(step)
        exposure = game.core.exposure
        for account in ACCOUNTS:
            for side in Side:
                if exposure.reducing_orders(account, "X", side):
                    reducible = -side.sign * exposure.position(account, "X")
                    assert exposure.open_quantity(account, "X", side) <= reducible
    game.drain()
    for account in ACCOUNTS:
        game.enter(CancelOrders(account, (CancelScope(),), CancelReason.REQUESTED, "r"))
    game.drain()
    assert game.core.exposure.reduce_only_orders == 0
    assert [game.core.exposure.stop_orders(account, "X") for account in ACCOUNTS] == [0, 0]


def _order(account: int, side: Side, quantity: int, *, reduce_only: bool = False) -> NewOrder:
    return NewOrder(
        account,
        "X",
        side,
        OrderType.LIMIT,
        3,
        quantity,
        TimeInForce.GTC,
        None,
        "r",
        OrderTerms(reduce_only=True) if reduce_only else None,
    )


@pytest.mark.parametrize("reduce_only", [True, False])
def test_reduce_only_fills_are_seen_by_the_property(reduce_only: bool) -> None:
    """Control: what the property watches happens, and an order that is not held to it does turn it round."""
    game = Game(SelfTradePrevention.CANCEL_TAKER)
    for order in (
        _order(1, Side.BUY, 4),
        _order(2, Side.SELL, 4),
        _order(1, Side.SELL, 2, reduce_only=reduce_only),
        _order(1, Side.SELL, 3),
        _order(2, Side.BUY, 9),
    ):
        game.enter(order)
        game.drain()
    assert game.reduced == reduce_only
    assert game.core.exposure.position(1, "X") == (2 if reduce_only else -1)
