"""The book of one instrument order by order, as a client keeps it: who stands where, and nobody's name."""

from __future__ import annotations

from typing import NamedTuple

from exchange.client.order_book import BookGap
from exchange.model.types import Side
from exchange.wire.events import OrdersSnapshot, OrdersUpdate, PlaceInQueue


class QueuedOrder(NamedTuple):
    """A place in the queue: within a price the smaller ``ref`` trades first."""

    ref: int
    price: float
    quantity: int


class OrderQueues:
    """``is_synced`` is false before the first whole snapshot, and while updates are known to be missing."""

    def __init__(self, instrument_id: str) -> None:
        self.instrument_id = instrument_id
        self.seq = 0
        self.timestamp = ""
        self.is_synced = False
        self._has_snapshot = False
        self._bids: dict[int, QueuedOrder] = {}
        self._asks: dict[int, QueuedOrder] = {}

    def bids(self) -> list[QueuedOrder]:
        """Buyers in the order in which they trade."""
        return sorted(self._bids.values(), key=lambda order: (-order.price, order.ref))

    def asks(self) -> list[QueuedOrder]:
        """Sellers in the order in which they trade."""
        return sorted(self._asks.values(), key=lambda order: (order.price, order.ref))

    def at(self, side: Side, price: float) -> list[QueuedOrder]:
        """The queue at one price."""
        orders = self.bids() if side is Side.BUY else self.asks()
        return [order for order in orders if order.price == price]

    def apply(self, event: OrdersSnapshot | OrdersUpdate) -> None:
        """Take in an event of ``orders.{instrument}``; raises BookGap when an update does not follow."""
        if isinstance(event, OrdersSnapshot):
            if event.part == 1:
                self._bids, self._asks = {}, {}
            self._has_snapshot = event.part == event.parts
        elif not self._has_snapshot or event.prev_seq != self.seq:
            self.is_synced = False
            raise BookGap(f"{self.instrument_id}: update after {event.prev_seq}, orders at {self.seq}")
        _put(self._bids, event.bids)
        _put(self._asks, event.asks)
        self.seq = event.seq
        self.timestamp = event.timestamp
        self.is_synced = self._has_snapshot

    def lose(self) -> None:
        """Updates are missing until :meth:`resume` or the next snapshot."""
        self.is_synced = False

    def resume(self) -> None:
        """The updates that follow its state are on their way."""
        self.is_synced = self._has_snapshot


def _put(orders: dict[int, QueuedOrder], changes: list[PlaceInQueue]) -> None:
    for ref, price, quantity in changes:
        if quantity:
            orders[ref] = QueuedOrder(ref, price, quantity)
        else:
            orders.pop(ref, None)
