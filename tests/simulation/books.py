"""What every team must be told and must hold, from the venue's events alone: no reservation, no index."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exchange.model.commands import AmendOrder, CancelOrder, CancelOrders, NewOrder, Record
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyPrivateEvent,
    AnyVenueEvent,
    Cancelled,
    Decremented,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrderTriggered,
    Parked,
    PositionUpdate,
    Traded,
    Triggered,
)
from exchange.model.order import OrderStatus
from exchange.model.roles import Fees
from exchange.model.types import CancelReason, Liquidity, Side, TimeInForce

TICK_VALUE = 10_000
"""Money of one tick of one lot: 0.01 times 100, in 1/10,000."""


@dataclass
class BookedOrder:
    """An order as its team knows it."""

    order_id: int
    command: NewOrder
    price_ticks: int | None
    quantity: int
    filled: int = 0
    value: int = 0
    fees: int = 0
    stop_price_ticks: int | None = None
    acknowledged: bool = False
    parked: bool = False
    cancelled: bool = False

    @property
    def is_live(self) -> bool:
        return not self.cancelled and self.filled < self.quantity

    @property
    def status(self) -> OrderStatus:
        if self.cancelled:
            return OrderStatus.CANCELLED
        if self.filled == self.quantity:
            return OrderStatus.FILLED
        if self.parked:
            return OrderStatus.UNTRIGGERED
        return OrderStatus.PARTIALLY_FILLED if self.filled else OrderStatus.OPEN


class Books:
    """``fees`` are those of each account. ``told`` are all private events, by team, the first has seq 1."""

    def __init__(self, fees: dict[int, Fees]) -> None:
        self._fees = fees
        self.orders: dict[int, BookedOrder] = {}
        self.live: dict[int, dict[int, BookedOrder]] = defaultdict(dict)
        self.positions: dict[tuple[int, str], int] = defaultdict(int)
        self.cash: dict[int, int] = defaultdict(int)
        self.paid: dict[int, int] = defaultdict(int)
        self.told: dict[int, list[AnyPrivateEvent]] = defaultdict(list)
        self.exec_ids: set[int] = set()
        self.ended: Counter[CancelReason] = Counter()
        """Orders that were not filled, by why."""
        self._seqs: dict[int, int] = defaultdict(int)
        self.lines: dict[tuple[int, str], tuple[int, int]] = {}

    def enter(self, record: Record) -> None:
        """A command before its events."""
        command = record.command
        if isinstance(command, NewOrder):
            order = BookedOrder(record.sequence, command, command.price_ticks, command.quantity)
            order.stop_price_ticks = command.all_terms.stop_price_ticks
            self.orders[record.sequence] = order
            self.live[command.account][record.sequence] = order

    def amend(self, command: AmendOrder, events: Sequence[AnyVenueEvent]) -> None:
        """An amend that takes effect changes the order before its trades are booked."""
        for event in events:
            if isinstance(event, AmendRefused):
                return
            if isinstance(event, Cancelled) and event.reason is CancelReason.AMENDED_BELOW_FILLED:
                return
        order = self.orders[command.order_id]
        order.quantity = order.quantity if command.quantity is None else command.quantity
        order.price_ticks = order.price_ticks if command.price_ticks is None else command.price_ticks
        if command.stop_price_ticks is not None:
            order.stop_price_ticks = command.stop_price_ticks

    def book(self, record: Record, events: Sequence[AnyVenueEvent]) -> list[AnyPrivateEvent]:
        """Book events and give what is to be told; cost and realised P&L of a position are left 0."""
        told = [each for event in events for each in self._book_event(record, event)]
        for event in told:
            self.told[event.account].append(event)
        return told

    def check_position(self, event: PositionUpdate) -> None:
        """Cost and P&L that were told: nothing held costs nothing, and they add up to the cash."""
        assert (event.position == 0) == (event.cost == 0), event
        assert event.position * event.cost >= 0, event
        self.lines[event.account, event.instrument_id] = (event.cost, event.realised_pnl)
        lines = [line for (account, _), line in self.lines.items() if account == event.account]
        assert event.cash == sum(realised - cost for cost, realised in lines), event

    def open_lots(self, account: int, instrument_id: str, side: Side) -> int:
        """Lots that may still trade."""
        return sum(
            order.quantity - order.filled
            for order in self.live[account].values()
            if order.command.instrument_id == instrument_id and order.command.side is side
        )

    def check_sums(self, instrument_ids: Sequence[str]) -> None:
        """Nothing appears and nothing is lost."""
        assert sum(self.cash.values()) == 0
        for name in instrument_ids:
            assert sum(lots for (_, each), lots in self.positions.items() if each == name) == 0

    # --- one event each ---------------------------------------------------------------------------

    def _book_event(self, record: Record, event: AnyVenueEvent) -> Iterator[AnyPrivateEvent]:
        match event:
            case Acknowledged() | Parked():
                yield self._acknowledged(record, event)
            case Triggered():
                yield self._triggered(record, event)
            case Decremented():
                order = self.orders[event.order_id]
                yield self._decremented(record, order, event.quantity)
            case Traded():
                yield from self._traded(record, event)
            case Cancelled():
                yield self._cancelled(record, event)
            case Amended():
                yield self._amended(record, event)

    def _acknowledged(self, record: Record, event: Acknowledged | Parked) -> NewOrderAck:
        order = self.orders[event.order_id]
        assert not order.acknowledged
        order.acknowledged = True
        own = order.command
        order.parked = isinstance(event, Parked)
        if isinstance(event, Acknowledged) and own.all_terms.post_only is not None:
            order.price_ticks = event.price_ticks
        return NewOrderAck(
            own.account,
            self._seq(own.account),
            record.timestamp_us,
            order.order_id,
            own.client_order_id,
            own.request_id,
            own.instrument_id,
            own.side,
            own.order_type,
            own.time_in_force,
            order.price_ticks,
            own.quantity,
            own.terms,
        )

    def _triggered(self, record: Record, event: Triggered) -> OrderTriggered:
        order = self.orders[event.order_id]
        assert order.parked, f"{order} is triggered"
        order.parked = False
        own = order.command
        return OrderTriggered(
            own.account,
            self._seq(own.account),
            record.timestamp_us,
            order.order_id,
            own.client_order_id,
            own.request_id,
            own.instrument_id,
            own.side,
            order.price_ticks,
            order.quantity,
        )

    def _decremented(self, record: Record, order: BookedOrder, quantity: int) -> OrderAmended:
        assert order.is_live
        assert order.filled < quantity < order.quantity, f"{order} is lowered to {quantity}"
        order.quantity = quantity
        return self._amendment(record, order, is_self_trade=True)

    def _traded(self, record: Record, event: Traded) -> Iterator[AnyPrivateEvent]:
        in_auction = event.auction_id is not None
        yield self._fill(record, event, event.maker_order_id, "auction" if in_auction else "maker")
        yield self._fill(record, event, event.taker_order_id, "auction" if in_auction else "taker")
        for account in dict.fromkeys((event.maker_account, event.taker_account)):
            yield PositionUpdate(
                account,
                self._seq(account),
                record.timestamp_us,
                event.instrument_id,
                self.positions[account, event.instrument_id],
                0,
                0,
                self.cash[account],
                self.paid[account],
            )

    def _fill(self, record: Record, event: Traded, order_id: int, liquidity: str) -> ExecutionReport:
        order = self.orders[order_id]
        own = order.command
        assert order.is_live, f"{order_id} trades although it has ended"
        assert not order.parked, f"{order_id} trades although it waits for its stop price"
        if own.all_terms.post_only is not None:
            assert liquidity != "taker", f"{order_id} takes"
        order.filled += event.quantity
        assert order.filled <= order.quantity, f"{order_id} is filled beyond its quantity"
        fees: int = getattr(self._fees[own.account], liquidity) * event.quantity
        order.value += event.price_ticks * event.quantity
        order.fees += fees
        sign = 1 if own.side is Side.BUY else -1
        held = self.positions[own.account, own.instrument_id]
        if own.all_terms.reduce_only:
            assert held * sign < 0, f"{order_id} is reduce-only, and {held} are held"
            assert event.quantity <= abs(held), f"{order_id} turns {held} round"
        self.positions[own.account, own.instrument_id] = held + sign * event.quantity
        self.cash[own.account] -= sign * event.quantity * event.price_ticks * TICK_VALUE
        self.paid[own.account] += fees
        self._end(order)
        exec_id = 2 * event.trade_id - (order_id == event.maker_order_id)
        assert exec_id not in self.exec_ids, f"exec_id {exec_id} twice"
        self.exec_ids.add(exec_id)
        return ExecutionReport(
            own.account,
            self._seq(own.account),
            record.timestamp_us,
            order_id,
            own.client_order_id,
            own.request_id,
            own.instrument_id,
            own.side,
            exec_id,
            event.trade_id,
            event.price_ticks,
            event.quantity,
            Liquidity(liquidity),
            fees,
            order.filled,
            order.quantity - order.filled,
            event.auction_id,
        )

    def _cancelled(self, record: Record, event: Cancelled) -> OrderCancelled:
        order = self.orders[event.order_id]
        assert order.is_live, f"{event.order_id} is cancelled although it has ended"
        order.cancelled = True
        self._end(order)
        self.ended[event.reason] += 1
        own = order.command
        if own.time_in_force is TimeInForce.FOK:
            assert not order.filled, f"{order} is neither filled nor killed"
        return OrderCancelled(
            own.account,
            self._seq(own.account),
            record.timestamp_us,
            order.order_id,
            own.client_order_id,
            _cause(record, order),
            own.instrument_id,
            own.side,
            order.price_ticks,
            order.quantity - order.filled,
            order.filled,
            event.reason,
        )

    def _amended(self, record: Record, event: Amended) -> OrderAmended:
        order = self.orders[event.order_id]
        if not event.parked:
            order.price_ticks = event.price_ticks
        assert order.quantity == event.quantity
        return self._amendment(record, order)

    def _amendment(self, record: Record, order: BookedOrder, is_self_trade: bool = False) -> OrderAmended:
        own = order.command
        return OrderAmended(
            own.account,
            self._seq(own.account),
            record.timestamp_us,
            order.order_id,
            own.client_order_id,
            _cause(record, order),
            own.instrument_id,
            own.side,
            order.price_ticks,
            order.quantity,
            order.filled,
            order.quantity - order.filled,
            order.stop_price_ticks,
            is_self_trade,
        )

    def _end(self, order: BookedOrder) -> None:
        if not order.is_live:
            del self.live[order.command.account][order.order_id]

    def _seq(self, account: int) -> int:
        self._seqs[account] += 1
        return self._seqs[account]

    def last_seq(self, account: int) -> int:
        """The sequence of the last event of the team."""
        return self._seqs[account]


def _cause(record: Record, order: BookedOrder) -> str:
    command = record.command
    if isinstance(command, CancelOrder | AmendOrder) and command.order_id == order.order_id:
        return command.request_id
    if isinstance(command, CancelOrders) and command.request_id is not None:
        return command.request_id
    return order.command.request_id
