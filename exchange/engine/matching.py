"""Price-time matching in one book: what becomes of an order, a cancel and an amend.

Every function returns its events in the order in which they happened. Exactly one of them ends an order: the
trade that fills it, or one :class:`Cancelled`. Where self-trades are prevented, an order that meets one of
its own account ends there: its trades stand, what is left is cancelled, ``SELF_TRADE``. If an amend ran into
it, :class:`Amended` still comes before that, since the trades may be of the new total.
"""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from exchange.base.bounds import MAX_DEAD_ENTRIES
from exchange.engine.book import CROSSING, PRIORITY_BITS, Book, RestingOrder
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Traded,
)
from exchange.model.types import CancelReason, Side

# Reading a member of an Enum costs more than a function call on Python 3.11.
_BUY = Side.BUY
_REQUESTED = CancelReason.REQUESTED
_IOC_REMAINDER = CancelReason.IOC_REMAINDER
_SELF_TRADE = CancelReason.SELF_TRADE
_AMENDED_BELOW_FILLED = CancelReason.AMENDED_BELOW_FILLED

_NOBODY = -1


class TradeCounter(msgspec.Struct):
    """Number of the venue's last trade; all its books count on the same."""

    last: int = 0


class Matcher:
    """Changes one book. ``prevent_self_trade`` is SelfTradePrevention.CANCEL_TAKER.

    ``in_call``: orders rest whether they cross or not, until an uncross (:mod:`exchange.engine.auction`).
    """

    __slots__ = ("_asks", "_bids", "_by_account", "_instrument_id", "_prevent", "_trades", "book", "in_call")

    def __init__(self, book: Book, trades: TradeCounter, prevent_self_trade: bool) -> None:
        self.book = book
        self._instrument_id = book.instrument_id
        self._bids = book.bids
        self._asks = book.asks
        self._by_account = book.by_account
        self._trades = trades
        self._prevent = prevent_self_trade
        self.in_call = False

    def enter(
        self,
        order_id: int,
        account: int,
        side: Side,
        price_ticks: int,
        quantity: int,
        rests: bool,
        remainder: CancelReason = _IOC_REMAINDER,
    ) -> list[AnyVenueEvent]:
        """Take a new order. What is left of one that never rests is cancelled, reason ``remainder``."""
        if side is _BUY:
            own, heap = self._bids, self._asks.heap
            entry = order_id - (price_ticks << PRIORITY_BITS)
        else:
            own, heap = self._asks, self._bids.heap
            entry = order_id + (price_ticks << PRIORITY_BITS)
        instrument_id = self._instrument_id
        events: list[AnyVenueEvent] = [Acknowledged(order_id, instrument_id, side, price_ticks, quantity)]
        remaining = quantity
        if heap and heap[0] + entry < CROSSING:
            remaining = self._match(entry, order_id, account, side, quantity, events)
            if not remaining:
                return events
            if heap and heap[0] + entry < CROSSING:
                rests, remainder = False, _SELF_TRADE
        if rests:
            # BookSide.rest, written out: the call costs 4 % of a whole flow.
            heappush(own.heap, entry)
            own.queue[entry] = self._by_account[account][order_id] = RestingOrder(
                order_id, account, side, price_ticks, quantity, remaining, entry
            )
            totals = own.totals
            totals[price_ticks] = totals.get(price_ticks, 0) + remaining
        else:
            events.append(Cancelled(order_id, instrument_id, side, price_ticks, remaining, remainder))
        return events

    def hold(
        self, order_id: int, account: int, side: Side, price_ticks: int, quantity: int, auction_only: bool
    ) -> list[AnyVenueEvent]:
        """Take a new order in a call: it rests whatever it crosses."""
        assert self.in_call
        if side is _BUY:
            own, entry = self._bids, order_id - (price_ticks << PRIORITY_BITS)
        else:
            own, entry = self._asks, order_id + (price_ticks << PRIORITY_BITS)
        order = RestingOrder(order_id, account, side, price_ticks, quantity, quantity, entry, auction_only)
        own.rest(order)
        self._by_account[account][order_id] = order
        if auction_only:
            self.book.has_auction_only = True
        return [Acknowledged(order_id, self._instrument_id, side, price_ticks, quantity)]

    def cancel(self, account: int, order_id: int, reason: CancelReason = _REQUESTED) -> list[AnyVenueEvent]:
        """Cancel an order of ``account``; refused if it does not rest."""
        order = self._by_account[account].pop(order_id, None)
        if order is None:
            return [CancelRefused(order_id)]
        side = order.side
        (self._bids if side is _BUY else self._asks).take_out(order)
        return [Cancelled(order_id, self._instrument_id, side, order.price_ticks, order.remaining, reason)]

    def amend(
        self, sequence: int, account: int, order_id: int, quantity: int | None, price_ticks: int | None
    ) -> list[AnyVenueEvent]:
        """Change total or price of an order of ``account``; None keeps what is. Refused if it does not rest.

        A total at or below what has filled cancels the order. A lower quantity at the same price keeps its
        place; any other change gives the order the place, and the chance to trade, of a new one.
        """
        order = self._by_account[account].get(order_id)
        if order is None:
            return [AmendRefused(order_id)]
        if quantity is None:
            quantity = order.quantity
        if price_ticks is None:
            price_ticks = order.price_ticks
        remaining = quantity - order.quantity + order.remaining
        if remaining <= 0:
            return self.cancel(account, order_id, _AMENDED_BELOW_FILLED)
        if price_ticks == order.price_ticks and quantity <= order.quantity:
            return [self._lower(order, quantity, remaining)]
        return self._replace(sequence, order, price_ticks, quantity, remaining)

    def _lower(self, order: RestingOrder, quantity: int, remaining: int) -> Amended:
        side, price, old_remaining = order.side, order.price_ticks, order.remaining
        totals = (self._bids if side is _BUY else self._asks).totals
        totals[price] += remaining - old_remaining
        order.quantity, order.remaining = quantity, remaining
        return Amended(
            order.order_id, self._instrument_id, side, price, quantity, remaining, price, old_remaining
        )

    def _replace(
        self, sequence: int, order: RestingOrder, price: int, quantity: int, remaining: int
    ) -> list[AnyVenueEvent]:
        order_id, account, side, instrument_id = (
            order.order_id,
            order.account,
            order.side,
            self._instrument_id,
        )
        old_price, old_remaining = order.price_ticks, order.remaining
        if side is _BUY:
            own, heap = self._bids, self._asks.heap
            entry = sequence - (price << PRIORITY_BITS)
        else:
            own, heap = self._asks, self._bids.heap
            entry = sequence + (price << PRIORITY_BITS)
        own.take_out(order)
        events: list[AnyVenueEvent] = []
        crosses = bool(heap) and heap[0] + entry < CROSSING and not self.in_call
        if crosses:
            remaining = self._match(entry, order_id, account, side, remaining, events)
        events.append(
            Amended(order_id, instrument_id, side, price, quantity, remaining, old_price, old_remaining)
        )
        if not remaining:
            del self._by_account[account][order_id]
        elif crosses and heap and heap[0] + entry < CROSSING:
            del self._by_account[account][order_id]
            events.append(Cancelled(order_id, instrument_id, side, price, remaining, _SELF_TRADE))
        else:
            order.price_ticks, order.quantity, order.remaining, order.entry = (
                price,
                quantity,
                remaining,
                entry,
            )
            own.rest(order)
        return events

    def _match(
        self,
        entry: int,
        order_id: int,
        account: int,
        side: Side,
        remaining: int,
        events: list[AnyVenueEvent],
    ) -> int:
        """Trade with what crosses ``entry``; gives what is left. If that still crosses, it met its own."""
        makers = self._asks if side is _BUY else self._bids
        heap, queue, totals, by_account = makers.heap, makers.queue, makers.totals, self._by_account
        trade_id, instrument_id = self._trades.last, self._instrument_id
        barred = account if self._prevent else _NOBODY
        while remaining and heap and (top := heap[0]) + entry < CROSSING:
            maker = queue[top]
            maker_account, price, traded = maker.account, maker.price_ticks, maker.remaining
            if maker_account == barred:
                break
            if traded > remaining:
                maker.remaining = traded - remaining
                traded = remaining
            else:
                del queue[top]
                del by_account[maker_account][maker.order_id]
                heappop(heap)
                if makers.dead:
                    makers.surface()
            remaining -= traded
            left = totals[price] - traded
            if left:
                totals[price] = left
            else:
                del totals[price]
            trade_id += 1
            maker_id = maker.order_id
            trade = Traded(
                trade_id, instrument_id, price, traded, maker_id, order_id, maker_account, account, side
            )
            events.append(trade)
            self.book.last_trade_ticks = price
        self._trades.last = trade_id
        if makers.dead > MAX_DEAD_ENTRIES:
            makers.sweep()
        return remaining
