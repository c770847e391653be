"""The fast venue and the obviously right one are indistinguishable."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine.book import MARKET_ASK, MARKET_BID, MAX_SEQUENCE
from exchange.engine.venue import Venue
from exchange.model.commands import AnyCommand, Record
from exchange.model.events import (
    Acknowledged,
    Amended,
    AnyVenueEvent,
    Cancelled,
    Decremented,
    DisplayChanged,
    Parked,
    Traded,
    Triggered,
)
from exchange.model.phases import PHASES
from exchange.model.rules import ClosingCancels
from exchange.model.types import SelfTradePrevention, Side
from tests.oracle.actions import INSTRUMENTS, Reference, actions, plain_actions, records, rules
from tests.oracle.book import OracleVenue

Actions = Sequence[AnyCommand | Reference]
MODES = pytest.mark.parametrize("prevention", SelfTradePrevention, ids=lambda mode: mode.value)


@MODES
@settings(max_examples=150)
@given(chosen=actions, closing=st.sampled_from(ClosingCancels))
def test_venue_agrees_with_oracle(
    prevention: SelfTradePrevention, chosen: Actions, closing: ClosingCancels
) -> None:
    """After every command: the same events in the same order, the same depth, the same best prices."""
    venue = Venue(rules(prevention, closing))
    oracle = OracleVenue(prevention, closing is ClosingCancels.DAY)
    for record in records(chosen):
        assert venue.apply(record) == oracle.apply(record), record
        for instrument_id in INSTRUMENTS:
            assert venue.depth(instrument_id, 3) == oracle.depth(instrument_id, 3)
            assert venue.depth(instrument_id, 100) == oracle.depth(instrument_id, 100)
            assert venue.best(instrument_id) == oracle.best(instrument_id)
        assert venue.statistics().live_orders == len(oracle.orders)


@MODES
@given(chosen=actions)
def test_venue_is_never_crossed(prevention: SelfTradePrevention, chosen: Actions) -> None:
    """Between commands the best bid is below the best offer, but for calls and a halt in one."""
    venue = Venue(rules(prevention))
    for record in records(chosen):
        venue.apply(record)
        for instrument_id in INSTRUMENTS:
            if not PHASES[venue.phase].ends_calls:
                continue
            best = venue.best(instrument_id)
            if best.bid_ticks is not None and best.ask_ticks is not None:
                assert best.bid_ticks < best.ask_ticks


@given(chosen=plain_actions)
def test_venue_prevents_self_trades(chosen: Actions) -> None:
    """With cancel_taker no trade has one account on both sides, but for auctions and who chose otherwise."""
    venue = Venue(rules(SelfTradePrevention.CANCEL_TAKER))
    trades = [event for record in records(chosen) for event in venue.apply(record) if type(event) is Traded]
    assert all(trade.maker_account != trade.taker_account for trade in trades if trade.auction_id is None)


@MODES
@given(chosen=actions)
def test_venue_accounts_for_every_lot(prevention: SelfTradePrevention, chosen: Actions) -> None:
    """Every lot asked for is traded, cancelled once, or at rest; nothing happens to an ended order."""
    venue = Venue(rules(prevention))
    lots = Lots()
    for record in records(chosen):
        for event in venue.apply(record):
            lots.take(event)
        lots.end_command()
        for instrument_id in INSTRUMENTS:
            depth = venue.depth(instrument_id, 100)
            assert sum(total for _, total in depth.bids) == lots.at_rest(instrument_id, Side.BUY)
            assert sum(total for _, total in depth.asks) == lots.at_rest(instrument_id, Side.SELL)


@MODES
@given(chosen=actions)
def test_venue_state_is_canonical(prevention: SelfTradePrevention, chosen: Actions) -> None:
    """Two replays have one state, in bytes, however often one of them was read."""
    first, second = (Venue(rules(prevention)) for _ in range(2))
    for record in records(chosen):
        first.apply(record)
        second.apply(record)
        second.depth("X", 5)
    assert msgspec.msgpack.encode(first.state()) == msgspec.msgpack.encode(second.state())


@given(chosen=actions)
def test_venue_places_do_not_depend_on_numbers(chosen: Actions) -> None:
    """At the largest sequences priorities still hold: depth is that of the same commands numbered from 1."""
    low, high = (Venue(rules(SelfTradePrevention.NONE)) for _ in range(2))
    shift = MAX_SEQUENCE - 1_000
    for record in records(chosen):
        low.apply(record)
        high.apply(_shifted(record, shift))
        assert low.depth("X", 9) == high.depth("X", 9)


def _shifted(record: Record, shift: int) -> Record:
    command = record.command
    order_id = getattr(command, "order_id", None)
    if order_id is not None:
        command = msgspec.structs.replace(command, order_id=order_id + shift)
    return Record(record.sequence + shift, 0, command)


@dataclass
class Known:
    """An order as events tell it."""

    instrument_id: str
    side: Side
    total: int
    price_ticks: int
    filled: int = 0


class Lots:
    """Follows orders by events alone."""

    def __init__(self) -> None:
        self._live: dict[int, Known] = {}
        self._stops: dict[int, int] = {}
        self._hidden: dict[int, int] = {}

    def take(self, event: AnyVenueEvent) -> None:
        match event:
            case Parked():
                self._stops[event.order_id] = event.quantity
            case Triggered(order_id, instrument_id, side, price_ticks, quantity):
                assert self._stops.pop(order_id) == quantity
                self._live[order_id] = Known(instrument_id, side, quantity, price_ticks)
            case Acknowledged(order_id, instrument_id, side, price_ticks, quantity):
                self._live[order_id] = Known(instrument_id, side, quantity, price_ticks)
            case Traded():
                for order_id in {event.maker_order_id, event.taker_order_id}:
                    self._live[order_id].filled += event.quantity
            case Amended(parked=True):
                self._stops[event.order_id] = event.quantity
            case DisplayChanged():
                shown = self._hidden.get(event.order_id, 0) - event.quantity
                self._hidden[event.order_id] = shown
            case Decremented():
                self._live[event.order_id].total = event.quantity
            case Cancelled(parked=True):
                assert self._stops.pop(event.order_id) == event.remaining
            case Amended():
                order = self._live[event.order_id]
                order.total, order.price_ticks = event.quantity, event.price_ticks
                assert event.remaining == order.total - order.filled
            case Cancelled():
                order = self._live.pop(event.order_id)
                assert event.remaining == order.total - order.filled > 0
            case _:
                pass

    def end_command(self) -> None:
        """Filled orders are gone; an order filled beyond its total would be counted as negative lots."""
        self._live = {number: order for number, order in self._live.items() if order.total != order.filled}

    def at_rest(self, instrument_id: str, side: Side) -> int:
        return sum(
            order.total - order.filled - self._hidden.get(order_id, 0)
            for order_id, order in self._live.items()
            if order.instrument_id == instrument_id
            and order.side is side
            and order.price_ticks not in (MARKET_BID, MARKET_ASK)
        )
