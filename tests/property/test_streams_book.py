"""A client's book, made of a snapshot and the updates after it, is always what a fresh snapshot says."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exchange.engine.depth import Depth
from exchange.model.events import Acknowledged, Cancelled
from exchange.model.types import CancelReason, Side
from exchange.pipeline.book_feed import BookFeed
from exchange.wire.events import BookSnapshot, BookUpdate
from exchange.wire.prices import PriceGrid
from tests.support.sockets import INSTRUMENT

LEVELS = 4
Book = tuple[dict[float, int], dict[float, int]]

# Side, price and quantity of an order; a negative number cancels the order of that age.
order = st.tuples(st.sampled_from(Side), st.integers(1, 12), st.integers(1, 9))
batch = st.lists(st.one_of(order, st.integers(-20, -1)), max_size=6)


def _fresh(feed: BookFeed) -> Book:
    (snapshot,), seq = feed.begin()
    assert isinstance(snapshot, BookSnapshot)
    assert seq == feed.last_seq
    prices = [price for price, _ in snapshot.bids]
    assert prices == sorted(prices, reverse=True)
    assert all(one < two for (one, _), (two, _) in pairwise(snapshot.asks))
    return dict(snapshot.bids), dict(snapshot.asks)


def _apply(book: Book, update: BookUpdate) -> None:
    for levels, changes in zip(book, (update.bids, update.asks), strict=True):
        for price, quantity in changes:
            if quantity:
                levels[price] = quantity
            else:
                levels.pop(price, None)


@given(st.lists(batch, max_size=25), st.integers(0, 10))
def test_book_client_agrees_with_a_fresh_snapshot(batches: list[list[object]], joins_at: int) -> None:
    """With more levels than are seen, and with batches that undo themselves; prev_seq always fits."""
    feed = BookFeed(PriceGrid(INSTRUMENT), Depth((), ()), "e", 0, levels=LEVELS)
    truth: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
    live: dict[int, tuple[Side, int, int]] = {}
    book: Book | None = None
    for number, commands in enumerate(batches):
        if number == joins_at:
            feed.is_kept = True
            book = _fresh(feed)
        for command in commands:
            _carry_out(feed, live, truth, command)
        before = feed.last_seq
        for update in feed.update(number):
            assert (update.prev_seq, update.seq) == (before, before + 1)
            if book is not None:
                _apply(book, update)
        if book is not None:
            assert book == _fresh(feed)
            assert book == _best(truth)


def _carry_out(
    feed: BookFeed,
    live: dict[int, tuple[Side, int, int]],
    truth: dict[Side, dict[int, int]],
    command: object,
) -> None:
    if isinstance(command, tuple):
        side, price, quantity = command
        order_id = len(live) + 1
        live[order_id] = command
        feed.take([Acknowledged(order_id, "SPX", side, price, quantity)])
        truth[side][price] = truth[side].get(price, 0) + quantity
        return
    assert isinstance(command, int)
    order_id = len(live) + command
    if order_id not in live or live[order_id][2] == 0:
        return
    side, price, quantity = live[order_id]
    live[order_id] = (side, price, 0)
    feed.take([Cancelled(order_id, "SPX", side, price, quantity, CancelReason.REQUESTED)])
    truth[side][price] -= quantity
    if not truth[side][price]:
        del truth[side][price]


def _best(truth: dict[Side, dict[int, int]]) -> Book:
    grid = PriceGrid(INSTRUMENT)
    bids = sorted(truth[Side.BUY].items(), reverse=True)[:LEVELS]
    asks = sorted(truth[Side.SELL].items())[:LEVELS]
    return {grid.decimal(p): q for p, q in bids}, {grid.decimal(p): q for p, q in asks}


def test_book_feed_begins_with_the_depth_of_the_venue() -> None:
    """After a replay the book is that of the venue, without an event."""
    feed = BookFeed(PriceGrid(INSTRUMENT), Depth(((440_000, 5),), ((440_100, 2),)), "e", 0)
    assert _fresh(feed) == ({4400.0: 5}, {4401.0: 2})
    feed.take([Cancelled(1, "SPX", Side.BUY, 440_000, 5, CancelReason.REQUESTED)])
    assert [(update.bids, update.asks) for update in feed.update(1)] == [([(4400.0, 0)], [])]
