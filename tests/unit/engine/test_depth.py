"""Depth from events, one kind at a time; tests/property/test_book_depth.py compares it with the venue."""

from exchange.engine.book import Depth
from exchange.engine.depth import DepthView
from exchange.model.events import (
    Acknowledged,
    Amended,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    PhaseChanged,
    Traded,
)
from exchange.model.types import CancelReason, Phase, Side

BUY, SELL = Side.BUY, Side.SELL
REQUESTED = CancelReason.REQUESTED


def _view() -> DepthView:
    view = DepthView("X")
    view.apply([Acknowledged(1, "X", BUY, 99, 5)])
    view.apply([Acknowledged(2, "X", SELL, 101, 5)])
    return view


def _trade(quantity: int, price: int, taker_side: Side, taker: int = 3, name: str = "X") -> Traded:
    return Traded(1, name, price, quantity, 2, taker, 1, 2, taker_side)


def test_depth_adds_what_rests() -> None:
    """An acknowledged order that meets nothing adds its lots to its level."""
    view = _view()
    assert view.apply([Acknowledged(3, "X", BUY, 99, 2)]) == [(BUY, 99, 7)]
    assert view.snapshot(5) == Depth(((99, 7),), ((101, 5),))


def test_depth_of_an_aggressor_is_what_it_leaves() -> None:
    """Trades take from the maker's level; only the rest of the aggressor is added to its own."""
    view = _view()
    events: list[AnyVenueEvent] = [Acknowledged(3, "X", BUY, 102, 8), _trade(5, 101, BUY)]
    assert view.apply(events) == [(BUY, 102, 3), (SELL, 101, 0)]
    assert view.snapshot(5) == Depth(((102, 3), (99, 5)), ())


def test_depth_never_sees_what_never_rested() -> None:
    """The remainder of an order that doesn't rest leaves no trace."""
    view = _view()
    events: list[AnyVenueEvent] = [
        Acknowledged(3, "X", BUY, 101, 8),
        _trade(5, 101, BUY),
        Cancelled(3, "X", BUY, 101, 3, CancelReason.IOC_REMAINDER),
    ]
    assert view.apply(events) == [(SELL, 101, 0)]


def test_depth_moves_with_an_amend() -> None:
    """An amend takes what stood at the old price and adds what is left at the new one, after its trades."""
    view = _view()
    events: list[AnyVenueEvent] = [_trade(2, 101, BUY, taker=1), Amended(1, "X", BUY, 101, 6, 4, 99, 5)]
    assert view.apply(events) == [(BUY, 99, 0), (BUY, 101, 4), (SELL, 101, 3)]
    assert view.snapshot(5) == Depth(((101, 4),), ((101, 3),))


def test_depth_tells_no_level_that_came_and_went() -> None:
    """An amend that ends against its own account leaves nothing at its new price, and says nothing of it."""
    view = _view()
    events: list[AnyVenueEvent] = [
        Amended(1, "X", BUY, 101, 5, 5, 99, 5),
        Cancelled(1, "X", BUY, 101, 5, CancelReason.SELF_TRADE),
    ]
    assert view.apply(events) == [(BUY, 99, 0)]


def test_depth_passes_over_other_events() -> None:
    """Events of other instruments, refusals and phases change nothing."""
    view = _view()
    events: list[AnyVenueEvent] = [
        PhaseChanged(Phase.CLOSED, ""),
        Cancelled(9, "Y", BUY, 99, 5, REQUESTED),
        Acknowledged(8, "Y", SELL, 99, 5),
        _trade(5, 101, BUY, name="Y"),
        CancelRefused(4),
    ]
    assert view.apply(events) == []
    assert view.snapshot(5) == Depth(((99, 5),), ((101, 5),))
