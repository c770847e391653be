"""Depth made of events is the depth of the book."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine.book import Depth
from exchange.engine.depth import DepthView
from exchange.engine.venue import Venue
from exchange.model.commands import AnyCommand
from exchange.model.types import SelfTradePrevention, Side
from tests.oracle.actions import INSTRUMENTS, Reference, actions, records, rules

Totals = dict[tuple[Side, int], int]


def _totals(depth: Depth) -> Totals:
    bids = {(Side.BUY, price): total for price, total in depth.bids}
    return bids | {(Side.SELL, price): total for price, total in depth.asks}


@settings(max_examples=200)
@given(chosen=actions, prevention=st.sampled_from(SelfTradePrevention))
def test_depth_view_equals_venue(
    chosen: Sequence[AnyCommand | Reference], prevention: SelfTradePrevention
) -> None:
    """After every command the view's snapshot is the venue's depth, and its changes are exactly the levels
    that differ from before, each once, with their new totals."""
    venue = Venue(rules(prevention))
    views = {instrument_id: DepthView(instrument_id) for instrument_id in INSTRUMENTS}
    for record in records(chosen):
        before = {each: _totals(venue.depth(each, 100)) for each in INSTRUMENTS}
        events = venue.apply(record)
        for instrument_id, view in views.items():
            changes = view.apply(events)
            assert view.snapshot(2) == venue.depth(instrument_id, 2)
            assert view.snapshot(100) == venue.depth(instrument_id, 100)
            old, new = before[instrument_id], _totals(venue.depth(instrument_id, 100))
            differing = {level for level in old.keys() | new.keys() if old.get(level) != new.get(level)}
            assert sorted((side.value, price) for side, price, _ in changes) == sorted(
                (side.value, price) for side, price in differing
            )
            assert all(new.get((side, price), 0) == total for side, price, total in changes)
