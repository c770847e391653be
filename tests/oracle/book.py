"""A venue that is slow and obviously right: one list of orders, searched from end to end.

It knows no heap, no totals and no index. Bands are disabled; the rest of the contract is that of
:class:`exchange.engine.venue.Venue`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exchange.base.bounds import MAX_PRICE_TICKS
from exchange.engine.book import BestPrices, Depth, Level
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

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


class OracleVenue:
    """Price-time matching by looking at everything each time."""

    def __init__(self, prevent_self_trade: bool) -> None:
        self.orders: list[OracleOrder] = []
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
            case SetPhase(phase, reason):
                closed = phase is Phase.CLOSED
                cancelled = self._cancel_where(CancelReason.MARKET_CLOSE, lambda _: closed)
                return [PhaseChanged(phase, reason), *cancelled]
            case _:
                return []

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
        orders = [each for each in self.orders if each.instrument_id == instrument_id and each.side is side]
        prices = sorted({each.price_ticks for each in orders})
        return [(price, sum(o.remaining for o in orders if o.price_ticks == price)) for price in prices]

    def _new(self, sequence: int, command: NewOrder) -> list[AnyVenueEvent]:
        price_ticks = command.price_ticks
        if price_ticks is None:
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
        )
        self.orders.append(order)
        events: list[AnyVenueEvent] = [
            Acknowledged(sequence, order.instrument_id, order.side, price_ticks, order.quantity)
        ]
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
        events = self._trade(order)
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
        if order in self.orders and self._counterparty(order) is not None:
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
