"""The book of one instrument: orders at rest, in price-time priority.

Each side is a ``heapq`` with one integer per order, made of its price and of the sequence of the command that
gave the order its place. The smallest entry of a side is its best price and, within that, its oldest claim.

An order that leaves from within the heap leaves its entry behind, dead. Dead entries are dropped as they come
to the top, so that the top is always live, and swept out before they outnumber the live ones: space and time
stay proportional to live orders however many are cancelled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, nlargest, nsmallest
from typing import Final, TypeAlias

import msgspec

from exchange.base.bounds import MAX_DEAD_ENTRIES, MAX_DEAD_SURFACING, MAX_PRICE_TICKS
from exchange.model.types import Side

PRIORITY_BITS: Final = 40
MAX_SEQUENCE: Final = 2 ** (PRIORITY_BITS - 1) - 1
"""Sequences of more commands than any game will see; the sum of two still fits beside a price."""

CROSSING: Final = 1 << PRIORITY_BITS
"""A bid and an ask cross when the sum of their entries is below this.

The prices in the sum are ask minus bid, and two sequences never carry into them.
"""

MARKET_BID: Final = MAX_PRICE_TICKS + 1
MARKET_ASK: Final = 0
"""Where market orders wait for an auction: ahead of every limit. These two levels are never shown."""

Level: TypeAlias = tuple[int, int]
"""Price in ticks and the lots that rest there."""


class RestingOrder(msgspec.Struct, array_like=True, gc=False):
    """An order in the book. ``quantity`` is its total (FIX OrderQty), ``entry`` its integer in the heap."""

    order_id: int
    account: int
    side: Side
    price_ticks: int
    quantity: int
    remaining: int
    entry: int
    auction_only: bool = False
    """Whether the next uncross ends what it leaves: a market or immediate-or-cancel order of a call."""

    @property
    def priority(self) -> int:
        """Sequence of the command that gave the order its place."""
        return self.entry % CROSSING


class BestPrices(msgspec.Struct, frozen=True, gc=False):
    """Best bid and offer with the lots that rest there; of an empty side None and 0."""

    bid_ticks: int | None
    ask_ticks: int | None
    bid_quantity: int
    ask_quantity: int


class Depth(msgspec.Struct, frozen=True):
    """Levels of both sides, best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class BookSide:
    """One side. ``heap`` orders the entries, ``queue`` has the live ones, ``totals`` the lots at each price.

    ``dead`` counts the entries of ``heap`` that are not in ``queue``; the top of the heap never is one.
    """

    __slots__ = ("_surfaced", "dead", "heap", "queue", "totals")

    def __init__(self) -> None:
        self.heap: list[int] = []
        self.queue: dict[int, RestingOrder] = {}
        self.totals: dict[int, int] = {}
        self.dead = 0
        self._surfaced = 0

    def rest(self, order: RestingOrder) -> None:
        """Put ``order`` where its entry says."""
        entry, price, totals = order.entry, order.price_ticks, self.totals
        heappush(self.heap, entry)
        self.queue[entry] = order
        totals[price] = totals.get(price, 0) + order.remaining

    def take_out(self, order: RestingOrder) -> None:
        """Remove an order from wherever it is."""
        entry, price_ticks = order.entry, order.price_ticks
        queue, totals = self.queue, self.totals
        del queue[entry]
        left = totals[price_ticks] - order.remaining
        if left:
            totals[price_ticks] = left
        else:
            del totals[price_ticks]
        if self.heap[0] == entry:
            heappop(self.heap)
            if self.dead:
                self.surface()
        else:
            self.dead += 1
        if self.dead > MAX_DEAD_ENTRIES:
            self.sweep()

    def surface(self) -> None:
        """Restore the top after it was popped from a heap with dead entries."""
        heap, queue = self.heap, self.queue
        while heap[0] not in queue:
            heappop(heap)
            self.dead -= 1
            self._surfaced += 1
            if self._surfaced > MAX_DEAD_SURFACING + len(queue) // 8:
                self.rebuild()
            if not self.dead:
                break

    def sweep(self) -> None:
        """Rebuild if dead entries outnumber live ones; owed after orders left more than the permitted few."""
        if self.dead > len(self.queue):
            self.rebuild()

    def rebuild(self) -> None:
        """Make the heap anew from the live orders. In place, because matching holds on to the list."""
        self.heap[:] = self.queue
        heapify(self.heap)
        self.dead = self._surfaced = 0

    def best(self) -> Level | None:
        """Best price and the lots there."""
        if not self.heap:
            return None
        price = self.queue[self.heap[0]].price_ticks
        return price, self.totals[price]

    def orders(self) -> Iterator[RestingOrder]:
        """Every order, the one that trades first first."""
        return (self.queue[entry] for entry in sorted(self.queue))

    def load(self, orders: list[RestingOrder]) -> None:
        """Take over the orders of a snapshot, as an empty side."""
        totals = self.totals
        for order in orders:
            self.queue[order.entry] = order
            totals[order.price_ticks] = totals.get(order.price_ticks, 0) + order.remaining
        self.rebuild()

    def clear(self) -> None:
        """Remove every order."""
        self.queue.clear()
        self.totals.clear()
        self.rebuild()


def best_levels(bids: dict[int, int], asks: dict[int, int], limit: int) -> Depth:
    """At most ``limit`` levels a side, from the lots at each price; market orders that wait are in none."""
    if MARKET_BID in bids:
        bids = {price: lots for price, lots in bids.items() if price != MARKET_BID}
    if MARKET_ASK in asks:
        asks = {price: lots for price, lots in asks.items() if price != MARKET_ASK}
    return Depth(
        tuple((price, bids[price]) for price in nlargest(limit, bids)),
        tuple((price, asks[price]) for price in nsmallest(limit, asks)),
    )


class BookSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The whole book of one instrument."""

    instrument_id: str
    bids: list[RestingOrder]
    asks: list[RestingOrder]
    last_trade_ticks: int
    has_auction_only: bool


class Book:
    """Both sides of one instrument, and whose the orders are.

    ``by_account`` finds an order by its account and number; ``last_trade_ticks`` starts as the first price.
    In a call the sides may cross; ``has_auction_only`` once an order came that the uncross will end.
    """

    __slots__ = ("asks", "bids", "by_account", "has_auction_only", "instrument_id", "last_trade_ticks")

    def __init__(self, instrument_id: str, first_price_ticks: int) -> None:
        self.instrument_id = instrument_id
        self.bids = BookSide()
        self.asks = BookSide()
        self.by_account: defaultdict[int, dict[int, RestingOrder]] = defaultdict(dict)
        self.last_trade_ticks = first_price_ticks
        self.has_auction_only = False

    @property
    def crosses(self) -> bool:
        """Whether a bid and an ask could trade: only in a call."""
        bids, asks = self.bids.heap, self.asks.heap
        return bool(bids and asks) and bids[0] + asks[0] < CROSSING

    def best(self) -> BestPrices:
        """Best bid and offer."""
        if self.has_auction_only:
            # A market order may be first, at a price that is none.
            depth = self.depth(1)
            bid_ticks, bid_quantity = depth.bids[0] if depth.bids else (None, 0)
            ask_ticks, ask_quantity = depth.asks[0] if depth.asks else (None, 0)
        else:
            bid_ticks, bid_quantity = self.bids.best() or (None, 0)
            ask_ticks, ask_quantity = self.asks.best() or (None, 0)
        return BestPrices(bid_ticks, ask_ticks, bid_quantity, ask_quantity)

    def depth(self, limit: int) -> Depth:
        """At most ``limit`` levels a side."""
        return best_levels(self.bids.totals, self.asks.totals, limit)

    def clear(self) -> list[RestingOrder]:
        """Empty the book; gives the orders that were in it."""
        orders = [*self.bids.queue.values(), *self.asks.queue.values()]
        self.bids.clear()
        self.asks.clear()
        self.by_account.clear()
        self.has_auction_only = False
        return orders

    def state(self) -> object:
        """Canonical content for the state hash: orders in priority, nothing of what is dead."""
        return [
            self.instrument_id,
            self.last_trade_ticks,
            [_order_state(order) for order in self.bids.orders()],
            [_order_state(order) for order in self.asks.orders()],
        ]

    def snapshot(self) -> BookSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return BookSnapshot(
            self.instrument_id,
            list(self.bids.queue.values()),
            list(self.asks.queue.values()),
            self.last_trade_ticks,
            self.has_auction_only,
        )

    def load(self, snapshot: BookSnapshot) -> None:
        """Take over a snapshot, as an empty book."""
        self.bids.load(snapshot.bids)
        self.asks.load(snapshot.asks)
        for order in (*snapshot.bids, *snapshot.asks):
            self.by_account[order.account][order.order_id] = order
        self.last_trade_ticks = snapshot.last_trade_ticks
        self.has_auction_only = snapshot.has_auction_only


def _order_state(order: RestingOrder) -> list[int]:
    return [
        order.order_id,
        order.account,
        order.price_ticks,
        order.quantity,
        order.remaining,
        order.priority,
        order.auction_only,
    ]
