"""The uncross: one price for everything that crosses when a call ends (GAME.md, Auction).

Price and volume come from the lots at each price alone. The trades follow in slices, so that whoever drives
them can let others run in between: the book stays as it was before until the last slice has been made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain, repeat
from operator import sub

import msgspec

from exchange.base.bounds import AUCTION_SLICE
from exchange.engine.book import HIDDEN, MARKET_ASK, MARKET_BID, Book, BookSide, RestingOrder
from exchange.engine.matching import Matcher
from exchange.model.events import AnyVenueEvent, DisplayChanged, LevelChange, Traded, Uncrossed
from exchange.model.types import CancelReason, Side


class Clearing(msgspec.Struct, frozen=True):
    """``surplus``: lots to buy less lots to sell at the price, so what is left over there."""

    price_ticks: int
    quantity: int
    surplus: int


def clearing(bids: Mapping[int, int], asks: Mapping[int, int], reference_ticks: int) -> Clearing | None:
    """Price and volume of an uncross now, from the lots at each price of a side; None if nothing trades.

    Among the limit prices, and the reference where market orders wait: the largest volume, then the smallest
    imbalance; of prices still tied the highest if all have a buy surplus, the lowest if all have a sell
    surplus, else the middle of lowest and highest, rounded to a tick towards the reference.
    """
    prices = _candidates(bids, asks, reference_ticks)
    if not prices:
        return None
    # No limit to sell is below the candidates and none to buy above them: the sums begin with market orders.
    upward, downward = map(asks.get, prices, repeat(0)), map(bids.get, reversed(prices), repeat(0))
    sells = list(accumulate(upward, initial=asks.get(MARKET_ASK, 0)))[1:]
    buys = list(accumulate(downward, initial=bids.get(MARKET_BID, 0)))[:0:-1]
    volumes = list(map(min, buys, sells))
    volume = max(volumes)
    if not volume:
        return None
    surpluses = list(map(sub, buys, sells))
    tied = [at for at, each in enumerate(volumes) if each == volume]
    least = min(abs(surpluses[at]) for at in tied)
    tied = [at for at in tied if abs(surpluses[at]) == least]
    price_ticks = _among([prices[at] for at in tied], [surpluses[at] for at in tied], reference_ticks)
    # The price may lie between two candidates.
    surplus = buys[bisect_left(prices, price_ticks)] - sells[bisect_right(prices, price_ticks) - 1]
    return Clearing(price_ticks, volume, surplus)


def _candidates(bids: Mapping[int, int], asks: Mapping[int, int], reference_ticks: int) -> list[int]:
    """Prices at which anything could trade, in order."""
    prices = bids.keys() | asks.keys()
    if MARKET_BID in bids or MARKET_ASK in asks:
        prices.add(reference_ticks)
    prices -= {MARKET_BID, MARKET_ASK}
    lowest, highest = min(asks, default=MARKET_BID), max(bids, default=MARKET_ASK)
    return sorted(price for price in prices if lowest <= price <= highest)


def _among(prices: list[int], surpluses: list[int], reference_ticks: int) -> int:
    if all(surplus > 0 for surplus in surpluses):
        return prices[-1]
    if all(surplus < 0 for surplus in surpluses):
        return prices[0]
    doubled = prices[0] + prices[-1]
    return (doubled + (2 * reference_ticks > doubled)) // 2


def indicative(book: Book) -> Clearing | None:
    """What an uncross of ``book`` would come to now; None if nothing trades."""
    if not book.crosses:
        return None
    return clearing(book.bids.lots(), book.asks.lots(), book.last_trade_ticks)


def uncross(matcher: Matcher, auction_id: int) -> Iterator[list[AnyVenueEvent]]:
    """Every trade of the auction, the levels it changed, and the end of what was meant for it alone.

    A slice may be empty: putting a side in order takes as long as hundreds of trades.
    Self-trade prevention does not apply. Of a trade the later order is told as the taker.
    """
    book = matcher.book
    found = indicative(book)
    if found is not None:
        yield from _trade(matcher, found, auction_id)
    if book.has_auction_only:
        yield from _end(matcher)
        book.has_auction_only = False


def _trade(matcher: Matcher, found: Clearing, auction_id: int) -> Iterator[list[AnyVenueEvent]]:
    book, counters = matcher.book, matcher.counters
    buys = _Fills(book, book.bids)
    yield []
    sells = _Fills(book, book.asks)
    yield []
    instrument_id, price_ticks, left = book.instrument_id, found.price_ticks, found.quantity
    trade_id = counters.trade_id
    events: list[AnyVenueEvent] = []
    while left:
        buy, sell = buys.first(), sells.first()
        traded = min(left, buys.left, sells.left)
        later, earlier = (buy, sell) if buy.order_id > sell.order_id else (sell, buy)
        trade_id += 1
        trade = Traded(
            trade_id,
            instrument_id,
            price_ticks,
            traded,
            earlier.order_id,
            later.order_id,
            earlier.account,
            later.account,
            later.side,
            auction_id,
        )
        events.append(trade)
        buys.take(traded)
        sells.take(traded)
        left -= traded
        if len(events) >= AUCTION_SLICE:
            yield events
            events = []
    counters.trade_id = trade_id
    shown = [*buys.commit(matcher, auction_id), *sells.commit(matcher, auction_id)]
    levels = (*buys.levels(Side.BUY), *sells.levels(Side.SELL))
    book.last_trade_ticks = price_ticks
    yield [
        *events,
        *shown,
        Uncrossed(instrument_id, auction_id, price_ticks, found.quantity, found.surplus, levels),
    ]


def _end(matcher: Matcher) -> Iterator[list[AnyVenueEvent]]:
    book = matcher.book
    orders = chain(book.bids.queue.values(), book.asks.queue.values())
    ending = sorted((order.order_id, order) for order in orders if order.auction_only)
    for first in range(0, len(ending), AUCTION_SLICE):
        yield [
            event
            for order_id, order in ending[first : first + AUCTION_SLICE]
            for event in matcher.cancel(order.account, order_id, _reason(order))
        ]


def _reason(order: RestingOrder) -> CancelReason:
    is_market = order.price_ticks in (MARKET_BID, MARKET_ASK)
    return CancelReason.NO_LIQUIDITY if is_market else CancelReason.IOC_REMAINDER


class _Fills:
    """One side while it is filled from its first order on, in a copy: ``left`` lots of the first remain.

    The hidden lots of icebergs come behind all that is shown at their price, in the order of their places.
    """

    __slots__ = ("_by_account", "_claims", "_icebergs", "_order", "_prices", "_queue", "_side", "left")

    def __init__(self, book: Book, side: BookSide) -> None:
        self._by_account = book.by_account
        self._side = side
        self._queue = dict(side.queue)
        claims = list(side.queue)
        if side.hidden:
            claims += [entry + HIDDEN for entry, order in side.queue.items() if order.reserve]
        claims.sort()
        # Sorted at once, looked up one by one: together they would be the longest step of all.
        self._claims = iter(claims)
        self._order: RestingOrder | None = None
        self._icebergs: dict[int, tuple[RestingOrder, int]] = {}
        self._prices: dict[int, int] = {}
        self.left = 0

    def first(self) -> RestingOrder:
        if not self.left:
            claim = next(self._claims)
            order = self._side.queue.get(claim)
            if order is None:
                order = self._side.queue[claim - HIDDEN]
                self.left = order.reserve
            else:
                self.left = order.remaining
            self._order = order
        assert self._order is not None
        return self._order

    def take(self, lots: int) -> None:
        order = self._order
        assert order is not None
        self.left -= lots
        price_ticks, order_id = order.price_ticks, order.order_id
        if order.reserve:
            self._prices.setdefault(price_ticks, 0)
            self._icebergs[order_id] = order, self._icebergs.get(order_id, (order, 0))[1] + lots
            return
        self._prices[price_ticks] = self._prices.get(price_ticks, 0) + lots
        if not self.left:
            del self._queue[order.entry]
            del self._by_account[order.account][order_id]

    def commit(self, matcher: Matcher, auction_id: int) -> list[AnyVenueEvent]:
        """Put what is left in place of the side; tells what icebergs show now."""
        order = self._order
        if self.left and order is not None and not order.reserve:
            order.remaining = self.left
        side = self._side
        side.queue = self._queue
        for price_ticks, lots in self._prices.items():
            if lots:
                side.show(price_ticks, -lots)
        events = [
            self._settle_iceberg(iceberg, taken, matcher, auction_id)
            for iceberg, taken in self._icebergs.values()
        ]
        side.rebuild()
        return events

    def _settle_iceberg(
        self, order: RestingOrder, taken: int, matcher: Matcher, auction_id: int
    ) -> AnyVenueEvent:
        side, price_ticks, before, left = self._side, order.price_ticks, order.remaining, order.left - taken
        side.show(price_ticks, -before)
        side.hide(price_ticks, -order.reserve)
        del side.queue[order.entry]
        if not left:
            del self._by_account[order.account][order.order_id]
            order.remaining = 0
        elif taken < before:
            order.remaining = before - taken
        else:
            order.show(left)
            matcher.counters.extra_places += 1
            order.entry = matcher.entry(order.side, price_ticks, auction_id)
        if left:
            side.queue[order.entry] = order
            side.show(price_ticks, order.remaining)
            if order.reserve:
                side.hide(price_ticks, order.reserve)
        shown = order.remaining - (before - taken)
        return DisplayChanged(order.order_id, matcher.book.instrument_id, order.side, price_ticks, shown)

    def levels(self, side: Side) -> Iterator[LevelChange]:
        """The levels that it took from, as they are now."""
        for price_ticks in self._prices:
            yield side, price_ticks, self._side.totals.get(price_ticks, 0)
