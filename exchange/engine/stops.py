"""Stop orders: they wait beside the book until the last trade price reaches their stop price.

A buy is reached at or above it, a sell at or below. What is reached takes its turn in the order of order_id,
and stays reached wherever the price goes meanwhile.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import msgspec

from exchange.base.bounds import MAX_DEAD_ENTRIES
from exchange.model.commands import NewOrder
from exchange.model.types import Side


class StopOrder(msgspec.Struct, array_like=True, gc=False):
    """A stop that waits. ``price_ticks`` is its limit once triggered, None for the edge of the band."""

    order_id: int
    command: NewOrder
    stop_price_ticks: int
    price_ticks: int | None
    quantity: int
    is_reached: bool = False

    @property
    def reach(self) -> int:
        """What the heap of its side is ordered by: the first to be reached has the lowest."""
        return self.stop_price_ticks * self.command.side.sign


class StopBook:
    """The stops of one instrument. Each heap has (reach, order_id), and entries of stops that are gone."""

    __slots__ = ("_buys", "_reached", "_sells", "by_account", "orders")

    def __init__(self) -> None:
        self.orders: dict[int, StopOrder] = {}
        self.by_account: dict[int, dict[int, StopOrder]] = {}
        self._buys: list[tuple[int, int]] = []
        self._sells: list[tuple[int, int]] = []
        self._reached: list[int] = []

    @property
    def has_reached(self) -> bool:
        """Whether a stop is to take its turn."""
        self._drop_gone()
        return bool(self._reached)

    def park(self, stop: StopOrder) -> None:
        """Let a stop wait."""
        self.orders[stop.order_id] = stop
        self.by_account.setdefault(stop.command.account, {})[stop.order_id] = stop
        if stop.is_reached:
            heappush(self._reached, stop.order_id)
        else:
            self._push(stop)

    def find(self, account: int, order_id: int) -> StopOrder | None:
        """The stop of ``account`` with this number."""
        return self.by_account.get(account, {}).get(order_id)

    def take_out(self, stop: StopOrder) -> None:
        """Forget a stop, triggered or cancelled."""
        del self.orders[stop.order_id]
        own = self.by_account[stop.command.account]
        del own[stop.order_id]
        if not own:
            del self.by_account[stop.command.account]

    def move(self, stop: StopOrder, stop_price_ticks: int) -> None:
        """Give a stop another stop price; one that is reached takes its turn all the same."""
        if stop_price_ticks != stop.stop_price_ticks:
            stop.stop_price_ticks = stop_price_ticks
            if not stop.is_reached:
                self._push(stop)

    def reach(self, last_trade_ticks: int) -> None:
        """A trade at this price: the stops that it reaches are to take their turn."""
        self._reach(self._buys, last_trade_ticks)
        self._reach(self._sells, -last_trade_ticks)

    def next(self) -> StopOrder | None:
        """The stop whose turn it is, taken out; None when no stop is reached."""
        if not self.has_reached:
            return None
        stop = self.orders[heappop(self._reached)]
        self.take_out(stop)
        return stop

    def clear(self) -> list[StopOrder]:
        """Forget every stop; gives them by order_id."""
        stops = sorted(self.orders.values(), key=lambda stop: stop.order_id)
        for each in (self.orders, self.by_account, self._buys, self._sells, self._reached):
            each.clear()
        return stops

    def snapshot(self) -> list[StopOrder]:
        """Everything, by order_id, to be encoded before the next command: it is not a copy."""
        return sorted(self.orders.values(), key=lambda stop: stop.order_id)

    def load(self, stops: list[StopOrder]) -> None:
        """Take over a snapshot, as an empty book of stops."""
        for stop in stops:
            self.park(stop)

    def state(self) -> object:
        """Canonical content for the state hash."""
        return sorted(
            [stop.order_id, stop.stop_price_ticks, stop.price_ticks, stop.quantity, stop.is_reached]
            for stop in self.orders.values()
        )

    def _heap(self, side: Side) -> list[tuple[int, int]]:
        return self._buys if side is Side.BUY else self._sells

    def _push(self, stop: StopOrder) -> None:
        heap = self._heap(stop.command.side)
        heappush(heap, (stop.reach, stop.order_id))
        if len(heap) > 2 * len(self.orders) + MAX_DEAD_ENTRIES:
            side = stop.command.side
            heap[:] = [
                (each.reach, each.order_id)
                for each in self.orders.values()
                if each.command.side is side and not each.is_reached
            ]
            heapify(heap)

    def _reach(self, heap: list[tuple[int, int]], level: int) -> None:
        while heap and heap[0][0] <= level:
            reach, order_id = heappop(heap)
            stop = self.orders.get(order_id)
            # An entry may be of a stop that is gone, or from before it was moved.
            if stop is not None and not stop.is_reached and stop.reach == reach:
                stop.is_reached = True
                heappush(self._reached, order_id)

    def _drop_gone(self) -> None:
        while self._reached and self._reached[0] not in self.orders:
            heappop(self._reached)
