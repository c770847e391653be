"""Quotes under any interleaving: never half of one, no trade with oneself, no limit passed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.app import build_core
from exchange.base.streams import random_stream
from exchange.model.answers import QuoteAnswer
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    CancelScope,
    NewOrder,
    Quote,
    QuoteSide,
    Record,
    SetProtection,
)
from exchange.model.events import (
    AnyPrivateEvent,
    AnyVenueEvent,
    ExecutionReport,
    NewOrderAck,
    OrderCancelled,
    Traded,
)
from exchange.model.instrument import Instrument
from exchange.model.reasons import Refusal
from exchange.model.roles import OrderRate, OrderSize, PositionLimit, QuoteRules, Role
from exchange.model.rules import Bands, GameRules
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.support.staged import NOW_US, Staged

MAKERS, TAKER = (1, 2), 3
ACCOUNTS = (*MAKERS, TAKER)
LIMIT, LARGEST = 12, 6
GROUP = "default"


def _rules(mode: SelfTradePrevention) -> GameRules:
    instrument = Instrument(
        instrument_id="X", kind=InstrumentKind.INDEX, tick_size="0.01", multiplier=1, first_price_ticks=100
    )
    constraints = (
        OrderRate(max_orders_per_second=100),
        OrderSize(max_size=LARGEST),
        PositionLimit(max_position=LIMIT),
    )
    return GameRules(
        preset="test",
        instruments=(instrument,),
        roles=(Role(name="maker", constraints=constraints, quotes=QuoteRules(max_spread_ticks=6)),),
        bands=Bands(enabled=False),
        self_trade_prevention=mode,
    )


class End(NamedTuple):
    """A cancel, or with ``price_ticks`` an amend, of one of the last orders."""

    pick: int
    price_ticks: int | None


Step: TypeAlias = Quote | NewOrder | CancelOrders | SetProtection | End | str

KINDS = (*("quote",) * 6, *("order",) * 3, "end", "cancel", "protect", *("match", "settle") * 4)


def _step(kind: str, random: Random) -> Step:
    """Quotes near one another, so that new sides would often meet old ones; some crossed or too wide."""
    choice, lots = random.choice, random.randint(1, LARGEST)
    account = choice((1, 1, 2))
    match kind:
        case "quote":
            bid, spread = random.randint(97, 102), choice((1, 1, 2, 2, 3, 0, 7))
            sides = (QuoteSide(bid, lots), QuoteSide(bid + spread, random.randint(1, LARGEST)))
            bid_side, ask_side = (side if random.random() < 0.8 else None for side in sides)
            return Quote(account, "X", GROUP, bid_side, ask_side, "q")
        case "order":
            price_ticks, time_in_force = random.randint(97, 104), choice((TimeInForce.IOC, TimeInForce.GTC))
            side = choice((Side.BUY, Side.SELL))
            return NewOrder(TAKER, "X", side, OrderType.LIMIT, price_ticks, lots, time_in_force, None, "r")
        case "end":
            return End(random.randrange(8), choice((None, None, 98, 102)))
        case "cancel":
            scope = CancelScope("X", choice((None, *Side)), None, choice((None, GROUP)))
            return CancelOrders(account, (scope,), CancelReason.REQUESTED, "r")
        case "protect":
            fills, most = choice((None, None, 1, 2)), choice((None, 4))
            return SetProtection(account, GROUP, fills, most, 30, choice((0, 40)), "p")
        case _:
            return kind


def _steps(seed: int, count: int) -> list[Step]:
    random = random_stream(seed, "quotes")
    return [_step(random.choice(KINDS), random) for _ in range(count)]


SHORT = st.lists(
    st.builds(lambda kind, seed: _step(kind, Random(seed)), st.sampled_from(KINDS), st.integers(0, 10_000)),
    max_size=40,
)
LONG = st.integers(0, 10_000).map(lambda seed: _steps(seed, 150))
STEPS = SHORT | LONG
"""Short ones shrink to something readable, long ones meet more."""
MODES = st.sampled_from([SelfTradePrevention.CANCEL_TAKER, SelfTradePrevention.NONE])


class Game(Staged):
    """Makers that only quote and a taker, with the queues between the stages; time goes on with each step."""

    def __init__(self, mode: SelfTradePrevention) -> None:
        self.now_us = NOW_US
        self.asked: dict[tuple[int, Side], tuple[int | None, QuoteSide | None]] = {}
        """By side: the order and the terms of the last accepted quote, unless something else ended it."""
        self.outcomes: list[QuoteAnswer | Refusal] = []
        super().__init__(_rules(mode), "maker", teams=3)

    def take(self, step: Step) -> None:
        """One thing happens."""
        self.now_us += 10
        if step == "match":
            self.match()
        elif step == "settle":
            self.settle()
        elif isinstance(step, Quote):
            self.ask(step)
        elif isinstance(step, End):
            self.end(step)
        elif isinstance(step, (NewOrder, CancelOrders, SetProtection)):
            self.enter(step, self.now_us)
            if isinstance(step, CancelOrders):
                for side in Side:
                    if step.scopes[0].side in (None, side):
                        self.asked.pop((step.account, side), None)

    def ask(self, quote: Quote) -> None:
        before = len(self.records)
        answer = self.quote(quote, self.now_us)
        self.outcomes.append(answer)
        if isinstance(answer, Refusal):
            assert len(self.records) == before
            return
        for side, order_id, terms in (
            (Side.BUY, answer.bid_order_id, quote.bid),
            (Side.SELL, answer.ask_order_id, quote.ask),
        ):
            assert (order_id is None) is (terms is None)
            self.asked[quote.account, side] = order_id, terms

    def end(self, end: End) -> None:
        orders = [record for record in self.records if isinstance(record.command, NewOrder)]
        if not orders:
            return
        record = orders[-1 - end.pick % len(orders)]
        assert isinstance(record.command, NewOrder)
        account, side, order_id = record.command.account, record.command.side, record.sequence
        if end.price_ticks is None:
            self.enter(CancelOrder(account, order_id, "X", "r"), self.now_us)
            if self.asked.get((account, side), (None,))[0] == order_id:
                del self.asked[account, side]
            return
        verdict = self.enter(AmendOrder(account, order_id, "X", None, end.price_ticks, "r"), self.now_us)
        assert account == TAKER or isinstance(verdict, Refusal)

    def before_settling(self, events: Sequence[AnyVenueEvent]) -> None:
        for event in events:
            if isinstance(event, Traded):
                assert event.maker_account != event.taker_account or event.maker_account == TAKER

    def check(self) -> None:
        """What holds at any moment, whatever is in flight."""
        exposure = self.core.exposure
        assert sum(exposure.position(account, "X") for account in ACCOUNTS) == 0
        for account in ACCOUNTS:
            for side in Side:
                reach = side.sign * exposure.position(account, "X") + exposure.open_quantity(
                    account, "X", side
                )
                assert reach <= LIMIT

    def check_sides(self) -> None:
        """At rest: each side of each last quote is in the book, less its fills, or told to have ended."""
        # A cancel that somebody asked for came before the quote, which then has to do without that order.
        ended = {
            event.order_id
            for event in self.told
            if isinstance(event, OrderCancelled) and event.reason is not CancelReason.REQUESTED
        }
        filled = {
            event.order_id
            for event in self.told
            if isinstance(event, ExecutionReport) and not event.remaining_quantity
        }
        acknowledged = [event.order_id for event in self.told if isinstance(event, NewOrderAck)]
        assert len(acknowledged) == len(set(acknowledged))
        for account in MAKERS:
            for side in Side:
                live = [
                    order
                    for order in self.core.register.open_orders(account, "X")
                    if order.command.side is side
                ]
                assert len(live) <= 1
                if (account, side) not in self.asked:
                    continue
                order_id, terms = self.asked[account, side]
                if terms is None:
                    assert live == []
                elif live:
                    assert live[0].order_id == order_id
                    assert live[0].price_ticks == terms.price_ticks
                    assert 0 < live[0].remaining_quantity <= terms.quantity
                else:
                    assert order_id in ended | filled


def _play(steps: list[Step], mode: SelfTradePrevention) -> Game:
    game = Game(mode)
    for step in steps:
        game.take(step)
        game.check()
    game.drain()
    game.check()
    return game


@settings(max_examples=300)
@given(STEPS, MODES)
def test_quotes_have_both_sides_or_are_told_why_not(steps: list[Step], mode: SelfTradePrevention) -> None:
    """No reject leaves half a quote, its sides never trade with one another, limits are kept."""
    game = _play(steps, mode)
    game.check_sides()
    reasons = {
        event.reason for event in game.told if isinstance(event, OrderCancelled) and event.account in MAKERS
    }
    assert CancelReason.SELF_TRADE not in reasons


@settings(max_examples=100)
@given(STEPS, MODES)
def test_quotes_replay_to_the_same_state(steps: list[Step], mode: SelfTradePrevention) -> None:
    """The journal alone, which knows no quotes, gives the same events and the same state."""
    game = _play(steps, mode)
    told: list[AnyPrivateEvent] = []
    core = build_core(_rules(mode))
    for record in game.records:
        told += core.replay(record).private
    assert told == game.told
    assert core.state_hash() == game.core.state_hash()


def _quote(bid: int, ask: int, quantity: int = 3) -> Quote:
    return Quote(1, "X", GROUP, QuoteSide(bid, quantity), QuoteSide(ask, quantity), "q")


@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("way", [(100, 105, 98), (100, 95, 98)])
def test_quotes_that_come_and_go_in_flight_never_meet(way: tuple[int, ...], is_settled: bool) -> None:
    """Up and then down, or down and then up: the second move is judged by where the first one leads."""
    game = Game(SelfTradePrevention.CANCEL_TAKER)
    for bid in way:
        assert isinstance(game.quote(_quote(bid, bid + 3)), QuoteAnswer)
        if is_settled or bid == way[0]:
            game.drain()
    game.drain()
    depth = game.core.venue.depth("X", 9)
    assert (depth.bids, depth.asks) == (((way[-1], 3),), ((way[-1] + 3, 3),))
    assert not [event for event in game.told if isinstance(event, OrderCancelled)]


def test_quotes_behind_their_own_cancel_are_new_orders() -> None:
    """A cancel is under way when the maker quotes again: both sides are in the book in the end."""
    for cancel in (
        Quote(1, "X", GROUP, None, QuoteSide(103, 3), "q"),
        CancelOrder(1, 5, "X", "r"),
        CancelOrder(1, 6, "X", "r"),
        CancelOrders(1, (CancelScope(quote_group=GROUP),), CancelReason.REQUESTED, "r"),
    ):
        game = Game(SelfTradePrevention.CANCEL_TAKER)
        game.quote(_quote(100, 103))
        game.drain()
        verdict = game.quote(cancel) if isinstance(cancel, Quote) else game.enter(cancel)
        assert not isinstance(verdict, Refusal), verdict
        answer = game.quote(_quote(101, 104))
        assert isinstance(answer, QuoteAnswer)
        game.drain()
        depth = game.core.venue.depth("X", 9)
        assert (depth.bids, depth.asks) == (((101, 3),), ((104, 3),))
        again = game.quote(_quote(100, 103))
        assert isinstance(again, QuoteAnswer)
        assert (again.bid_order_id, again.ask_order_id) == (answer.bid_order_id, answer.ask_order_id)


def test_quotes_keep_quoting_however_much_they_traded() -> None:
    """The size rule counts what is asked for now: fills of earlier quotes do not use it up."""
    game = Game(SelfTradePrevention.CANCEL_TAKER)
    for _ in range(4):
        assert isinstance(game.quote(_quote(100, 103, LARGEST)), QuoteAnswer)
        for side, price_ticks in ((Side.SELL, 100), (Side.BUY, 103)):
            order = NewOrder(
                TAKER, "X", side, OrderType.LIMIT, price_ticks, LARGEST - 1, TimeInForce.IOC, None, "r"
            )
            assert isinstance(game.enter(order), Record)
        game.drain()
    assert game.core.exposure.position(1, "X") == 0
    assert isinstance(game.quote(_quote(100, 103, LARGEST + 1)), Refusal)


def test_quotes_floor_meets_what_it_is_meant_to_test() -> None:
    """Long seeded runs hold the same, with quotes filled, refused, frozen and cancelled."""
    reasons: set[CancelReason] = set()
    codes: set[str] = set()
    for seed in range(20):
        game = _play(_steps(seed, 200), SelfTradePrevention.CANCEL_TAKER)
        game.check_sides()
        reasons |= {event.reason for event in game.told if isinstance(event, OrderCancelled)}
        codes |= {answer.code for answer in game.outcomes if isinstance(answer, Refusal)}
    assert reasons >= {
        CancelReason.REQUESTED,
        CancelReason.AMENDED_BELOW_FILLED,
        CancelReason.MARKET_MAKER_PROTECTION,
    }
    assert codes >= {"QUOTES_FROZEN", "QUOTE_CROSSED", "QUOTE_EMPTY", "POSITION_LIMIT_EXCEEDED"}
