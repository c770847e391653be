"""Places in the queue from events, one kind at a time; tests/property/test_streams_book.py compares with the
venue."""

from __future__ import annotations

from exchange.engine.book import MARKET_BID
from exchange.engine.order_view import OrderView, PlaceChange, RestingLots
from exchange.model.events import Acknowledged, Amended, Cancelled, Traded, Uncrossed
from exchange.model.types import CancelReason, Side

BUY, SELL = Side.BUY, Side.SELL


def _view() -> OrderView:
    """Orders 11 and 12 to buy at 99, order 13 to sell at 101: places 1, 2 and 3."""
    view = OrderView(
        [RestingLots(11, BUY, 99, 5), RestingLots(12, BUY, 99, 4), RestingLots(13, SELL, 101, 5)]
    )
    view.light()
    return view


def _trade(maker: int, taker: int, quantity: int, auction_id: int | None = None) -> Traded:
    return Traded(1, "X", 101, quantity, maker, taker, 1, 2, BUY, auction_id)


def test_order_view_begins_with_what_rests_in_priority() -> None:
    """Places are numbered as the orders come, and say nothing of their numbers."""
    view = _view()
    assert view.copy(BUY) == [(99, {1: 5, 2: 4})]
    assert view.copy(SELL) == [(101, {3: 5})]
    assert not view.take_changes()


def test_order_view_lit_late_knows_what_happened_before() -> None:
    """Before anybody listens it follows all the same."""
    view = OrderView([RestingLots(11, BUY, 99, 5)])
    view.apply([Acknowledged(12, "X", BUY, 99, 4)])
    view.apply([Cancelled(11, "X", BUY, 99, 5, CancelReason.REQUESTED)])
    view.light()
    assert view.copy(BUY) == [(99, {2: 4})]
    assert not view.take_changes()


def test_order_view_tells_what_an_aggressor_leaves() -> None:
    """The maker's place is free, the rest of the taker has one; what came and went is not told."""
    view = _view()
    view.apply([Acknowledged(14, "X", BUY, 101, 8), _trade(13, 14, 5)])
    assert view.take_changes() == [PlaceChange(3, SELL, 101, 0), PlaceChange(4, BUY, 101, 3)]
    ended = Cancelled(15, "X", BUY, 98, 2, CancelReason.IOC_REMAINDER)
    view.apply([Acknowledged(15, "X", BUY, 98, 2), ended])
    assert not view.take_changes()


def test_order_view_amend_down_keeps_the_place() -> None:
    """Fewer lots at the same price: the same reference."""
    view = _view()
    view.apply([Amended(11, "X", BUY, 99, 3, 3, 99, 5)])
    assert view.take_changes() == [PlaceChange(1, BUY, 99, 3)]


def test_order_view_amend_up_or_away_goes_to_the_end() -> None:
    """More lots or another price: the place is free and another one is taken."""
    view = _view()
    view.apply([Amended(11, "X", BUY, 99, 6, 6, 99, 5)])
    assert view.take_changes() == [PlaceChange(1, BUY, 99, 0), PlaceChange(4, BUY, 99, 6)]
    view.apply([Amended(12, "X", BUY, 98, 4, 4, 99, 4)])
    assert view.take_changes() == [PlaceChange(2, BUY, 99, 0), PlaceChange(5, BUY, 98, 4)]
    assert view.copy(BUY) == [(99, {4: 6}), (98, {5: 4})]


def test_order_view_auction_is_told_when_it_is_over() -> None:
    """Its trades change nothing until the uncross, whatever slices they come in."""
    view = _view()
    view.apply([_trade(13, 11, 2, auction_id=7)])
    view.apply([_trade(13, 12, 3, auction_id=7)])
    assert not view.take_changes()
    view.apply([Uncrossed("X", 7, 100, 5, 0, ())])
    changes = {(change.ref, change.lots) for change in view.take_changes()}
    assert changes == {(1, 3), (2, 1), (3, 0)}


def test_order_view_never_shows_a_market_order_that_waits() -> None:
    """It has no price."""
    view = _view()
    view.apply([Acknowledged(14, "X", BUY, MARKET_BID, 8)])
    assert not view.take_changes()
    assert view.copy(BUY) == [(99, {1: 5, 2: 4})]


def test_order_view_lit_within_an_uncross_ends_as_any_other() -> None:
    """What came before is counted at once, the rest when it is over; who is used up has no place."""
    view = OrderView(
        [RestingLots(11, BUY, 102, 2), RestingLots(12, BUY, 101, 4), RestingLots(13, SELL, 101, 7)]
    )
    view.apply([_trade(13, 11, 2, auction_id=7)])
    assert view.totals() == ({101: 4}, {101: 5})
    view.light()
    view.apply([_trade(13, 12, 3, auction_id=7)])
    assert view.copy(BUY) == [(101, {2: 4})]
    view.apply([Uncrossed("X", 7, 101, 5, 0, ())])
    assert view.copy(BUY) == [(101, {2: 1})]
    assert view.copy(SELL) == [(101, {3: 2})]
    assert view.totals() == ({101: 1}, {101: 2})
    assert view.take_changes() == [PlaceChange(2, BUY, 101, 1), PlaceChange(3, SELL, 101, 2)]
