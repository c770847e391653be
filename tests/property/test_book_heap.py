"""The heap under load: dead entries stay few, the top stays live, totals stay true."""

from collections import Counter
from heapq import heappop

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.base.bounds import MAX_DEAD_ENTRIES, MAX_DEAD_SURFACING
from exchange.base.streams import random_stream
from exchange.engine import book as book_module
from exchange.engine.book import Book, BookSide
from exchange.engine.matching import Matcher, VenueCounters
from exchange.model.types import SelfTradePrevention, Side


def _matcher() -> Matcher:
    return Matcher(Book("X", 100), VenueCounters(), SelfTradePrevention.NONE)


def _check(side: BookSide) -> None:
    assert side.dead == len(side.heap) - len(side.queue)
    assert side.dead <= max(MAX_DEAD_ENTRIES, len(side.queue))
    assert set(side.queue) <= set(side.heap)
    assert not side.heap or side.heap[0] in side.queue
    totals: Counter[int] = Counter()
    for order in side.queue.values():
        assert order.remaining > 0
        totals[order.price_ticks] += order.remaining
    assert side.totals == totals


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    spread=st.sampled_from((1, 5, 200)),
    cancelled=st.sampled_from((0.5, 0.95, 0.999)),
    crossing=st.sampled_from((0.0, 0.05)),
)
def test_heap_keeps_dead_entries_few(seed: int, spread: int, cancelled: float, crossing: float) -> None:
    """Whatever share of orders is cancelled, dead entries stay below a small constant or the live ones."""
    random = random_stream(seed, "heap")
    matcher = _matcher()
    live: list[int] = []
    for sequence in range(1, 1_500):
        if live and random.random() < cancelled / (1 + cancelled):
            order_id = live.pop(random.randrange(len(live)))
            matcher.cancel(1, order_id)
        else:
            side = random.choice((Side.BUY, Side.SELL))
            away = random.randrange(-spread if random.random() < crossing else 1, spread + 1)
            price = 1_000 - away if side is Side.BUY else 1_000 + away
            matcher.enter(sequence, 1, side, price, random.randrange(1, 20), True)
            live.append(sequence)
        if sequence % 10 == 0:
            _check(matcher.book.bids)
            _check(matcher.book.asks)


@settings(max_examples=40)
@given(
    prices=st.lists(st.integers(1, 50), min_size=1, max_size=300),
    keep=st.integers(0, 299),
    best_first=st.booleans(),
)
def test_heap_of_cancelled_orders_empties(prices: list[int], keep: int, best_first: bool) -> None:
    """Cancelling all orders but one, best or worst first, leaves one live entry and few dead ones."""
    matcher = _matcher()
    for sequence, price in enumerate(prices, start=1):
        matcher.enter(sequence, 1, Side.SELL, price, 1, True)
    kept = keep % len(prices) + 1
    numbers = sorted(range(1, len(prices) + 1), key=lambda number: (prices[number - 1], number))
    for number in numbers if best_first else reversed(numbers):
        if number != kept:
            matcher.cancel(1, number)
            _check(matcher.book.asks)
    assert matcher.book.best().ask_ticks == prices[kept - 1]
    matcher.cancel(1, kept)
    assert matcher.book.asks.heap == []


def _with_dead_run(matcher: Matcher, count: int, live: int) -> None:
    """Asks from 1,001 up, one lot each: the first lives, ``count`` are dead, ``live`` live."""
    for sequence in range(1, count + live + 2):
        matcher.enter(sequence, 1, Side.SELL, 1_000 + sequence, 1, True)
    for sequence in range(2, count + 2):
        matcher.cancel(1, sequence)
    assert matcher.book.asks.dead == count


@pytest.mark.parametrize("aggressor", [False, True], ids=["cancel", "sweep"])
def test_heap_never_surfaces_long_runs_one_by_one(monkeypatch: pytest.MonkeyPatch, aggressor: bool) -> None:
    """When a long run of dead entries comes to the top, the heap is rebuilt instead of popped through, also
    in the midst of a sweep; the next short run is popped again."""
    popped: list[int] = []
    monkeypatch.setattr(book_module, "heappop", lambda heap: popped.append(heappop(heap)))
    matcher = _matcher()
    asks, count = matcher.book.asks, 4 * MAX_DEAD_SURFACING
    _with_dead_run(matcher, count, count + 100)
    assert popped == []
    if aggressor:
        trades = matcher.enter(99_999, 2, Side.BUY, 100_000, 3, True)[1:]
        assert [getattr(trade, "maker_order_id", None) for trade in trades] == [1, count + 2, count + 3]
    else:
        matcher.cancel(1, 1)
    assert 0 < len(popped) <= MAX_DEAD_SURFACING + len(asks.queue) // 8 + 2
    assert asks.dead == 0
    _check(asks)
    popped.clear()
    matcher.cancel(1, count + 5)
    matcher.cancel(1, count + 6)
    matcher.cancel(1, count + 4)
    if not aggressor:
        matcher.cancel(1, count + 3)
        matcher.cancel(1, count + 2)
    assert len(popped) == (3 if aggressor else 5)
    _check(asks)


def test_heap_is_swept_when_fills_take_the_live_orders() -> None:
    """Dead entries deep in a book stay few also when the live ones before them are traded away."""
    matcher = _matcher()
    for sequence in range(1, 401):
        matcher.enter(sequence, 1, Side.SELL, 1_000 + sequence, 1, True)
    for sequence in range(201, 381):
        matcher.cancel(1, sequence)
    assert matcher.book.asks.dead == 180
    matcher.enter(999, 2, Side.BUY, 2_000, 150, True)
    assert len(matcher.book.asks.queue) == 70
    _check(matcher.book.asks)
