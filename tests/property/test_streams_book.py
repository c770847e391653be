"""A client of a public channel ends equal to a fresh snapshot, whatever was dropped, resumed or conflated."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine.book import Book
from exchange.engine.tape import Tapes
from exchange.engine.venue import Venue
from exchange.model.commands import AnyCommand, CancelOrders, CancelScope, Record, SetPhase
from exchange.model.phases import MarketPhases
from exchange.model.types import CancelReason, Phase, SelfTradePrevention, Side, TimeInForce
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.pipeline.market_feeds import MarketFeeds, Markets
from exchange.pipeline.streams import ConflatedFeed, PublicFeed, Ring
from exchange.wire.events import AnyEvent
from tests.oracle.actions import (
    ACCOUNTS,
    INSTRUMENTS,
    PHASES_CHOSEN,
    Reference,
    new_order,
    order_terms,
    records,
    rules,
)
from tests.support.market_client import MarketClient
from tests.support.markets import EPOCH, open_view
from tests.support.sockets import FRAMERS, FakeOutlet, listener

EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "40"))
DEPTHS = (1, 2)
RING = 4
BOOKS = ("book.X", "book.X.1", "book.X.2", "orders.X")
CHANNELS = (*BOOKS, "ticker.X", "status.X", "candles.X.1s", "candles.X.1m")


class Floor:
    """A venue, its channels, and what the publisher does with each turn of the loop."""

    def __init__(self) -> None:
        self.rules = rules(SelfTradePrevention.CANCEL_TAKER)
        self.venue = Venue(self.rules)
        self.hub = Hub(FRAMERS)
        tapes = Tapes(INSTRUMENTS, daily=True)
        views = {each.instrument_id: open_view(each, tapes) for each in self.rules.instruments}
        self.feeds = {name: MarketFeeds(view, EPOCH, 0, DEPTHS) for name, view in views.items()}
        self.markets = Markets(self.feeds.values(), tapes, MarketPhases(Phase.CONTINUOUS))
        self.channels: dict[str, PublicFeed] = {feed.name: feed for feed in self.markets.channels()}
        for feed in self.channels.values():
            feed._ring = Ring(RING)
        self.now_us = 0

    def turn(self, batch: Sequence[Record]) -> None:
        """One turn of the loop in which ``batch`` was published, each command in its slices."""
        self.now_us += 400_000
        for each in batch:
            record = Record(each.sequence, self.now_us, each.command)
            for events in self.venue.steps(record):
                self.markets.take(record, events)
        self.hub.begin_round()
        for feed in self.markets.turn():
            self.hub.tell(feed, feed.news(self.now_us))

    def fresh(self, channel: str) -> MarketClient:
        """A client that subscribes now."""
        client, feed = MarketClient(channel), self.channels[channel]
        feed.light()
        _take(client, feed.begin()[0])
        return client


def _take(client: MarketClient, messages: Iterator[AnyEvent]) -> None:
    for message in messages:
        client.take(msgspec.to_builtins(message))


class Watcher:
    """A client of one channel over sockets that come and go."""

    def __init__(self, floor: Floor, channel: str, conflate_ms: int | None) -> None:
        self.floor = floor
        self.client = MarketClient(channel)
        self.feed = floor.channels[channel]
        self.conflate_ms = conflate_ms
        self.outlet: FakeOutlet | None = None
        self.connection: Connection | None = None

    def connect(self) -> None:
        known = self.client.known
        if self.client.channel not in BOOKS and self.client.last is None:
            known = None
        if known is not None and known < self.feed.oldest_resume:
            self.client.restart()
            known = None
        if known is None and self.client.channel not in BOOKS:
            # The answer to a subscribe says so.
            self.client.known = self.feed.last_seq
        self.outlet, self.connection = listener(self.floor.hub)
        self.floor.hub.subscribe(self.connection, self.feed, known, self.conflate_ms)
        self.floor.hub.advance(self.connection)

    def read(self) -> None:
        if self.outlet is not None:
            for message in self.outlet.read():
                self.client.take(message)

    def cut(self, kept: int) -> None:
        """What was on the way is lost beyond what had arrived."""
        if self.outlet is not None and self.connection is not None:
            self.outlet.unsent = self.outlet.unsent[:kept]
            self.read()
            self.floor.hub.closed(self.connection)
            self.outlet = self.connection = None


def _traffic(rng: random.Random, count: int) -> list[AnyCommand | Reference]:
    """Commands for a market that is never quiet: Hypothesis by itself makes short lists of small things."""
    return [_action(rng) for _ in range(count)]


def _action(rng: random.Random) -> AnyCommand | Reference:
    kind, account = rng.random(), rng.choice(ACCOUNTS)
    if kind < 0.30:
        seed, side, quantity = rng.randint(0, 1_000_000), rng.choice(list(Side)), rng.randint(1, 9)
        return order_terms(seed, account, "X", side, quantity, rng.randint(97, 103))
    if kind < 0.60:
        price = None if rng.random() < 0.1 else rng.randint(97, 103)
        times = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC)
        return new_order(account, "X", rng.choice(list(Side)), price, rng.randint(1, 9), rng.choice(times))
    if kind < 0.75:
        return Reference(rng.randint(0, 9), False, amend=False)
    if kind < 0.93:
        price = rng.choice((None, rng.randint(97, 103)))
        return Reference(rng.randint(0, 9), False, True, rng.choice((None, rng.randint(1, 15))), price)
    if kind < 0.96:
        return CancelOrders(account, (CancelScope("X"),), CancelReason.OPERATOR)
    return SetPhase(rng.choice(PHASES_CHOSEN), "test")


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), conflate_ms=st.sampled_from((None, 1, 1_000)), restless=st.floats(0, 0.4))
def test_market_client_ends_equal_to_a_fresh_snapshot(
    seed: int, conflate_ms: int | None, restless: float
) -> None:
    """Every channel, plain and conflated: no gap, no repetition, the right checksum, the same state."""
    rng, floor = random.Random(seed), Floor()
    watchers = [Watcher(floor, channel, conflate_ms) for channel in CHANNELS]
    sequence = list(records(_traffic(rng, 120)))
    now_ns = 0
    while sequence:
        size = rng.randint(1, 4)
        batch, sequence = sequence[:size], sequence[size:]
        floor.turn(batch)
        now_ns += 600_000_000
        if rng.random() < 0.4:
            floor.hub.tell_conflated(now_ns)
        for watcher in watchers:
            if watcher.connection is None:
                watcher.connect()
            elif rng.random() < restless:
                watcher.cut(rng.randint(0, 3))
            elif rng.random() < 0.5:
                watcher.read()
    for watcher in watchers:
        if watcher.connection is None:
            watcher.connect()
    floor.hub.tell_conflated(now_ns + 10_000_000_000)
    for watcher in watchers:
        assert watcher.connection is not None
        # One whose place in the stream is no longer kept began anew.
        floor.hub.advance(watcher.connection)
        watcher.read()
        assert watcher.client.known == watcher.feed.last_seq
        assert watcher.client.state == floor.fresh(watcher.client.channel).state


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 5))
def test_market_snapshots_are_the_books_of_the_venue(seed: int, size: int) -> None:
    """After every turn: depth limited to what is seen, every order in its place, the same indicative."""
    floor = Floor()
    sequence = list(records(_traffic(random.Random(seed), 80)))
    while sequence:
        batch, sequence = sequence[:size], sequence[size:]
        floor.turn(batch)
        book = floor.venue._books["X"]
        for suffix, levels in (("", 100), (".1", 1), (".2", 2)):
            client = floor.fresh(f"book.X{suffix}")
            depth = floor.venue.depth("X", levels)
            assert client.bids == {price / 100: lots for price, lots in depth.bids}
            assert client.asks == {price / 100: lots for price, lots in depth.asks}
        assert floor.feeds["X"].view.indicative() == floor.venue.indicative("X")
        orders = floor.fresh("orders.X")
        assert _queues(orders.bids) == _truth(book, Side.BUY)
        assert _queues(orders.asks) == _truth(book, Side.SELL)


def _queues(places: dict[float, list[float]]) -> dict[float, list[int]]:
    queues: dict[float, list[int]] = defaultdict(list)
    for _, (price, lots) in sorted(places.items()):
        queues[price].append(int(lots))
    return dict(queues)


def _truth(book: Book, side: Side) -> dict[float, list[int]]:
    queues: dict[float, list[int]] = defaultdict(list)
    orders = (book.bids if side is Side.BUY else book.asks).orders()
    for order in orders:
        if 90 < order.price_ticks < 110:
            queues[order.price_ticks / 100].append(order.remaining)
    return dict(queues)


def test_market_every_channel_but_trades_can_be_conflated() -> None:
    """Of a trade that was left out nothing tells; of everything else the outcome does."""
    floor = Floor()
    plain = {feed.name for feed in floor.channels.values() if not isinstance(feed, ConflatedFeed)}
    assert plain == {"trades.X", "trades.Y"}
