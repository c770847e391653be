"""A venue that is slow and obviously right: one list of orders, searched from end to end.

It knows no heap, no totals and no index. Bands are disabled; the rest of the contract is that of
:class:`exchange.engine.venue.Venue`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from exchange.base.bounds import MAX_PRICE_TICKS, MAX_TRIGGERED_STOPS
from exchange.engine.book import MARKET_ASK, MARKET_BID, BestPrices, Depth, Level
from exchange.model.commands import (
    NO_TERMS,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    NewOrder,
    Record,
    SetPhase,
    SetProtection,
    TriggerStops,
    Uncross,
)
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Decremented,
    DisplayChanged,
    Parked,
    PhaseChanged,
    StopsWaiting,
    Traded,
    Triggered,
    Uncrossed,
)
from exchange.model.types import CancelReason, Phase, PostOnly, SelfTradePrevention, Side, TimeInForce
from tests.oracle.protection import OracleProtections

UNPRICED = (MARKET_BID, MARKET_ASK)


@dataclass
class OracleOrder:
    """An order that may trade; ``since`` is its claim on its price, ``shown`` what an iceberg shows of it."""

    order_id: int
    command: NewOrder
    price_ticks: int
    quantity: int
    since: int
    filled: int = 0
    shown: int = 0
    auction_only: bool = False

    @property
    def account(self) -> int:
        return self.command.account

    @property
    def instrument_id(self) -> str:
        return self.command.instrument_id

    @property
    def side(self) -> Side:
        return self.command.side

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled

    @property
    def hidden(self) -> int:
        return self.remaining - self.shown

    @property
    def peak(self) -> int:
        display = (self.command.terms or NO_TERMS).display_quantity
        return MAX_PRICE_TICKS if display is None else display

    def show(self) -> None:
        self.shown = min(self.peak, self.remaining)


@dataclass
class OracleStop:
    """A stop that waits."""

    order_id: int
    command: NewOrder
    stop_price_ticks: int
    price_ticks: int | None
    quantity: int
    reached: bool = False


def auction_price(orders: Sequence[OracleOrder], reference_ticks: int) -> tuple[int, int, int] | None:
    """Price, volume and surplus by trying every candidate: the rules as they are written down."""
    prices = {order.price_ticks for order in orders if order.price_ticks not in UNPRICED}
    if any(order.price_ticks in UNPRICED for order in orders):
        prices.add(reference_ticks)

    def lots(price: int) -> tuple[int, int]:
        buys = sum(o.remaining for o in orders if o.side is Side.BUY and o.price_ticks >= price)
        return buys, sum(o.remaining for o in orders if o.side is Side.SELL and o.price_ticks <= price)

    volume = max((min(lots(price)) for price in prices), default=0)
    if not volume:
        return None
    tied = {price: lots(price)[0] - lots(price)[1] for price in prices if min(lots(price)) == volume}
    least = min(abs(surplus) for surplus in tied.values())
    tied = {price: surplus for price, surplus in tied.items() if abs(surplus) == least}
    low, high = min(tied), max(tied)
    if all(surplus > 0 for surplus in tied.values()):
        chosen = high
    elif all(surplus < 0 for surplus in tied.values()):
        chosen = low
    else:
        middle = Fraction(low + high, 2)
        chosen = ceil(middle) if reference_ticks > middle else floor(middle)
    buys, sells = lots(chosen)
    return chosen, volume, buys - sells


class OracleVenue:
    """Price-time matching by looking at everything each time.

    ``batched`` are the instruments that trade in batch auctions; at most ``stops_at_once`` stops take their
    turn within one command.
    """

    def __init__(
        self,
        prevention: SelfTradePrevention,
        keeps_overnight: bool = False,
        instrument_ids: Sequence[str] = ("X", "Y"),
        batched: Collection[str] = (),
        stops_at_once: int = MAX_TRIGGERED_STOPS,
    ) -> None:
        self.orders: list[OracleOrder] = []
        self.stops: list[OracleStop] = []
        self.phase = Phase.CONTINUOUS
        self._references = dict.fromkeys(instrument_ids, 100)
        self._prevention = prevention
        self._keeps_overnight = keeps_overnight
        self._trades = 0
        self._claims = 0
        self._filled_before: dict[int, int] = {}
        self._batched = batched
        self._stops_at_once = stops_at_once
        self._commands: dict[int, NewOrder] = {}
        self._protections = OracleProtections(self._commands.__getitem__)
        self._now_us = 0

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """The events of one command."""
        self._now_us = record.timestamp_us
        if isinstance(record.command, NewOrder):
            self._commands[record.sequence] = record.command
        events = self._carry_out(record)
        return events if isinstance(record.command, SetPhase) else self._protected(events)

    def _carry_out(self, record: Record) -> list[AnyVenueEvent]:
        match record.command:
            case NewOrder() as command:
                events = self._new(record.sequence, command)
                return events + self._run_stops(command.instrument_id)
            case CancelOrder() as command:
                return self._cancel(command.account, command.order_id, CancelReason.REQUESTED)
            case AmendOrder() as command:
                events = self._amend(command)
                return events + self._run_stops(command.instrument_id)
            case CancelOrders() as command:
                return self._cancel_where(
                    command.reason,
                    lambda order: (
                        order.account == command.account
                        and any(_is_named(scope, order) for scope in command.scopes)
                    ),
                )
            case DisableTeam(account, True):
                return self._cancel_where(CancelReason.TEAM_DISABLED, lambda order: order.account == account)
            case ExpireOrders(due_us):
                live: list[OracleOrder | OracleStop] = [*self.orders, *self.stops]
                ends = {each.order_id: each.command.all_terms.expires_at_us for each in live}
                due = [(end, number) for number, end in ends.items() if end is not None and end <= due_us]
                return [
                    event
                    for _, number in sorted(due)
                    for event in self._end_number(number, CancelReason.EXPIRED)
                ]
            case SetPhase() as change:
                return self._set_phase(record.sequence, change)
            case _:
                return self._carry_out_rare(record)

    def _carry_out_rare(self, record: Record) -> list[AnyVenueEvent]:
        match record.command:
            case Uncross(instrument_id) if self._may_trade:
                return self._uncross(record.sequence, instrument_id) + self._run_stops(instrument_id)
            case TriggerStops(instrument_id):
                return self._run_stops(instrument_id)
            case SetProtection() as command:
                self._protections.set(command)
        return []

    # --- reading ------------------------------------------------------------------------------------

    def depth(self, instrument_id: str, levels: int) -> Depth:
        """Levels by adding up the orders."""
        bids, asks = self._levels(instrument_id, Side.BUY), self._levels(instrument_id, Side.SELL)
        return Depth(tuple(bids[::-1][:levels]), tuple(asks[:levels]))

    def best(self, instrument_id: str) -> BestPrices:
        """The first level of each side."""
        depth = self.depth(instrument_id, 1)
        bid = depth.bids[0] if depth.bids else (None, 0)
        ask = depth.asks[0] if depth.asks else (None, 0)
        return BestPrices(bid[0], ask[0], bid[1], ask[1])

    def _levels(self, instrument_id: str, side: Side) -> list[Level]:
        totals = self._totals(instrument_id, side)
        return sorted((price, lots) for price, lots in totals.items() if price not in UNPRICED)

    def _totals(self, instrument_id: str, side: Side) -> dict[int, int]:
        totals: dict[int, int] = {}
        for order in self._of(instrument_id, side):
            totals[order.price_ticks] = totals.get(order.price_ticks, 0) + order.shown
        return totals

    def _of(self, instrument_id: str, side: Side) -> list[OracleOrder]:
        return [each for each in self.orders if each.instrument_id == instrument_id and each.side is side]

    # --- phases and auctions ------------------------------------------------------------------------

    def _set_phase(self, sequence: int, command: SetPhase) -> list[AnyVenueEvent]:
        """Without phases of a single instrument."""
        self.phase = command.phase
        events: list[AnyVenueEvent] = [PhaseChanged(command.phase, command.reason)]
        if command.phase is Phase.CLOSED:
            events += self._close()
        if command.phase not in (Phase.OPENING_AUCTION, Phase.CONTINUOUS, Phase.CLOSING_AUCTION):
            return events
        for instrument_id in self._references:
            events += self._uncross(sequence, instrument_id)
            events += self._protected(self._run_stops(instrument_id))
        return events

    def _close(self) -> list[AnyVenueEvent]:
        """Quotes are for the day, and what waits for an auction that will not come ends too."""
        live: list[OracleOrder | OracleStop] = [*self.orders, *self.stops]
        ending = [
            each.order_id
            for each in live
            if not self._keeps_overnight
            or each.command.time_in_force is TimeInForce.DAY
            or (isinstance(each, OracleOrder) and each.auction_only)
        ]
        reason = CancelReason.MARKET_CLOSE
        return [event for number in sorted(ending) for event in self._end_number(number, reason)]

    def _protected(self, events: list[AnyVenueEvent]) -> list[AnyVenueEvent]:
        """With the end of the quotes that have been hit too often."""
        for group in self._protections.freeze(events, self._now_us):
            events += self._cancel_where(
                CancelReason.MARKET_MAKER_PROTECTION,
                lambda order, group=group: (order.account, order.all_terms.quote_group) == group,  # type: ignore[misc]
            )
        return events

    def _uncross(self, sequence: int, instrument_id: str) -> list[AnyVenueEvent]:
        events: list[AnyVenueEvent] = []
        result = auction_price(
            [each for each in self.orders if each.instrument_id == instrument_id],
            self._references[instrument_id],
        )
        if result is not None:
            events += self._auction(sequence, instrument_id, result)
        own = [each for each in self.orders if each.instrument_id == instrument_id]
        for order in sorted(own, key=lambda each: each.order_id):
            if order.auction_only:
                unpriced = order.price_ticks in UNPRICED
                reason = CancelReason.NO_LIQUIDITY if unpriced else CancelReason.IOC_REMAINDER
                events += self._end(order, reason)
        return events

    def _auction(
        self, sequence: int, instrument_id: str, result: tuple[int, int, int]
    ) -> list[AnyVenueEvent]:
        price_ticks, quantity, surplus = result
        self._references[instrument_id] = price_ticks
        icebergs = {each.order_id: each.shown for each in self.orders if each.hidden}
        self._filled_before = {each.order_id: each.filled for each in self.orders}
        taken: dict[Side, list[OracleOrder]] = {Side.BUY: [], Side.SELL: []}
        trades: list[AnyVenueEvent] = []
        left = quantity
        while left:
            trade = self._auction_trade(sequence, instrument_id, price_ticks, left, taken)
            trades.append(trade)
            left -= trade.quantity
        shown = [
            self._after_auction(order, icebergs[order.order_id])
            for side in Side
            for order in taken[side]
            if order.order_id in icebergs
        ]
        levels = tuple(
            (side, each, self._totals(instrument_id, side).get(each, 0))
            for side in Side
            for each in dict.fromkeys(order.price_ticks for order in taken[side])
        )
        return [*trades, *shown, Uncrossed(instrument_id, sequence, price_ticks, quantity, surplus, levels)]

    def _auction_trade(
        self,
        sequence: int,
        instrument_id: str,
        price_ticks: int,
        left: int,
        taken: dict[Side, list[OracleOrder]],
    ) -> Traded:
        """What is shown comes before what is hidden at the same price; nothing is shown anew meanwhile."""
        buys, sells = self._of(instrument_id, Side.BUY), self._of(instrument_id, Side.SELL)
        buy = min(buys, key=lambda order: (-order.price_ticks, not order.shown, order.since))
        sell = min(sells, key=lambda order: (order.price_ticks, not order.shown, order.since))
        assert buy.price_ticks >= price_ticks >= sell.price_ticks
        quantity = min(left, buy.shown or buy.hidden, sell.shown or sell.hidden)
        maker, taker = sorted((buy, sell), key=lambda order: order.order_id)
        self._trades += 1
        for order in (buy, sell):
            if order not in taken[order.side]:
                taken[order.side].append(order)
            order.shown -= quantity if order.shown else 0
            order.filled += quantity
            if order.remaining == 0:
                self.orders.remove(order)
        return Traded(
            self._trades,
            instrument_id,
            price_ticks,
            quantity,
            maker.order_id,
            taker.order_id,
            maker.account,
            taker.account,
            taker.side,
            sequence,
        )

    def _after_auction(self, order: OracleOrder, shown_before: int) -> DisplayChanged:
        """Measured against what would be shown if all that it traded had been."""
        traded = order.filled - self._filled_before[order.order_id]
        if not order.shown and order.remaining:
            order.show()
            self._claim(order)
        change = order.shown - (shown_before - traded)
        return DisplayChanged(order.order_id, order.instrument_id, order.side, order.price_ticks, change)

    # --- orders -------------------------------------------------------------------------------------

    def _new(self, sequence: int, command: NewOrder) -> list[AnyVenueEvent]:
        terms = command.all_terms
        if self._protections.is_frozen(command, self._now_us):
            return self._refuse_frozen(sequence, command)
        if terms.stop_price_ticks is not None:
            stop = OracleStop(
                sequence, command, terms.stop_price_ticks, command.price_ticks, command.quantity
            )
            self.stops.append(stop)
            return [
                Parked(
                    sequence, command.instrument_id, command.side, terms.stop_price_ticks, command.quantity
                )
            ]
        order = OracleOrder(sequence, command, self._limit(command), command.quantity, 0)
        at_once = self._matches_at_once(command.instrument_id)
        post_only = at_once and terms.post_only
        refused = post_only and not self._stay_behind(order, post_only)
        acknowledged = Acknowledged(
            sequence, order.instrument_id, order.side, order.price_ticks, order.quantity
        )
        self._enter(order)
        if refused:
            return [acknowledged, *self._end(order, CancelReason.POST_ONLY)]
        if not at_once:
            return [acknowledged, *self._wait(order)]
        if command.time_in_force is TimeInForce.FOK and not self._can_fill(order):
            return [acknowledged, *self._end(order, CancelReason.FOK)]
        return [acknowledged, *self._take_part(order)]

    def _refuse_frozen(self, sequence: int, command: NewOrder) -> list[AnyVenueEvent]:
        name, side, price_ticks, quantity = (
            command.instrument_id,
            command.side,
            command.price_ticks,
            command.quantity,
        )
        assert price_ticks is not None
        reason = CancelReason.MARKET_MAKER_PROTECTION
        return [
            Acknowledged(sequence, name, side, price_ticks, quantity),
            Cancelled(sequence, name, side, price_ticks, quantity, reason),
        ]

    def _wait(self, order: OracleOrder) -> list[AnyVenueEvent]:
        """For the next uncross."""
        order.auction_only = not order.command.can_rest
        return self._rested(order)

    def _take_part(self, order: OracleOrder) -> list[AnyVenueEvent]:
        command = order.command
        if not self._matches_at_once(command.instrument_id):
            return self._wait(order)
        order.shown = order.remaining
        events, stopped = self._trade(order)
        if order not in self.orders:
            return events
        if stopped:
            return events + self._end(order, CancelReason.SELF_TRADE)
        if command.can_rest:
            return events + self._rested(order)
        unpriced = command.price_ticks is None
        return events + self._end(
            order, CancelReason.NO_LIQUIDITY if unpriced else CancelReason.IOC_REMAINDER
        )

    def _limit(self, command: NewOrder) -> int:
        if command.price_ticks is not None:
            return command.price_ticks
        if not self._matches_at_once(command.instrument_id):
            return MARKET_BID if command.side is Side.BUY else MARKET_ASK
        return MAX_PRICE_TICKS if command.side is Side.BUY else 1

    @property
    def _may_trade(self) -> bool:
        return self.phase is Phase.CONTINUOUS

    def _matches_at_once(self, instrument_id: str) -> bool:
        return self._may_trade and instrument_id not in self._batched

    def _enter(self, order: OracleOrder) -> None:
        order.shown = order.quantity
        self.orders.append(order)
        self._claim(order)

    def _claim(self, order: OracleOrder) -> None:
        self._claims += 1
        order.since = self._claims

    def _rested(self, order: OracleOrder) -> list[AnyVenueEvent]:
        order.show()
        return self._display(order, -order.hidden)

    def _display(self, order: OracleOrder, lots: int) -> list[AnyVenueEvent]:
        if not lots:
            return []
        return [DisplayChanged(order.order_id, order.instrument_id, order.side, order.price_ticks, lots)]

    def _stay_behind(self, order: OracleOrder, post_only: PostOnly) -> bool:
        """Post-only: whether the order may rest, at the price that it has now or is given."""
        first = self._counterparty(order)
        if first is None:
            return True
        behind = first.price_ticks - order.side.sign
        if post_only is PostOnly.REFUSE or behind < 1:
            return False
        order.price_ticks = behind
        return True

    def _can_fill(self, taker: OracleOrder) -> bool:
        """What icebergs hide is reached after all that is shown at their price."""
        crossing = self._crossing(taker)
        lots = 0
        for price_ticks in dict.fromkeys(each.price_ticks for each in crossing):
            level = [each for each in crossing if each.price_ticks == price_ticks]
            for maker, claim in [(each, each.shown) for each in level] + [
                (each, each.hidden) for each in level
            ]:
                if maker.account == taker.account and self._mode(taker) is not SelfTradePrevention.NONE:
                    if self._mode(taker) is SelfTradePrevention.CANCEL_MAKER:
                        continue
                    return lots >= taker.quantity
                lots += claim
        return lots >= taker.quantity

    def _run_stops(self, instrument_id: str) -> list[AnyVenueEvent]:
        events: list[AnyVenueEvent] = []
        if not self._may_trade:
            return events
        left = self._stops_at_once
        while (stop := self._next_stop(instrument_id)) is not None:
            if not left:
                return [*events, StopsWaiting(instrument_id)]
            left -= 1
            self.stops.remove(stop)
            command = stop.command
            price_ticks = stop.price_ticks
            if price_ticks is None:
                price_ticks = self._limit(command)
            order = OracleOrder(stop.order_id, command, price_ticks, stop.quantity, 0)
            self._enter(order)
            events.append(Triggered(stop.order_id, instrument_id, command.side, price_ticks, stop.quantity))
            events += self._take_part(order)
        return events

    def _next_stop(self, instrument_id: str) -> OracleStop | None:
        last = self._references[instrument_id]
        for stop in self.stops:
            if stop.command.instrument_id == instrument_id:
                distance = (last - stop.stop_price_ticks) * stop.command.side.sign
                stop.reached = stop.reached or distance >= 0
        reached = [
            each for each in self.stops if each.reached and each.command.instrument_id == instrument_id
        ]
        return min(reached, key=lambda stop: stop.order_id, default=None)

    # --- amends -------------------------------------------------------------------------------------

    def _amend(self, command: AmendOrder) -> list[AnyVenueEvent]:
        order = self._find(command.account, command.order_id)
        if order is None:
            return self._amend_stop(command)
        if command.stop_price_ticks is not None or order.auction_only:
            return [AmendRefused(order.order_id)]
        price_ticks = command.price_ticks or order.price_ticks
        quantity = command.quantity or order.quantity
        if quantity <= order.filled:
            return self._end(order, CancelReason.AMENDED_BELOW_FILLED)
        wanted = OracleOrder(order.order_id, order.command, price_ticks, quantity, 0)
        post_only = order.command.all_terms.post_only
        at_once = self._matches_at_once(order.instrument_id)
        if post_only and at_once and not self._stay_behind(wanted, post_only):
            return [AmendRefused(order.order_id, would_trade=True)]
        if wanted.price_ticks == order.price_ticks and quantity <= order.quantity:
            return self._lower(order, quantity)
        old_price, old_remaining = order.price_ticks, order.remaining
        events = self._display(order, order.hidden)
        order.price_ticks, order.quantity = wanted.price_ticks, quantity
        order.shown = order.remaining
        self._claim(order)
        stopped = False
        if at_once:
            trades, stopped = self._trade(order, old_price)
            events += trades
            old_remaining -= quantity - order.quantity
        events.append(self._amended(order, old_price, old_remaining))
        if order in self.orders and stopped:
            events += self._end(order, CancelReason.SELF_TRADE)
        elif order in self.orders:
            events += self._rested(order)
        return events

    def _lower(self, order: OracleOrder, quantity: int) -> list[AnyVenueEvent]:
        old_remaining = order.remaining
        events = self._display(order, order.hidden)
        self._give_up(order, order.quantity - quantity)
        return [
            *events,
            self._amended(order, order.price_ticks, old_remaining),
            *self._display(order, -order.hidden),
        ]

    def _give_up(self, order: OracleOrder, lots: int) -> None:
        """What nobody sees goes first."""
        order.quantity -= lots
        order.shown = min(order.shown, order.remaining)

    def _amended(self, order: OracleOrder, old_price_ticks: int, old_remaining: int) -> Amended:
        return Amended(
            order.order_id,
            order.instrument_id,
            order.side,
            order.price_ticks,
            order.quantity,
            order.remaining,
            old_price_ticks,
            old_remaining,
        )

    def _amend_stop(self, command: AmendOrder) -> list[AnyVenueEvent]:
        stop = self._find_stop(command.account, command.order_id)
        if stop is None:
            return [AmendRefused(command.order_id)]
        old_price, old_quantity = stop.stop_price_ticks, stop.quantity
        stop.stop_price_ticks = command.stop_price_ticks or old_price
        stop.price_ticks = command.price_ticks or stop.price_ticks
        stop.quantity = command.quantity or old_quantity
        amended = Amended(
            stop.order_id,
            stop.command.instrument_id,
            stop.command.side,
            stop.stop_price_ticks,
            stop.quantity,
            stop.quantity,
            old_price,
            old_quantity,
            parked=True,
        )
        return [amended]

    # --- trading ------------------------------------------------------------------------------------

    def _mode(self, order: OracleOrder) -> SelfTradePrevention:
        return order.command.all_terms.self_trade_prevention or self._prevention

    def _trade(
        self, taker: OracleOrder, counted_ticks: int | None = None
    ) -> tuple[list[AnyVenueEvent], bool]:
        """What it trades, and whether it met its own and ends there."""
        events: list[AnyVenueEvent] = []
        mode = self._mode(taker)
        while taker in self.orders and (maker := self._counterparty(taker)) is not None:
            if maker.account != taker.account or mode is SelfTradePrevention.NONE:
                events += self._fill(maker, taker)
                continue
            if mode is SelfTradePrevention.CANCEL_TAKER:
                return events, True
            if mode is SelfTradePrevention.DECREMENT:
                decremented, stopped = self._decrement(maker, taker, counted_ticks or taker.price_ticks)
                events += decremented
                if stopped:
                    return events, True
                continue
            events += self._end(maker, CancelReason.SELF_TRADE)
            if mode is SelfTradePrevention.CANCEL_BOTH:
                return events, True
        return events, False

    def _fill(self, maker: OracleOrder, taker: OracleOrder) -> list[AnyVenueEvent]:
        quantity = min(maker.shown, taker.remaining)
        self._trades += 1
        trade = Traded(
            self._trades,
            taker.instrument_id,
            maker.price_ticks,
            quantity,
            maker.order_id,
            taker.order_id,
            maker.account,
            taker.account,
            taker.side,
        )
        self._references[taker.instrument_id] = maker.price_ticks
        for order in (maker, taker):
            order.filled += quantity
            order.shown -= quantity
            if order.remaining == 0:
                self.orders.remove(order)
        if maker.shown or not maker.remaining:
            return [trade]
        maker.show()
        self._claim(maker)
        return [trade, *self._display(maker, maker.shown)]

    def _decrement(
        self, maker: OracleOrder, taker: OracleOrder, counted_ticks: int
    ) -> tuple[list[AnyVenueEvent], bool]:
        by = min(maker.remaining, taker.remaining)
        is_smaller = taker.remaining <= maker.remaining
        if maker.remaining == by:
            events = self._end(maker, CancelReason.SELF_TRADE)
        else:
            events = self._display(maker, maker.hidden)
            self._give_up(maker, by)
            decremented = self._decremented(maker, maker.price_ticks, by)
            events += [decremented, *self._display(maker, -maker.hidden)]
        if is_smaller:
            return events, True
        taker.quantity -= by
        taker.shown -= by
        return [*events, self._decremented(taker, counted_ticks, by)], False

    def _decremented(self, order: OracleOrder, counted_ticks: int, by: int) -> Decremented:
        return Decremented(
            order.order_id,
            order.instrument_id,
            order.side,
            counted_ticks,
            by,
            order.quantity,
            order.remaining,
        )

    def _counterparty(self, taker: OracleOrder) -> OracleOrder | None:
        return next(iter(self._crossing(taker)), None)

    def _crossing(self, taker: OracleOrder) -> list[OracleOrder]:
        sign = taker.side.sign
        crossing = [
            order
            for order in self._of(taker.instrument_id, taker.side.opposite)
            if (taker.price_ticks - order.price_ticks) * sign >= 0
        ]
        return sorted(crossing, key=lambda order: (order.price_ticks * sign, order.since))

    # --- ends ---------------------------------------------------------------------------------------

    def _find(self, account: int, order_id: int) -> OracleOrder | None:
        found = [each for each in self.orders if (each.account, each.order_id) == (account, order_id)]
        return found[0] if found else None

    def _find_stop(self, account: int, order_id: int) -> OracleStop | None:
        found = [each for each in self.stops if (each.command.account, each.order_id) == (account, order_id)]
        return found[0] if found else None

    def _cancel(self, account: int, order_id: int, reason: CancelReason) -> list[AnyVenueEvent]:
        if self._find(account, order_id) is None and self._find_stop(account, order_id) is None:
            return [CancelRefused(order_id)]
        return self._end_number(order_id, reason)

    def _cancel_where(self, reason: CancelReason, chosen: Callable[[NewOrder], bool]) -> list[AnyVenueEvent]:
        live: list[OracleOrder | OracleStop] = [*self.orders, *self.stops]
        numbers = [each.order_id for each in live if chosen(each.command)]
        return [event for number in sorted(numbers) for event in self._end_number(number, reason)]

    def _end_number(self, order_id: int, reason: CancelReason) -> list[AnyVenueEvent]:
        for order in self.orders:
            if order.order_id == order_id:
                return self._end(order, reason)
        stop = next(each for each in self.stops if each.order_id == order_id)
        self.stops.remove(stop)
        side, price_ticks = stop.command.side, stop.stop_price_ticks
        return [
            Cancelled(
                order_id, stop.command.instrument_id, side, price_ticks, stop.quantity, reason, parked=True
            )
        ]

    def _end(self, order: OracleOrder, reason: CancelReason) -> list[AnyVenueEvent]:
        self.orders.remove(order)
        cancelled = Cancelled(
            order.order_id, order.instrument_id, order.side, order.price_ticks, order.remaining, reason
        )
        return [*self._display(order, order.hidden), cancelled]


def _is_named(scope: CancelScope, order: NewOrder) -> bool:
    return (
        scope.instrument_id in (None, order.instrument_id)
        and scope.side in (None, order.side)
        and scope.label in (None, order.all_terms.label)
        and scope.quote_group in (None, order.all_terms.quote_group)
    )
