"""Price-time matching in one book: what becomes of an order and of a cancel.

Every function returns its events in the order in which they happened. Exactly one of them ends an order: the
trade that fills it, or one :class:`Cancelled`. Where self-trades are prevented, what happens to an order that
meets one of its own account is its mode's to say: its trades stand in any case, and what is cancelled is
cancelled as ``SELF_TRADE``.
"""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from exchange.base.bounds import MAX_DEAD_ENTRIES, MAX_PRICE_TICKS
from exchange.engine.book import CROSSING, PRIORITY_BITS, Book, BookSide, RestingOrder
from exchange.engine.stops import StopOrder
from exchange.model.commands import OrderTerms
from exchange.model.events import (
    Acknowledged,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Decremented,
    DisplayChanged,
    Traded,
)
from exchange.model.types import CancelReason, PostOnly, SelfTradePrevention, Side

# Reading a member of an Enum costs more than a function call on Python 3.11.
_BUY = Side.BUY
_REQUESTED = CancelReason.REQUESTED
_IOC_REMAINDER = CancelReason.IOC_REMAINDER
_SELF_TRADE = CancelReason.SELF_TRADE

_NO_PREVENTION = SelfTradePrevention.NONE
_ENDING = (SelfTradePrevention.CANCEL_TAKER, SelfTradePrevention.CANCEL_BOTH)

_NOBODY = -1


class VenueCounters(msgspec.Struct, array_like=True):
    """All books of a venue count on the same.

    ``extra_places``: how many places icebergs and stops have taken beside those of the commands.
    """

    trade_id: int = 0
    extra_places: int = 0


class Aggressor(msgspec.Struct, gc=False):
    """An order while it takes. ``quantity`` is its total; ``counted_ticks`` is the price at which its lots
    count so far: another than its own where it is amended, which is told last.

    ``places``: the extra places that were taken when its own was given, ``entry``.
    ``has_ended``: it met an order of its own account and goes no further.
    """

    order_id: int
    account: int
    side: Side
    price_ticks: int
    entry: int
    quantity: int
    remaining: int
    mode: SelfTradePrevention
    places: int
    counted_ticks: int
    has_ended: bool = False


class Matcher:
    """Changes one book. ``prevention`` is for orders that choose no mode themselves.

    ``in_call``: orders rest whether they cross or not, until an uncross (:mod:`exchange.engine.auction`).
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_by_account",
        "_instrument_id",
        "_prevents",
        "book",
        "counters",
        "in_call",
        "prevention",
        "stops",
    )

    def __init__(self, book: Book, counters: VenueCounters, prevention: SelfTradePrevention) -> None:
        self.book = book
        self.stops = book.stops
        self.counters = counters
        self.prevention = prevention
        self._instrument_id = book.instrument_id
        self._bids = book.bids
        self._asks = book.asks
        self._by_account = book.by_account
        self._prevents = prevention is not SelfTradePrevention.NONE
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
        place = order_id + self.counters.extra_places
        if side is _BUY:
            own, heap = self._bids, self._asks.heap
            entry = place - (price_ticks << PRIORITY_BITS)
        else:
            own, heap = self._asks, self._bids.heap
            entry = place + (price_ticks << PRIORITY_BITS)
        instrument_id = self._instrument_id
        events: list[AnyVenueEvent] = [Acknowledged(order_id, instrument_id, side, price_ticks, quantity)]
        remaining = quantity
        if heap and heap[0] + entry < CROSSING:
            barred = account if self._prevents else _NOBODY
            remaining = self._match(entry, order_id, account, side, quantity, events, barred)
            if not remaining:
                return events
            if heap and heap[0] + entry < CROSSING:
                places = place - order_id
                met = Aggressor(
                    order_id,
                    account,
                    side,
                    price_ticks,
                    entry,
                    quantity,
                    remaining,
                    self.prevention,
                    places,
                    price_ticks,
                )
                self._meet_own(met, events)
                quantity, remaining = met.quantity, met.remaining
                if not remaining:
                    return events
                if met.has_ended:
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

    # --- for orders with terms (exchange.engine.controls) ----------------------------------------

    def entry(self, side: Side, price_ticks: int, sequence: int) -> int:
        """What a claim on a price that is made now, within command ``sequence``, is in the heap."""
        place = sequence + self.counters.extra_places
        return (
            place - (price_ticks << PRIORITY_BITS) if side is _BUY else place + (price_ticks << PRIORITY_BITS)
        )

    def makers(self, side: Side) -> BookSide:
        """The side that an order of ``side`` trades with."""
        return self._asks if side is _BUY else self._bids

    def crosses(self, side: Side, entry: int) -> bool:
        """Whether an order there would trade."""
        heap = self.makers(side).heap
        return bool(heap) and heap[0] + entry < CROSSING

    def take(self, aggressor: Aggressor, events: list[AnyVenueEvent]) -> None:
        """Trade with what crosses, and do what the order's mode says where it meets its own."""
        barred = _NOBODY if aggressor.mode is _NO_PREVENTION else aggressor.account
        aggressor.remaining = self._match(
            aggressor.entry,
            aggressor.order_id,
            aggressor.account,
            aggressor.side,
            aggressor.remaining,
            events,
            barred,
        )
        self._meet_own(aggressor, events)

    def rest(self, order: RestingOrder) -> list[AnyVenueEvent]:
        """Put an order into the book; an iceberg says what of it is not shown."""
        (self._bids if order.side is _BUY else self._asks).rest(order)
        self._by_account[order.account][order.order_id] = order
        return self.display(order, -order.reserve)

    def hold(
        self,
        order_id: int,
        account: int,
        side: Side,
        price_ticks: int,
        quantity: int,
        auction_only: bool,
        terms: OrderTerms | None = None,
        is_day: bool = False,
    ) -> list[AnyVenueEvent]:
        """Take a new order in a call: it rests whatever it crosses."""
        assert self.in_call
        order = RestingOrder(
            order_id,
            account,
            side,
            price_ticks,
            quantity,
            quantity,
            self.entry(side, price_ticks, order_id),
            auction_only,
            0,
            terms,
            is_day,
        )
        order.show(quantity)
        if auction_only:
            self.book.has_auction_only = True
        acknowledged = Acknowledged(order_id, self._instrument_id, side, price_ticks, quantity)
        return [acknowledged, *self.rest(order)]

    # --- cancel -------------------------------------------------------------------------

    def cancel(self, account: int, order_id: int, reason: CancelReason = _REQUESTED) -> list[AnyVenueEvent]:
        """Cancel an order of ``account``, or a stop that waits; refused if there is none."""
        order = self._by_account[account].pop(order_id, None)
        if order is None:
            return self._cancel_stop(account, order_id, reason)
        side = order.side
        (self._bids if side is _BUY else self._asks).take_out(order)
        if order.reserve:
            return self.removed(order, reason)
        return [Cancelled(order_id, self._instrument_id, side, order.price_ticks, order.remaining, reason)]

    def removed(self, order: RestingOrder, reason: CancelReason) -> list[AnyVenueEvent]:
        """What is told of an order that was taken out; the hidden lots of an iceberg come to light."""
        cancelled = Cancelled(
            order.order_id, self._instrument_id, order.side, order.price_ticks, order.left, reason
        )
        return [*self.display(order, order.reserve), cancelled] if order.reserve else [cancelled]

    def post_only_price(self, post_only: PostOnly, side: Side, price_ticks: int) -> int | None:
        """The price at which an order would rest without taking: its own, one tick behind the best opposite,
        or None where it may not be moved or there is no such price.
        """
        best = self.makers(side).best()
        if best is None or (best[0] - price_ticks) * side.sign > 0:
            return price_ticks
        behind = best[0] - side.sign
        return behind if post_only is PostOnly.REPRICE and 1 <= behind <= MAX_PRICE_TICKS else None

    def side_of(self, order: RestingOrder) -> BookSide:
        """The side an order is on."""
        return self._bids if order.side is _BUY else self._asks

    def display(self, order: RestingOrder, lots: int) -> list[AnyVenueEvent]:
        """What is told where an iceberg shows ``lots`` more, fewer where negative."""
        if not lots:
            return []
        return [DisplayChanged(order.order_id, self._instrument_id, order.side, order.price_ticks, lots)]

    # --- stops ------------------------------------------------------------------------------------

    def _cancel_stop(self, account: int, order_id: int, reason: CancelReason) -> list[AnyVenueEvent]:
        stop = self.stops.find(account, order_id)
        if stop is None:
            return [CancelRefused(order_id)]
        self.stops.take_out(stop)
        return [self.stop_cancelled(stop, reason)]

    def stop_cancelled(self, stop: StopOrder, reason: CancelReason) -> Cancelled:
        """The end of a stop that never entered the market."""
        side, price_ticks = stop.command.side, stop.stop_price_ticks
        return Cancelled(
            stop.order_id, self._instrument_id, side, price_ticks, stop.quantity, reason, parked=True
        )

    # --- trading ----------------------------------------------------------------------------------

    def _meet_own(self, aggressor: Aggressor, events: list[AnyVenueEvent]) -> None:
        """What still crosses can only be an order of its own account: do what the mode says, and go on."""
        makers, mode = self.makers(aggressor.side), aggressor.mode
        while aggressor.remaining and self.crosses(aggressor.side, aggressor.entry):
            own = makers.queue[makers.heap[0]]
            assert own.account == aggressor.account
            if mode is SelfTradePrevention.DECREMENT:
                self._decrement(aggressor, own, events)
            elif mode is not SelfTradePrevention.CANCEL_TAKER:
                events += self.cancel(own.account, own.order_id, _SELF_TRADE)
            if mode in _ENDING:
                aggressor.has_ended = True
            if aggressor.has_ended:
                return
            aggressor.remaining = self._match(
                # Icebergs that it refilled before it met its own have taken the places after its own.
                aggressor.entry + self.counters.extra_places - aggressor.places,
                aggressor.order_id,
                aggressor.account,
                aggressor.side,
                aggressor.remaining,
                events,
                aggressor.account,
            )

    def _decrement(self, aggressor: Aggressor, own: RestingOrder, events: list[AnyVenueEvent]) -> None:
        """Both lose what the smaller of them has left; that one is cancelled."""
        by, own_left = aggressor.remaining, own.left
        if own_left <= by:
            events += self.cancel(own.account, own.order_id, _SELF_TRADE)
        else:
            events += self._give_up(own, by)
        if by <= own_left:
            aggressor.has_ended = True
            return
        aggressor.remaining -= own_left
        aggressor.quantity -= own_left
        events.append(
            Decremented(
                aggressor.order_id,
                self._instrument_id,
                aggressor.side,
                aggressor.counted_ticks,
                own_left,
                aggressor.quantity,
                aggressor.remaining,
            )
        )

    def _give_up(self, order: RestingOrder, lots: int) -> list[AnyVenueEvent]:
        side, price, hidden, shown = self.side_of(order), order.price_ticks, order.reserve, order.remaining
        events = self.display(order, hidden)
        order.quantity -= lots
        order.lower(lots)
        if hidden:
            side.hide(price, order.reserve - hidden)
        side.totals[price] += order.remaining - shown
        events.append(
            Decremented(
                order.order_id, self._instrument_id, order.side, price, lots, order.quantity, order.left
            )
        )
        return events + self.display(order, -order.reserve)

    def _refill(self, makers: BookSide, order: RestingOrder, place: int) -> list[AnyVenueEvent]:
        """The shown lots of an iceberg are traded: show more, at the tail of its price."""
        heappop(makers.heap)
        del makers.queue[order.entry]
        if makers.dead:
            makers.surface()
        price = order.price_ticks
        makers.hide(price, -order.reserve)
        order.show(order.reserve)
        order.entry = (
            place - (price << PRIORITY_BITS) if order.side is _BUY else place + (price << PRIORITY_BITS)
        )
        makers.rest(order)
        return self.display(order, order.remaining)

    def _match(
        self,
        entry: int,
        order_id: int,
        account: int,
        side: Side,
        remaining: int,
        events: list[AnyVenueEvent],
        barred: int,
    ) -> int:
        """Trade with what crosses ``entry``, up to an order of account ``barred``; gives what is left."""
        makers = self._asks if side is _BUY else self._bids
        heap, queue, totals, by_account = makers.heap, makers.queue, makers.totals, self._by_account
        counters, instrument_id = self.counters, self._instrument_id
        trade_id = counters.trade_id
        refills = 0
        while remaining and heap and (top := heap[0]) + entry < CROSSING:
            maker = queue[top]
            maker_account, price, traded = maker.account, maker.price_ticks, maker.remaining
            if maker_account == barred:
                break
            maker_id = maker.order_id
            if traded > remaining:
                maker.remaining = traded - remaining
                traded = remaining
            elif maker.reserve:
                maker.remaining = 0
            else:
                del queue[top]
                del by_account[maker_account][maker_id]
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
            events.append(
                Traded(
                    trade_id, instrument_id, price, traded, maker_id, order_id, maker_account, account, side
                )
            )
            self.book.last_trade_ticks = price
            if maker.reserve and not maker.remaining:
                refills += 1
                events += self._refill(makers, maker, entry % CROSSING + refills)
        counters.trade_id = trade_id
        if refills:
            counters.extra_places += refills
        if makers.dead > MAX_DEAD_ENTRIES:
            makers.sweep()
        return remaining
