"""The channels of an instrument as sockets see them; tests/property/test_streams_book.py has the books."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exchange.base.bounds import BACKLOG_BUFFER_BYTES, ORDERS_PER_PART, PUBLIC_STREAM_EVENTS
from exchange.engine.order_view import RestingLots
from exchange.engine.tape import Tapes
from exchange.model.commands import CancelOrders, Record, SetPhase
from exchange.model.events import Acknowledged, AnyVenueEvent, Cancelled, PhaseChanged, Traded
from exchange.model.phases import MarketPhases
from exchange.model.types import CancelReason, Phase, Side
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.pipeline.market_feeds import MarketFeeds, Markets
from tests.support.market_client import MarketClient
from tests.support.markets import EPOCH, open_view
from tests.support.sockets import FRAMERS, INSTRUMENT, FakeOutlet, listener
from tests.support.stages import until

BUY, SELL = Side.BUY, Side.SELL
SECOND = 1_000_000
MILLISECOND_NS = 1_000_000


class Floor:
    """One instrument with its channels; each :meth:`turn` is one turn of the publisher's loop."""

    def __init__(self, orders: int = 0, phase: Phase = Phase.CONTINUOUS) -> None:
        tapes = Tapes(("SPX",), daily=True)
        resting = [RestingLots(number, BUY, 430_000 + number % 500, 1) for number in range(1, orders + 1)]
        feeds = MarketFeeds(open_view(INSTRUMENT, tapes, resting, phase), EPOCH, 0)
        self.markets = Markets([feeds], tapes, MarketPhases(phase))
        self.hub = Hub(FRAMERS)
        self.sequence = orders
        self.channels = {feed.name: feed for feed in self.markets.channels()}

    def turn(self, *events: AnyVenueEvent, at_us: int = SECOND, command: Any = None) -> None:
        self.sequence += 1
        command = command or CancelOrders(0, (), CancelReason.REQUESTED)
        self.markets.take(Record(self.sequence, at_us, command), events)
        self.hub.begin_round()
        for feed in self.markets.turn():
            self.hub.tell(feed, feed.news(at_us))

    def set_phase(self, phase: Phase, instrument_id: str | None = None) -> None:
        self.turn(PhaseChanged(phase, "test", instrument_id), command=SetPhase(phase, "test", instrument_id))

    def enter(self, side: Side, price_ticks: int, quantity: int = 1) -> int:
        order_id = self.sequence + 1
        self.turn(Acknowledged(order_id, "SPX", side, price_ticks, quantity))
        return order_id

    def trade(self, price_ticks: int, quantity: int, at_us: int = SECOND) -> None:
        """A seller meets a buyer who just came to rest."""
        maker, taker = self.sequence + 1, self.sequence + 2
        self.turn(Acknowledged(maker, "SPX", BUY, price_ticks, quantity), at_us=at_us)
        self.turn(
            Acknowledged(taker, "SPX", SELL, price_ticks, quantity),
            Traded(taker, "SPX", price_ticks, quantity, maker, taker, 1, 2, SELL),
            at_us=at_us,
        )

    def watch(self, channel: str, conflate_ms: int | None = None) -> tuple[FakeOutlet, Connection]:
        outlet, connection = listener(self.hub)
        self.hub.subscribe(connection, self.channels[channel], None, conflate_ms)
        self.hub.advance(connection)
        return outlet, connection


@pytest.fixture
def floor() -> Floor:
    """An empty book in continuous trading."""
    return Floor()


# --- ticker, status, candles ----------------------------------------------------------------------------


def test_ticker_tells_best_prices_last_trade_and_session(floor: Floor) -> None:
    """At first what there is, which may be nothing; then each turn that changed something."""
    outlet, _ = floor.watch("ticker.SPX")
    (first,) = outlet.read()
    assert (first["seq"], first["mark_price"], first["volume"]) == (0, 4400.0, 0)
    assert not {"best_bid", "last_price", "open"} & first.keys()
    floor.enter(BUY, 439_900, 5)
    floor.enter(SELL, 440_200, 3)
    floor.enter(BUY, 430_000, 3)
    two = outlet.read()
    assert [message["seq"] for message in two] == [1, 2]
    assert (two[1]["best_bid"], two[1]["best_bid_quantity"]) == (4399.0, 5)
    assert (two[1]["best_ask"], two[1]["best_ask_quantity"]) == (4402.0, 3)
    assert two[1]["mark_price"] == 4400.5
    floor.trade(440_100, 4)
    floor.trade(440_000, 2)
    last = outlet.read()[-1]
    assert (last["last_price"], last["last_quantity"], last["volume"], last["trades"]) == (4400.0, 2, 6, 2)
    assert (last["open"], last["high"], last["low"]) == (4401.0, 4401.0, 4400.0)


def test_ticker_is_conflated_to_one_message_a_turn(floor: Floor) -> None:
    """Whatever happens in a turn of the loop, it is one message."""
    outlet, _ = floor.watch("ticker.SPX")
    outlet.read()
    floor.turn(*(Acknowledged(number, "SPX", BUY, 430_000 + number, 1) for number in range(50, 60)))
    (message,) = outlet.read()
    assert message["best_bid"] == 4300.59


def test_status_tells_phase_and_what_a_call_would_come_to(floor: Floor) -> None:
    """Price, volume and imbalance while there is a call; one instrument's own phase is told."""
    outlet, _ = floor.watch("status.SPX")
    assert [(m["phase"], m["reason"]) for m in outlet.read()] == [("continuous", "start")]
    floor.set_phase(Phase.HALTED, "SPX")
    floor.set_phase(Phase.REOPENING, "SPX")
    halted, call = outlet.read()
    assert halted["phase"] == "halted"
    assert "indicative_volume" not in halted
    assert (call["phase"], call["indicative_volume"], call["imbalance"]) == ("reopening", 0, 0)


def test_status_follows_the_indicative(floor: Floor) -> None:
    """Each turn that changes what an uncross would come to, and no other."""
    floor.set_phase(Phase.PRE_OPEN)
    outlet, _ = floor.watch("status.SPX")
    (first,) = outlet.read()
    assert (first["phase"], first["indicative_volume"]) == ("pre_open", 0)
    floor.enter(BUY, 440_100, 5)
    assert outlet.read() == []
    floor.enter(SELL, 440_000, 3)
    (crossed,) = outlet.read()
    assert (crossed["indicative_price"], crossed["indicative_volume"], crossed["imbalance"]) == (4401.0, 3, 2)


def test_status_never_works_out_an_auction_for_nobody(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums over a large book are made for a listener only."""
    monkeypatch.setattr("exchange.pipeline.market_view.clearing", lambda *arguments: 1 / 0)
    floor.set_phase(Phase.PRE_OPEN)
    floor.enter(BUY, 440_100, 5)
    with pytest.raises(ZeroDivisionError):
        floor.watch("status.SPX")


def test_candles_tell_the_one_that_grows_and_the_one_that_ended(floor: Floor) -> None:
    """A message for each candle that a turn touched; a subscriber begins with the last."""
    floor.trade(440_000, 1, at_us=5 * SECOND)
    outlet, _ = floor.watch("candles.SPX.1s")
    (first,) = outlet.read()
    assert (first["start"], first["trades"]) == ("1970-01-01T00:00:05.000000Z", 1)
    floor.trade(440_200, 2, at_us=5 * SECOND)
    floor.trade(440_100, 3, at_us=6 * SECOND)
    grown, new = outlet.read()
    assert (grown["start"], grown["high"], grown["close"], grown["volume"]) == (
        first["start"],
        4402.0,
        4402.0,
        3,
    )
    assert (new["start"], new["open"], new["volume"]) == ("1970-01-01T00:00:06.000000Z", 4401.0, 3)
    assert [grown["seq"], new["seq"]] == [first["seq"] + 1, first["seq"] + 2]


# --- conflation -----------------------------------------------------------------------------------------


def test_conflated_book_goes_from_what_is_known_to_now(floor: Floor) -> None:
    """One update in the time that was asked for, from the sequence that was told last to the newest."""
    outlet, _ = floor.watch("book.SPX", conflate_ms=100)
    client = MarketClient("book.SPX")
    client.take(outlet.read()[0])
    for price in (440_000, 439_000, 438_000):
        floor.enter(BUY, price, 2)
    floor.hub.tell_conflated(0)
    (update,) = outlet.read()
    assert (update["prev_seq"], update["seq"], len(update["bids"])) == (0, 3, 3)
    client.take(update)
    floor.enter(BUY, 440_000, 1)
    floor.hub.tell_conflated(99 * MILLISECOND_NS)
    assert outlet.read() == []
    floor.hub.tell_conflated(100 * MILLISECOND_NS)
    client.take(outlet.read()[0])
    assert client.bids == {4400.0: 3, 4390.0: 2, 4380.0: 2}


def test_conflated_ticker_says_what_it_goes_on_from(floor: Floor) -> None:
    """Where messages were left out prev_seq is there, and no gap is."""
    outlet, _ = floor.watch("ticker.SPX", conflate_ms=1)
    (first,) = outlet.read()
    floor.enter(BUY, 439_000)
    floor.enter(BUY, 440_000)
    floor.hub.tell_conflated(0)
    (told,) = outlet.read()
    assert (first["seq"], told["prev_seq"], told["seq"], told["best_bid"]) == (0, 0, 2, 4400.0)


def test_conflated_reader_that_stops_reading_is_never_closed(floor: Floor) -> None:
    """It waits while much is unread, and begins anew when too much has happened; a plain one is closed."""
    outlet, connection = floor.watch("book.SPX", conflate_ms=1)
    plain, _ = floor.watch("book.SPX")
    outlet.unsent.append(b"x" * (BACKLOG_BUFFER_BYTES + 1))
    pumped: list[Connection] = []
    connection.pump = lambda: pumped.append(connection)
    for number in range(PUBLIC_STREAM_EVENTS + 2):
        floor.enter(BUY, 430_000 + number % 7)
        floor.hub.tell_conflated(number * MILLISECOND_NS)
    assert plain.close_code == 4008
    assert len(outlet.unsent) == 2
    outlet.unsent.pop()
    client = MarketClient("book.SPX")
    client.take(outlet.read()[0])
    floor.hub.tell_conflated(10**12)
    assert pumped == [connection]
    assert floor.hub.advance(connection)
    client.take(outlet.read()[0])
    assert (client.snapshots, client.known) == (2, floor.channels["book.SPX"].last_seq)
    floor.enter(BUY, 431_000)
    floor.hub.tell_conflated(2 * 10**12)
    client.take(outlet.read()[0])
    assert max(client.bids) == 4310.0


def test_conflated_sockets_that_know_the_same_get_the_same_bytes(floor: Floor) -> None:
    """The outcome is made and encoded once."""
    one, _ = floor.watch("book.SPX", conflate_ms=1)
    two, _ = floor.watch("book.SPX", conflate_ms=1)
    for outlet in (one, two):
        outlet.read()
    floor.enter(BUY, 440_000)
    floor.hub.tell_conflated(0)
    assert one.unsent[0] is two.unsent[0]


def test_conflated_subscription_ends_like_any_other(floor: Floor) -> None:
    """Unsubscribed or closed it is told nothing more, and the timer stands still."""
    outlet, connection = floor.watch("book.SPX", conflate_ms=1)
    _, closed = floor.watch("book.SPX", conflate_ms=1)
    outlet.read()
    assert floor.hub.has_conflated.is_set()
    floor.hub.unsubscribe(connection, "book.SPX")
    floor.hub.closed(closed)
    floor.enter(BUY, 440_000)
    floor.hub.tell_conflated(0)
    assert outlet.unsent == []
    assert not floor.hub.has_conflated.is_set()


# --- order by order -------------------------------------------------------------------------------------


async def test_orders_snapshot_of_a_large_book_goes_out_as_it_is_read() -> None:
    """In parts of one sequence, never more than a turn's share unread, whatever happens meanwhile."""
    orders = 40 * ORDERS_PER_PART
    floor = Floor(orders)
    outlet, connection = listener(floor.hub)
    feed = floor.channels["orders.SPX"]
    floor.hub.subscribe(connection, feed, None)
    pump = asyncio.create_task(floor.hub.catch_up(connection))
    client, largest = MarketClient("orders.SPX"), 0
    while not (pump.done() and client.known == feed.last_seq):
        await until(lambda: bool(outlet.unsent) or pump.done())
        largest = max(largest, outlet.buffered_bytes())
        for message in outlet.read():
            client.take(message)
        if feed.last_seq < 30:
            floor.turn(
                Cancelled(feed.last_seq + 1, "SPX", BUY, 430_001 + feed.last_seq, 1, CancelReason.OPERATOR)
            )
    assert client.snapshots == 40
    assert largest < 2 * BACKLOG_BUFFER_BYTES
    assert outlet.close_code is None
    assert len(client.bids) == orders - 30


async def test_orders_snapshot_that_took_too_long_begins_anew() -> None:
    """Its reader is not closed although the stream has moved on: another snapshot follows."""
    floor = Floor(8 * ORDERS_PER_PART)
    outlet, connection = listener(floor.hub)
    feed = floor.channels["orders.SPX"]
    floor.hub.subscribe(connection, feed, None)
    assert not floor.hub.advance(connection)
    for number in range(PUBLIC_STREAM_EVENTS + 1):
        floor.enter(SELL, 450_000 + number % 7)
    client = MarketClient("orders.SPX")
    while not floor.hub.advance(connection):
        for message in outlet.read():
            client.take(message)
    for message in outlet.read():
        client.take(message)
    assert outlet.close_code is None
    assert client.known == feed.last_seq
    assert len(client.asks) == PUBLIC_STREAM_EVENTS + 1
