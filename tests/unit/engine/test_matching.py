"""Matching in one book, where tables can't reach; tests/scenarios has the tables."""

from exchange.engine.amending import amend
from exchange.engine.book import Book
from exchange.engine.controls import enter
from exchange.engine.matching import Matcher, VenueCounters
from exchange.model.commands import NewOrder, OrderTerms
from exchange.model.events import AmendRefused, CancelRefused, Traded
from exchange.model.types import OrderType, SelfTradePrevention, Side, TimeInForce

PREVENTED = SelfTradePrevention.CANCEL_TAKER

BUY, SELL = Side.BUY, Side.SELL


def _trade_ids(events: object) -> list[int]:
    assert isinstance(events, list)
    return [event.trade_id for event in events if isinstance(event, Traded)]


def test_trade_numbers_are_shared_by_books() -> None:
    """Trades count from 1 over all books of a venue, without a gap."""
    trades = VenueCounters()
    first, second = (Matcher(Book(name, 100), trades, PREVENTED) for name in "XY")
    for matcher in (first, second):
        matcher.enter(1, 1, SELL, 100, 1, True)
        matcher.enter(2, 1, SELL, 100, 5, True)
    assert _trade_ids(first.enter(3, 2, BUY, 100, 2, True)) == [1, 2]
    assert _trade_ids(second.enter(4, 2, BUY, 100, 1, True)) == [3]
    assert _trade_ids(first.enter(5, 2, BUY, 100, 1, True)) == [4]


def test_last_trade_price_is_that_of_the_last_fill() -> None:
    """A sweep leaves the price of its last trade; an order that doesn't trade leaves it alone."""
    matcher = Matcher(Book("X", 77), VenueCounters(), PREVENTED)
    matcher.enter(1, 1, SELL, 100, 1, True)
    matcher.enter(2, 1, SELL, 102, 1, True)
    assert matcher.book.last_trade_ticks == 77
    matcher.enter(3, 2, BUY, 105, 2, True)
    assert matcher.book.last_trade_ticks == 102


def test_self_trade_at_the_very_start_leaves_the_last_price() -> None:
    """An order cancelled against its own account traded nothing."""
    matcher = Matcher(Book("X", 77), VenueCounters(), PREVENTED)
    matcher.enter(1, 1, SELL, 100, 1, True)
    matcher.enter(2, 1, BUY, 100, 1, True)
    assert matcher.book.last_trade_ticks == 77


def test_sequence_of_an_amend_is_no_order_number() -> None:
    """An order that moved is known by its own number alone."""
    matcher = Matcher(Book("X", 100), VenueCounters(), PREVENTED)
    matcher.enter(1, 1, BUY, 99, 1, True)
    amend(matcher, 2, 1, 1, None, 98)
    assert matcher.cancel(1, 2) == [CancelRefused(2)]
    assert amend(matcher, 3, 1, 2, 5, None) == [AmendRefused(2)]
    assert matcher.book.depth(9).bids == ((98, 1),)


def test_account_zero_prevents_its_own_trades_too() -> None:
    """The house is an account like any other."""
    matcher = Matcher(Book("X", 100), VenueCounters(), PREVENTED)
    matcher.enter(1, 0, SELL, 100, 1, True)
    assert _trade_ids(matcher.enter(2, 0, BUY, 100, 1, True)) == []


def test_icebergs_met_before_and_after_an_own_order_keep_a_place_each() -> None:
    """An order goes on past its own: the icebergs it meets from there on stand behind those it met before."""
    matcher = Matcher(Book("X", 100), VenueCounters(), SelfTradePrevention.CANCEL_MAKER)
    terms = OrderTerms(display_quantity=1)
    iceberg = NewOrder(1, "X", SELL, OrderType.LIMIT, 100, 10, TimeInForce.GTC, None, "entered", terms)
    enter(matcher, 1, iceberg, 100, False)
    matcher.enter(2, 2, SELL, 100, 1, True)
    enter(matcher, 3, iceberg, 100, False)
    matcher.enter(4, 2, SELL, 100, 1, True)
    assert len(_trade_ids(matcher.enter(5, 2, BUY, 100, 3, True))) == 3
    # The first iceberg traded twice, so it stands behind the second.
    assert [(each.order_id, each.left) for each in matcher.book.asks.orders()] == [(3, 9), (1, 8)]
    assert matcher.book.asks.totals == {100: 2}
