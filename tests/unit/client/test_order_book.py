"""The client's book is the exchange's, level by level."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exchange.client.order_book import BookGap, ChecksumMismatch, Level, OrderBook
from exchange.wire.events import BookSnapshot, BookUpdate

Levels = list[tuple[float, int]]

PRICES = st.integers(1, 30).map(lambda ticks: ticks / 100)
LEVELS = st.lists(st.tuples(PRICES, st.integers(0, 3)), max_size=6, unique_by=lambda level: level[0])


def snapshot(seq: int, bids: Levels, asks: Levels) -> BookSnapshot:
    """A whole book."""
    return BookSnapshot(seq=seq, timestamp="T", channel="book.SPX", epoch="e", bids=bids, asks=asks)


def update(seq: int, bids: Levels, asks: Levels, prev_seq: int | None = None) -> BookUpdate:
    """Levels that changed."""
    return BookUpdate(
        seq=seq,
        timestamp="T",
        channel="book.SPX",
        prev_seq=seq - 1 if prev_seq is None else prev_seq,
        bids=bids,
        asks=asks,
    )


@given(st.lists(st.tuples(LEVELS, LEVELS), max_size=20))
def test_book_agrees_with_plain_dicts(changes: list[tuple[Levels, Levels]]) -> None:
    """Absolute quantities, 0 deletes, best first on both sides."""
    book = OrderBook("SPX")
    book.apply(snapshot(0, [(0.10, 5)], [(0.20, 5)]))
    plain_bids, plain_asks = {0.10: 5}, {0.20: 5}
    for seq, (bids, asks) in enumerate(changes, 1):
        book.apply(update(seq, bids, asks))
        plain_bids.update(bids)
        plain_asks.update(asks)
    expected_bids = [Level(price, lots) for price, lots in sorted(plain_bids.items(), reverse=True) if lots]
    expected_asks = [Level(price, lots) for price, lots in sorted(plain_asks.items()) if lots]
    assert book.bids() == expected_bids
    assert book.asks() == expected_asks
    assert book.best_bid == (expected_bids[0] if expected_bids else None)
    assert book.best_ask == (expected_asks[0] if expected_asks else None)
    for depth in range(4):
        assert book.bids(depth) == expected_bids[:depth]
        assert book.asks(depth) == expected_asks[:depth]


def test_mid_and_spread_need_both_sides() -> None:
    """With an empty side there is neither."""
    book = OrderBook("SPX")
    book.apply(snapshot(1, [(99.0, 1)], []))
    assert (book.mid, book.spread) == (None, None)
    book.apply(update(2, [], [(101.0, 2)]))
    assert (book.mid, book.spread) == (100.0, 2.0)


def test_update_without_its_predecessor_is_a_gap() -> None:
    """Before the first snapshot, and where prev_seq is not the state of the book."""
    book = OrderBook("SPX")
    with pytest.raises(BookGap):
        book.apply(update(1, [], []))
    book.apply(snapshot(5, [], []))
    with pytest.raises(BookGap):
        book.apply(update(7, [], [], prev_seq=6))
    assert not book.is_synced
    book.apply(snapshot(9, [(1.0, 1)], []))
    assert (book.is_synced, book.seq, book.best_bid) == (True, 9, Level(1.0, 1))


def test_book_is_synced_only_while_nothing_is_missing() -> None:
    """Lost and resumed; resuming what never had a snapshot changes nothing."""
    book = OrderBook("SPX")
    book.resume()
    assert not book.is_synced
    book.apply(snapshot(1, [], []))
    book.lose()
    assert not book.is_synced
    book.resume()
    assert book.is_synced


def test_book_whose_checksum_differs_is_not_taken() -> None:
    """After a snapshot with prices of known decimals each checksum is compared."""
    book = OrderBook("SPX")
    begin = snapshot(1, [(0.10, 5)], [])
    right = crc32(b"105")
    book.apply(structs.replace(begin, checksum=right, price_decimals=2))
    book.apply(structs.replace(update(2, [(0.11, 4)], []), checksum=crc32(b"114105")))
    with pytest.raises(ChecksumMismatch, match="SPX at 3"):
        book.apply(structs.replace(update(3, [(0.11, 3)], []), checksum=crc32(b"114105")))
    assert not book.is_synced
    with pytest.raises(ChecksumMismatch):
        book.apply(structs.replace(begin, checksum=right + 1, price_decimals=2))
    book.apply(structs.replace(begin, checksum=right, price_decimals=2))
    assert book.is_synced
