"""Stops beside the book: turns, bounds, and what is left of those that are gone."""

import msgspec
import pytest

from exchange.base.bounds import MAX_DEAD_ENTRIES
from exchange.engine import venue as venue_module
from exchange.engine.stops import StopBook, StopOrder
from exchange.engine.venue import Venue
from exchange.model.commands import AmendOrder, NewOrder, OrderTerms, Record, SetPhase, TriggerStops, Uncross
from exchange.model.events import AmendRefused, AnyVenueEvent, StopsWaiting, Triggered
from exchange.model.rules import BatchAuctions
from exchange.model.types import OrderType, Phase, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import new_order, rules


def _stop(order_id: int, side: Side, stop_price_ticks: int) -> StopOrder:
    terms = OrderTerms(stop_price_ticks=stop_price_ticks)
    command = NewOrder(1, "X", side, OrderType.STOP, None, 1, TimeInForce.GTC, None, "", terms)
    return StopOrder(order_id, command, stop_price_ticks, None, 1)


def _triggered(events: list[AnyVenueEvent]) -> list[int]:
    return [event.order_id for event in events if isinstance(event, Triggered)]


def _venue_with_stops(count: int) -> tuple[Venue, int]:
    """``count`` stops to sell that a trade at 99 reaches, lots to trade with, and the last sequence."""
    venue = Venue(rules(SelfTradePrevention.NONE))
    sequence = 0
    for _ in range(count):
        sequence += 1
        venue.apply(Record(sequence, 0, _stop(sequence, Side.SELL, 99).command))
    for price in (99, 98):
        sequence += 1
        order = new_order(2, "X", Side.BUY, price, count + 1, TimeInForce.GTC)
        venue.apply(Record(sequence, 0, order))
    return venue, sequence


def _sell(sequence: int) -> Record:
    return Record(sequence, 0, new_order(3, "X", Side.SELL, 99, 1, TimeInForce.GTC))


def test_stops_beyond_the_bound_wait_for_a_command_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command carries out so many, and says that more wait; the next takes up where it stopped."""
    monkeypatch.setattr(venue_module, "MAX_TRIGGERED_STOPS", 3)
    venue, last = _venue_with_stops(7)
    events = venue.apply(_sell(last + 1))
    assert (_triggered(events), events[-1]) == ([1, 2, 3], StopsWaiting("X"))
    assert venue.waiting_stops() == ["X"]
    events = venue.apply(Record(last + 2, 0, TriggerStops("X")))
    assert (_triggered(events), events[-1]) == ([4, 5, 6], StopsWaiting("X"))
    events = venue.apply(Record(last + 3, 0, TriggerStops("X")))
    assert _triggered(events) == [7]
    assert not any(isinstance(event, StopsWaiting) for event in events)
    assert venue.waiting_stops() == []


def test_reached_stops_wait_through_a_halt_and_go_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A halt between two turns stops them; the phase that trades again takes them up."""
    monkeypatch.setattr(venue_module, "MAX_TRIGGERED_STOPS", 2)
    venue, last = _venue_with_stops(4)
    venue.apply(_sell(last + 1))
    venue.apply(Record(last + 2, 0, SetPhase(Phase.HALTED, "")))
    assert venue.apply(Record(last + 3, 0, TriggerStops("X"))) == []
    assert venue.waiting_stops() == []
    venue.apply(Record(last + 4, 0, SetPhase(Phase.REOPENING, "")))
    events = venue.apply(Record(last + 5, 0, SetPhase(Phase.CONTINUOUS, "")))
    assert _triggered(events) == [3, 4]


@pytest.mark.parametrize("price_ticks", [None, 99])
def test_amend_of_a_stop_that_was_triggered_meanwhile_is_refused(price_ticks: int | None) -> None:
    """Where a triggered stop waits for a batch auction it has no stop price, and without a limit no price at
    all: an amend that was judged before it was triggered changes nothing.
    """
    batch = msgspec.structs.replace(
        rules(SelfTradePrevention.NONE), batch_auctions=BatchAuctions(interval_ms=100)
    )
    venue = Venue(batch)
    stop = _stop(1, Side.SELL, 99).command
    if price_ticks is not None:
        stop = msgspec.structs.replace(stop, order_type=OrderType.STOP_LIMIT, price_ticks=price_ticks)
    venue.apply(Record(1, 0, stop))
    venue.apply(Record(2, 0, new_order(2, "X", Side.BUY, 99, 1, TimeInForce.GTC)))
    venue.apply(_sell(3))
    assert _triggered(venue.apply(Record(4, 0, Uncross("X")))) == [1]
    before = list(venue.resting("X"))
    assert venue.apply(Record(5, 0, AmendOrder(1, 1, "X", 2, None, "", 98))) == [AmendRefused(1)]
    if price_ticks is None:
        assert venue.apply(Record(6, 0, AmendOrder(1, 1, "X", 2, None, ""))) == [AmendRefused(1)]
    assert list(venue.resting("X")) == before


@pytest.mark.parametrize("side", Side)
def test_stops_of_a_moving_price_leave_no_dead_entries_behind(side: Side) -> None:
    """However often a stop is moved, the heap stays in proportion to the stops that wait."""
    stops = StopBook()
    stop = _stop(1, side, 100)
    stops.park(stop)
    for step in range(10 * MAX_DEAD_ENTRIES):
        stops.move(stop, 101 + step % 7)
    assert len(stops._buys) + len(stops._sells) <= 2 + MAX_DEAD_ENTRIES
    stops.reach(100 if side is Side.BUY else 120)
    assert not stops.has_reached
    stops.reach(120 if side is Side.BUY else 100)
    assert stops.next() is stop
    assert (stops.next(), stops.orders, stops.by_account) == (None, {}, {})


def test_a_stop_that_was_moved_away_is_not_reached_by_its_old_price() -> None:
    """What counts is the stop price of now; moved back it is reached once."""
    stops = StopBook()
    stop = _stop(1, Side.BUY, 100)
    stops.park(stop)
    stops.move(stop, 110)
    stops.reach(105)
    assert not stops.has_reached
    stops.move(stop, 100)
    stops.reach(105)
    stops.reach(105)
    assert (stops.next(), stops.next()) == (stop, None)


def test_stops_that_are_loaded_take_their_turns_as_before() -> None:
    """One that is reached, one that was moved and one that waits, from a snapshot."""
    stops, loaded = StopBook(), StopBook()
    for order_id, price in ((1, 100), (2, 105), (3, 100)):
        stops.park(_stop(order_id, Side.BUY, price))
    stops.reach(100)
    stops.move(stops.orders[1], 120)
    stops.move(stops.orders[2], 104)
    encoded = msgspec.json.encode(stops.snapshot())
    loaded.load(msgspec.json.decode(encoded, type=list[StopOrder]))
    assert loaded.state() == stops.state()
    for each in (stops, loaded):
        each.reach(104)
    turns = [[each.next(), each.next(), each.next(), each.next()] for each in (stops, loaded)]
    assert turns[0] == turns[1]
    assert [None if turn is None else turn.order_id for turn in turns[0]] == [1, 2, 3, None]


def test_a_reached_stop_that_is_cancelled_has_no_turn() -> None:
    """Between two turns a cancel may come."""
    stops = StopBook()
    first, second = _stop(1, Side.BUY, 100), _stop(2, Side.BUY, 100)
    stops.park(first)
    stops.park(second)
    stops.reach(100)
    stops.take_out(first)
    assert (stops.next(), stops.has_reached) == (second, False)
