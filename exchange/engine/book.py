"""The book of one instrument: orders at rest, in price-time priority.

Each side is a ``heapq`` with one integer per order, made of its price and of its place, a number that rises
with every claim on a price. The smallest entry of a side is its best price and, within that, the oldest
claim.

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
from exchange.engine.expiries import Expiry
from exchange.engine.stops import StopBook, StopOrder
from exchange.model.commands import OrderTerms
from exchange.model.types import Side

PRIORITY_BITS: Final = 40
MAX_SEQUENCE: Final = 2 ** (PRIORITY_BITS - 1) - 1
"""Places of more commands than any game will see; the sum of two still fits beside a price.

The place of a command is its sequence plus the places that icebergs and stops took for themselves before it.
"""

CROSSING: Final = 1 << PRIORITY_BITS
"""A bid and an ask cross when the sum of their entries is below this.

The prices in the sum are ask minus bid, and two places never carry into them.
"""

HIDDEN: Final = 1 << (PRIORITY_BITS - 1)
"""Added to an entry: where the hidden lots of an iceberg stand in an auction, behind what is shown."""

MARKET_BID: Final = MAX_PRICE_TICKS + 1
MARKET_ASK: Final = 0
"""Where market orders wait for an auction: ahead of every limit. These two levels are never shown."""

Level: TypeAlias = tuple[int, int]
"""Price in ticks and the lots that rest there."""


class RestingOrder(msgspec.Struct, array_like=True, gc=False):
    """An order in the book. ``quantity`` is its total (FIX OrderQty), ``entry`` its integer in the heap.

    ``remaining`` lots are shown and may trade now; an iceberg has ``reserve`` more behind them.
    """

    order_id: int
    account: int
    side: Side
    price_ticks: int
    quantity: int
    remaining: int
    entry: int
    auction_only: bool = False
    """Whether the next uncross ends what it leaves: an order of a call that is for its auction alone."""
    reserve: int = 0
    terms: OrderTerms | None = None
    is_day: bool = False
    """Whether the close ends it in a game that keeps other orders overnight."""

    @property
    def place(self) -> int:
        """Which claim on its price it is; a lower one comes first."""
        return self.entry % CROSSING

    @property
    def left(self) -> int:
        """All lots that may still trade (FIX LeavesQty)."""
        return self.remaining + self.reserve

    def show(self, left: int) -> None:
        """Let ``left`` lots be left, of which an iceberg shows no more than it may."""
        shown = None if self.terms is None else self.terms.display_quantity
        self.remaining = left if shown is None else min(shown, left)
        self.reserve = left - self.remaining

    def lower(self, lots: int) -> None:
        """Give up ``lots``, those that nobody sees first."""
        hidden = min(lots, self.reserve)
        self.reserve -= hidden
        self.remaining -= lots - hidden


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
    """One side. ``heap`` orders the entries, ``queue`` has the live ones, ``totals`` the lots that are shown
    at each price and ``hidden`` those that are not.

    ``dead`` counts the entries of ``heap`` that are not in ``queue``; the top of the heap never is one.
    """

    __slots__ = ("_surfaced", "dead", "heap", "hidden", "queue", "totals")

    def __init__(self) -> None:
        self.heap: list[int] = []
        self.queue: dict[int, RestingOrder] = {}
        self.totals: dict[int, int] = {}
        self.hidden: dict[int, int] = {}
        self.dead = 0
        self._surfaced = 0

    def rest(self, order: RestingOrder) -> None:
        """Put ``order`` where its entry says."""
        entry, price, totals = order.entry, order.price_ticks, self.totals
        heappush(self.heap, entry)
        self.queue[entry] = order
        totals[price] = totals.get(price, 0) + order.remaining
        if order.reserve:
            self.hide(price, order.reserve)

    def hide(self, price_ticks: int, lots: int) -> None:
        """``lots`` more are hidden at the price, fewer where negative."""
        left = self.hidden.get(price_ticks, 0) + lots
        if left:
            self.hidden[price_ticks] = left
        else:
            del self.hidden[price_ticks]

    def show(self, price_ticks: int, lots: int) -> None:
        """``lots`` more are shown at the price, fewer where negative."""
        left = self.totals.get(price_ticks, 0) + lots
        if left:
            self.totals[price_ticks] = left
        else:
            del self.totals[price_ticks]

    def lots(self) -> dict[int, int]:
        """All lots at each price, hidden ones too."""
        if not self.hidden:
            return self.totals
        return {price: lots + self.hidden.get(price, 0) for price, lots in self.totals.items()}

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
        if order.reserve:
            self.hide(price_ticks, -order.reserve)
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

    def ahead(self, opposite: int) -> Iterator[RestingOrder]:
        """The orders that cross the entry ``opposite``, first first; looks no further than it is asked."""
        heap, queue = self.heap, self.queue
        frontier = [(heap[0], 0)] if heap else []
        while frontier and frontier[0][0] + opposite < CROSSING:
            entry, at = heappop(frontier)
            if entry in queue:
                yield queue[entry]
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], child))

    def load(self, orders: list[RestingOrder]) -> None:
        """Take over the orders of a snapshot, as an empty side."""
        for order in orders:
            self.queue[order.entry] = order
            self.show(order.price_ticks, order.remaining)
            if order.reserve:
                self.hide(order.price_ticks, order.reserve)
        self.rebuild()

    def clear(self) -> None:
        """Remove every order."""
        self.queue.clear()
        self.totals.clear()
        self.hidden.clear()
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
    stops: list[StopOrder]
    last_trade_ticks: int
    has_auction_only: bool


class Book:
    """Both sides of one instrument, and whose the orders are.

    ``by_account`` finds an order by its account and number; ``last_trade_ticks`` starts as the first price.
    In a call the sides may cross; ``has_auction_only`` once an order came that the uncross will end.
    ``stops`` wait beside the book.
    """

    __slots__ = (
        "asks",
        "bids",
        "by_account",
        "has_auction_only",
        "instrument_id",
        "last_trade_ticks",
        "stops",
    )

    def __init__(self, instrument_id: str, first_price_ticks: int) -> None:
        self.instrument_id = instrument_id
        self.bids = BookSide()
        self.asks = BookSide()
        self.by_account: defaultdict[int, dict[int, RestingOrder]] = defaultdict(dict)
        self.last_trade_ticks = first_price_ticks
        self.has_auction_only = False
        self.stops = StopBook()

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
        """Empty the book but for its stops; gives the orders that were in it."""
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
            self.stops.state(),
        ]

    def expiries(self) -> Iterator[Expiry]:
        """The ends of the orders here that are good till a date."""
        for order in (*self.bids.queue.values(), *self.asks.queue.values()):
            expires_at_us = None if order.terms is None else order.terms.expires_at_us
            if expires_at_us is not None:
                yield Expiry(expires_at_us, order.order_id, order.account, self.instrument_id)
        for stop in self.stops.orders.values():
            expires_at_us = stop.command.all_terms.expires_at_us
            if expires_at_us is not None:
                yield Expiry(expires_at_us, stop.order_id, stop.command.account, self.instrument_id)

    def snapshot(self) -> BookSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return BookSnapshot(
            self.instrument_id,
            list(self.bids.queue.values()),
            list(self.asks.queue.values()),
            self.stops.snapshot(),
            self.last_trade_ticks,
            self.has_auction_only,
        )

    def load(self, snapshot: BookSnapshot) -> None:
        """Take over a snapshot, as an empty book."""
        self.bids.load(snapshot.bids)
        self.asks.load(snapshot.asks)
        for order in (*snapshot.bids, *snapshot.asks):
            self.by_account[order.account][order.order_id] = order
        self.stops.load(snapshot.stops)
        self.last_trade_ticks = snapshot.last_trade_ticks
        self.has_auction_only = snapshot.has_auction_only


def _order_state(order: RestingOrder) -> list[object]:
    return [
        order.order_id,
        order.account,
        order.price_ticks,
        order.quantity,
        order.remaining,
        order.place,
        order.auction_only,
        order.reserve,
        order.terms,
        order.is_day,
    ]
