"""The uncross against a search over all prices, and what must hold for whoever took part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine.auction import Clearing, clearing
from exchange.engine.book import MARKET_ASK, MARKET_BID, Depth
from exchange.engine.venue import Venue
from exchange.model.commands import NewOrder, Record, SetPhase
from exchange.model.events import AnyVenueEvent, Cancelled, Traded, Uncrossed
from exchange.model.types import Phase, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import new_order, rules
from tests.oracle.book import OracleOrder, auction_price

Entry = tuple[Side, int | None, int]
"""Side, price (None is a market order) and quantity."""

prices = st.one_of(st.none(), st.integers(90, 110), st.integers(97, 103))
entries = st.lists(st.tuples(st.sampled_from(Side), prices, st.integers(1, 9)), max_size=30)
references = st.integers(88, 112)


def _totals(chosen: Sequence[Entry], side: Side) -> Counter[int]:
    waiting = MARKET_BID if side is Side.BUY else MARKET_ASK
    totals: Counter[int] = Counter()
    for own, price, quantity in chosen:
        if own is side:
            totals[waiting if price is None else price] += quantity
    return totals


def _orders(chosen: Sequence[Entry]) -> list[OracleOrder]:
    return [
        OracleOrder(
            number,
            new_order(number, "X", side, price, quantity, TimeInForce.GTC),
            price if price is not None else MARKET_BID if side is Side.BUY else MARKET_ASK,
            quantity,
            number,
        )
        for number, (side, price, quantity) in enumerate(chosen, 1)
    ]


@settings(max_examples=500)
@given(chosen=entries, reference=references)
def test_price_and_volume_are_those_of_a_search_over_all_prices(chosen: list[Entry], reference: int) -> None:
    """The rules tried price by price say the same; no price at all, also between, would trade more."""
    bids, asks = _totals(chosen, Side.BUY), _totals(chosen, Side.SELL)
    found = clearing(bids, asks, reference)
    expected = auction_price(_orders(chosen), reference)
    assert found == (None if expected is None else Clearing(*expected))
    volumes = {
        price: min(
            sum(lots for limit, lots in bids.items() if limit >= price),
            sum(lots for limit, lots in asks.items() if limit <= price),
        )
        for price in range(85, 116)
    }
    if found is None:
        has_market = MARKET_BID in bids or MARKET_ASK in asks
        assert not any(volumes.values()) or (has_market and not volumes[reference])
    else:
        assert volumes[found.price_ticks] == found.quantity == max(volumes.values())


def _call(chosen: Sequence[Entry]) -> tuple[Venue, list[Record]]:
    venue = Venue(rules(SelfTradePrevention.CANCEL_TAKER))
    venue.apply(Record(1, 0, SetPhase(Phase.PRE_OPEN, "test")))
    records = [
        Record(number, 0, new_order(number % 3 + 1, "X", side, price, quantity, TimeInForce.GTC))
        for number, (side, price, quantity) in enumerate(chosen, 2)
    ]
    for record in records:
        venue.apply(record)
    return venue, records


@settings(max_examples=200)
@given(chosen=entries)
def test_uncross_conserves_lots_and_keeps_priority(chosen: list[Entry]) -> None:
    """Bought is sold, one price within every limit, nobody is passed over, nothing is left that crosses."""
    venue, records = _call(chosen)
    indicative = venue.indicative("X")
    events = venue.apply(Record(len(records) + 2, 0, SetPhase(Phase.CONTINUOUS, "test")))
    trades = [event for event in events if isinstance(event, Traded)]
    told = [event for event in events if isinstance(event, Uncrossed)]
    if indicative is None:
        assert (trades, told) == ([], [])
    else:
        (result,) = told
        assert Clearing(result.price_ticks, result.quantity, result.surplus) == indicative
        assert {trade.price_ticks for trade in trades} == {result.price_ticks}
        assert {trade.auction_id for trade in trades} == {len(records) + 2}
        assert sum(trade.quantity for trade in trades) == result.quantity
    filled = Counter({record.sequence: 0 for record in records})
    for trade in trades:
        filled[trade.maker_order_id] += trade.quantity
        filled[trade.taker_order_id] += trade.quantity
    for side in Side:
        _check_side(side, records, filled, trades, events)
    best = venue.best("X")
    assert best.bid_ticks is None or best.ask_ticks is None or best.bid_ticks < best.ask_ticks


def _check_side(
    side: Side,
    records: list[Record],
    filled: Counter[int],
    trades: list[Traded],
    events: list[AnyVenueEvent],
) -> None:
    commands = [record.command for record in records if isinstance(record.command, NewOrder)]
    orders = _orders([(each.side, each.price_ticks, each.quantity) for each in commands])
    own = [order for order in orders if order.side is side]
    own.sort(key=lambda order: (-side.sign * order.price_ticks, order.order_id))
    assert sum(filled[order.order_id + 1] for order in own) == sum(trade.quantity for trade in trades)
    is_open = False
    for order in own:
        lots = filled[order.order_id + 1]
        assert 0 <= lots <= order.quantity
        assert not (is_open and lots), "an order behind one that is not filled traded"
        is_open = is_open or lots < order.quantity
        if lots:
            assert all(side.sign * (order.price_ticks - trade.price_ticks) >= 0 for trade in trades)
    ended = {event.order_id for event in events if isinstance(event, Cancelled) and event.side is side}
    assert ended == {
        order.order_id + 1
        for order in own
        if order.price_ticks in (MARKET_BID, MARKET_ASK) and filled[order.order_id + 1] < order.quantity
    }


def test_readers_see_the_book_of_before_until_the_uncross_ends() -> None:
    """Depth, best prices and reference change with the last slice of trades, and with it alone."""
    venue, records = _call([(side, 100, 1) for _ in range(600) for side in Side])
    before = venue.depth("X", 10), venue.best("X"), venue.reference("X")
    seen = []
    for events in venue.steps(Record(len(records) + 2, 0, SetPhase(Phase.CONTINUOUS, "test"))):
        trades = sum(isinstance(event, Traded) for event in events)
        now = venue.depth("X", 10), venue.best("X"), venue.reference("X")
        seen.append((trades, any(isinstance(event, Uncrossed) for event in events), now == before))
    made = [each for each in seen if each[0]]
    assert made == [(256, False, True), (256, False, True), (88, True, False)]
    assert all(unchanged for trades, _, unchanged in seen if not trades)
    assert venue.depth("X", 10) == Depth((), ())


def test_market_order_types_are_held_in_a_call() -> None:
    """A market order has no price a reader could see, and none of the levels is its own."""
    venue, _ = _call([(Side.BUY, None, 3), (Side.SELL, None, 2), (Side.BUY, 99, 1)])
    assert venue.depth("X", 10) == Depth(((99, 1),), ())
    assert (venue.best("X").bid_ticks, venue.best("X").ask_ticks) == (99, None)
