"""The book without matching: places, levels, and what leaves."""

from exchange.engine.book import CROSSING, MAX_SEQUENCE, PRIORITY_BITS, BestPrices, Book, Depth, RestingOrder
from exchange.model.types import Side


def _rest(book: Book, order_id: int, side: Side, price: int, quantity: int = 1) -> RestingOrder:
    entry = order_id + side.sign * -(price << PRIORITY_BITS)
    order = RestingOrder(order_id, 1, side, price, quantity, quantity, entry)
    (book.bids if side is Side.BUY else book.asks).rest(order)
    book.by_account[1][order_id] = order
    return order


def test_book_is_empty_at_first() -> None:
    """An empty side has no best price and no lots."""
    book = Book("X", 100)
    assert book.best() == BestPrices(None, None, 0, 0)
    assert book.depth(5) == Depth((), ())
    assert book.last_trade_ticks == 100


def test_book_sums_levels_best_first() -> None:
    """Depth gives the lots at each price, the best price of either side first, as many as asked for."""
    book = Book("X", 100)
    for order_id, (side, price, quantity) in enumerate(
        [
            (Side.BUY, 98, 1),
            (Side.BUY, 99, 2),
            (Side.BUY, 98, 3),
            (Side.SELL, 103, 4),
            (Side.SELL, 101, 5),
            (Side.SELL, 101, 6),
        ],
        start=1,
    ):
        _rest(book, order_id, side, price, quantity)
    assert book.depth(2) == Depth(((99, 2), (98, 4)), ((101, 11), (103, 4)))
    assert book.depth(1) == Depth(((99, 2),), ((101, 11),))
    assert book.best() == BestPrices(99, 101, 2, 11)


def test_book_side_orders_by_price_then_priority() -> None:
    """Orders come best price first, and within a price by the sequence that gave them their place."""
    book = Book("X", 100)
    for order_id, price in ((7, 100), (2, 101), (3, 100), (9, 102), (1, 101)):
        _rest(book, order_id, Side.BUY, price)
        _rest(book, order_id + 10, Side.SELL, price)
    assert [order.order_id for order in book.bids.orders()] == [9, 1, 2, 3, 7]
    assert [order.order_id for order in book.asks.orders()] == [13, 17, 11, 12, 19]


def test_entry_holds_price_and_priority_at_their_limits() -> None:
    """Neither the largest sequence nor the largest price disturbs the other, on either side."""
    book = Book("X", 100)
    for side in Side:
        order = _rest(book, MAX_SEQUENCE, side, 2**31 - 1)
        assert order.place == MAX_SEQUENCE
    bid, ask = (next(side.orders()).entry for side in (book.bids, book.asks))
    assert 0 < bid + ask < CROSSING


def test_entries_cross_where_prices_do() -> None:
    """A bid and an ask cross when the bid's price is at or above the ask's, whatever their sequences."""
    book = Book("X", 100)
    for low, high in ((1, 2), (1, MAX_SEQUENCE), (MAX_SEQUENCE, 1), (MAX_SEQUENCE - 1, MAX_SEQUENCE)):
        for bid_price, ask_price in ((100, 99), (100, 100), (100, 101), (1, 2**31 - 1), (2**31 - 1, 1)):
            bid = _rest(book, low, Side.BUY, bid_price)
            ask = _rest(book, high, Side.SELL, ask_price)
            assert (bid.entry + ask.entry < CROSSING) == (bid_price >= ask_price)


def test_book_clear_gives_what_it_held() -> None:
    """A cleared book has no orders, levels, entries or owners left."""
    book = Book("X", 100)
    orders = [_rest(book, 1, Side.BUY, 99), _rest(book, 2, Side.SELL, 101)]
    assert book.clear() == orders
    assert book.depth(5) == Depth((), ())
    assert (book.bids.heap, book.asks.heap, dict(book.by_account)) == ([], [], {})
