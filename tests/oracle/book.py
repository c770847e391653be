"""A venue that is slow and obviously right: one list of orders, searched from end to end.

It knows no heap, no totals and no index. Bands are disabled; the rest of the contract is that of
:class:`exchange.engine.venue.Venue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from exchange.base.bounds import MAX_PRICE_TICKS
from exchange.engine.book import MARKET_ASK, MARKET_BID, BestPrices, Depth, Level
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    DisableTeam,
    NewOrder,
    Record,
    SetPhase,
)
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    PhaseChanged,
    Traded,
    Uncrossed,
)
from exchange.model.types import CancelReason, Phase, Side, TimeInForce


@dataclass
class OracleOrder:
    """An order that may trade; ``since`` is the command that gave it its place."""

    order_id: int
    account: int
    instrument_id: str
    side: Side
    price_ticks: int
    quantity: int
    filled: int
    since: int
    auction_only: bool = False

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


def auction_price(orders: Sequence[OracleOrder], reference_ticks: int) -> tuple[int, int, int] | None:
    """Price, volume and surplus by trying every candidate: the rules as they are written down."""
    unpriced = (MARKET_BID, MARKET_ASK)
    prices = {order.price_ticks for order in orders if order.price_ticks not in unpriced}
    if any(order.price_ticks in unpriced for order in orders):
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
    """Price-time matching by looking at everything each time."""

    def __init__(self, prevent_self_trade: bool) -> None:
        self.orders: list[OracleOrder] = []
        self.phase = Phase.CONTINUOUS
        self._references = {"X": 100, "Y": 100}
        self._prevent = prevent_self_trade
        self._trades = 0

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """The events of one command."""
        match record.command:
            case NewOrder() as command:
                return self._new(record.sequence, command)
            case CancelOrder() as command:
                order = self._find(command.account, command.order_id)
                if order is None:
                    return [CancelRefused(command.order_id)]
                return [self._end(order, CancelReason.REQUESTED)]
            case AmendOrder() as command:
                return self._amend(record.sequence, command)
            case CancelOrders() as command:
                return self._cancel_where(
                    command.reason,
                    lambda order: (
                        order.account == command.account
                        and any(
                            scope.instrument_id in (None, order.instrument_id)
                            and scope.side in (None, order.side)
                            for scope in command.scopes
                        )
                    ),
                )
            case DisableTeam(account, True):
                return self._cancel_where(CancelReason.TEAM_DISABLED, lambda order: order.account == account)
            case SetPhase() as change:
                return self._set_phase(record.sequence, change)
            case _:
                return []

    def _set_phase(self, sequence: int, command: SetPhase) -> list[AnyVenueEvent]:
        """Without phases of a single instrument."""
        self.phase = command.phase
        closed = command.phase is Phase.CLOSED
        cancelled = self._cancel_where(CancelReason.MARKET_CLOSE, lambda _: closed)
        changed = PhaseChanged(command.phase, command.reason)
        if command.phase not in (Phase.OPENING_AUCTION, Phase.CONTINUOUS, Phase.CLOSING_AUCTION):
            return [changed, *cancelled]
        return [changed, *(event for each in self._references for event in self._uncross(sequence, each))]

    def _uncross(self, sequence: int, instrument_id: str) -> list[AnyVenueEvent]:
        events: list[AnyVenueEvent] = []
        before = [self._totals(instrument_id, side) for side in Side]
        result = auction_price(
            [each for each in self.orders if each.instrument_id == instrument_id],
            self._references[instrument_id],
        )
        if result is not None:
            price_ticks, quantity, surplus = result
            self._references[instrument_id] = price_ticks
            while sum(event.quantity for event in events if isinstance(event, Traded)) < quantity:
                events.append(self._auction_trade(sequence, instrument_id, price_ticks))
            after = [self._totals(instrument_id, side) for side in Side]
            levels = tuple(
                (side, each, after[at].get(each, 0))
                for at, side in enumerate(Side)
                for each in sorted(before[at], reverse=side is Side.BUY)
                if before[at][each] != after[at].get(each, 0)
            )
            events.append(Uncrossed(instrument_id, sequence, price_ticks, quantity, surplus, levels))
        for order in [each for each in self.orders if each.instrument_id == instrument_id]:
            if order.auction_only:
                unpriced = order.price_ticks in (MARKET_BID, MARKET_ASK)
                reason = CancelReason.NO_LIQUIDITY if unpriced else CancelReason.IOC_REMAINDER
                events.append(self._end(order, reason))
        return events

    def _auction_trade(self, sequence: int, instrument_id: str, price_ticks: int) -> Traded:
        orders = [each for each in self.orders if each.instrument_id == instrument_id]
        buys = [each for each in orders if each.side is Side.BUY]
        sells = [each for each in orders if each.side is Side.SELL]
        buy = min(buys, key=lambda order: (-order.price_ticks, order.since))
        sell = min(sells, key=lambda order: (order.price_ticks, order.since))
        assert buy.price_ticks >= price_ticks >= sell.price_ticks
        quantity = min(buy.remaining, sell.remaining)
        maker, taker = sorted((buy, sell), key=lambda order: order.order_id)
        self._trades += 1
        for order in (buy, sell):
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

    def _totals(self, instrument_id: str, side: Side) -> dict[int, int]:
        totals: dict[int, int] = {}
        for order in self.orders:
            if order.instrument_id == instrument_id and order.side is side:
                totals[order.price_ticks] = totals.get(order.price_ticks, 0) + order.remaining
        return totals

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
        orders = [
            each
            for each in self.orders
            if each.instrument_id == instrument_id
            and each.side is side
            and each.price_ticks not in (MARKET_BID, MARKET_ASK)
        ]
        prices = sorted({each.price_ticks for each in orders})
        return [(price, sum(o.remaining for o in orders if o.price_ticks == price)) for price in prices]

    def _new(self, sequence: int, command: NewOrder) -> list[AnyVenueEvent]:
        price_ticks = command.price_ticks
        is_call = self.phase is not Phase.CONTINUOUS
        if price_ticks is None and is_call:
            price_ticks = MARKET_BID if command.side is Side.BUY else MARKET_ASK
        elif price_ticks is None:
            price_ticks = MAX_PRICE_TICKS if command.side is Side.BUY else 1
        order = OracleOrder(
            sequence,
            command.account,
            command.instrument_id,
            command.side,
            price_ticks,
            command.quantity,
            0,
            sequence,
            is_call and (command.price_ticks is None or command.time_in_force is TimeInForce.IOC),
        )
        self.orders.append(order)
        events: list[AnyVenueEvent] = [
            Acknowledged(sequence, order.instrument_id, order.side, price_ticks, order.quantity)
        ]
        if is_call:
            return events
        events += self._trade(order)
        if order in self.orders:
            if self._counterparty(order) is not None:
                events.append(self._end(order, CancelReason.SELF_TRADE))
            elif command.price_ticks is None:
                events.append(self._end(order, CancelReason.NO_LIQUIDITY))
            elif command.time_in_force is TimeInForce.IOC:
                events.append(self._end(order, CancelReason.IOC_REMAINDER))
        return events

    def _amend(self, sequence: int, command: AmendOrder) -> list[AnyVenueEvent]:
        order = self._find(command.account, command.order_id)
        if order is None:
            return [AmendRefused(command.order_id)]
        price_ticks = order.price_ticks if command.price_ticks is None else command.price_ticks
        quantity = order.quantity if command.quantity is None else command.quantity
        if quantity <= order.filled:
            return [self._end(order, CancelReason.AMENDED_BELOW_FILLED)]
        old_price_ticks, old_remaining = order.price_ticks, order.remaining
        if price_ticks != old_price_ticks or quantity > order.quantity:
            order.since = sequence
        order.price_ticks, order.quantity = price_ticks, quantity
        is_call = self.phase is not Phase.CONTINUOUS
        events = [] if is_call else self._trade(order)
        amended = Amended(
            order.order_id,
            order.instrument_id,
            order.side,
            price_ticks,
            quantity,
            order.remaining,
            old_price_ticks,
            old_remaining,
        )
        events.append(amended)
        if not is_call and order in self.orders and self._counterparty(order) is not None:
            events.append(self._end(order, CancelReason.SELF_TRADE))
        return events

    def _trade(self, taker: OracleOrder) -> list[AnyVenueEvent]:
        events: list[AnyVenueEvent] = []
        while taker in self.orders:
            maker = self._counterparty(taker)
            if maker is None or (self._prevent and maker.account == taker.account):
                break
            quantity = min(maker.remaining, taker.remaining)
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
            events.append(trade)
            self._references[taker.instrument_id] = maker.price_ticks
            for order in (maker, taker):
                order.filled += quantity
                if order.remaining == 0:
                    self.orders.remove(order)
        return events

    def _counterparty(self, taker: OracleOrder) -> OracleOrder | None:
        crossing = [
            order
            for order in self.orders
            if order.instrument_id == taker.instrument_id
            and order.side is not taker.side
            and (
                order.price_ticks <= taker.price_ticks
                if taker.side is Side.BUY
                else order.price_ticks >= taker.price_ticks
            )
        ]
        if taker.side is Side.BUY:
            return min(crossing, key=lambda order: (order.price_ticks, order.since), default=None)
        return min(crossing, key=lambda order: (-order.price_ticks, order.since), default=None)

    def _find(self, account: int, order_id: int) -> OracleOrder | None:
        found = [each for each in self.orders if (each.account, each.order_id) == (account, order_id)]
        return found[0] if found else None

    def _cancel_where(
        self, reason: CancelReason, chosen: Callable[[OracleOrder], bool]
    ) -> list[AnyVenueEvent]:
        orders = sorted(filter(chosen, self.orders), key=lambda order: order.order_id)
        return [self._end(order, reason) for order in orders]

    def _end(self, order: OracleOrder, reason: CancelReason) -> Cancelled:
        self.orders.remove(order)
        return Cancelled(
            order.order_id, order.instrument_id, order.side, order.price_ticks, order.remaining, reason
        )
