"""Settlement: the one synchronous function of the settle stage.

Called for every matched command, in order. It is the only producer of private events, so that a cancel never
overtakes a fill. What it finds impossible raises: half-applied state must not trade.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from exchange.model.answers import Answer, OrderReport
from exchange.model.commands import AmendOrder, CancelOrder, CancelOrders, NewOrder, Record, TriggerStops
from exchange.model.events import (
    Acknowledged,
    Amended,
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
    StopsWaiting,
    Traded,
    Triggered,
)
from exchange.model.order import OrderStatus
from exchange.model.roles import Role
from exchange.model.types import CancelReason, Liquidity, Side
from exchange.services.settlement.amends import apply_amend
from exchange.services.settlement.answers import answer
from exchange.services.settlement.audit import AUDITED, AuditSnapshot, AuditTrail
from exchange.services.settlement.history import History, HistorySnapshot, PublicTrade
from exchange.services.settlement.portfolio import PortfolioSnapshot, PortfolioWatch
from exchange.services.settlement.ports import Books, Fees, Orders, OrderState, Reservations
from exchange.services.settlement.preview import preview
from exchange.services.settlement.streams import StreamNumbers, StreamNumbersSnapshot

_MAKER, _TAKER, _AUCTION = Liquidity.MAKER, Liquidity.TAKER, Liquidity.AUCTION
_BUY, _SELL = Side.BUY, Side.SELL
_FILLED = OrderStatus.FILLED


Wish: TypeAlias = CancelOrders | TriggerStops


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What one command came to. ``private`` in the order in which it is to be told.

    ``answer`` is for the requester, None where nobody waits for it; ``wishes`` are system commands that
    settle asks the pipeline to enter.
    """

    private: Sequence[AnyPrivateEvent]
    answer: Answer | None
    wishes: tuple[Wish, ...] = ()


class SettlementSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """What settlement keeps beside register, exposure and ledger."""

    history: HistorySnapshot
    streams: StreamNumbersSnapshot
    portfolio: PortfolioSnapshot
    audit: AuditSnapshot


class Settlement:
    """Books what the venue reports, tells the teams and answers. ``role_of`` gives the role of an account."""

    def __init__(
        self,
        register: Orders,
        exposure: Reservations,
        ledger: Books,
        fees: Fees,
        role_of: Callable[[int], Role],
    ) -> None:
        self._register = register
        self._exposure = exposure
        self._ledger = ledger
        self._fees = fees
        self.history = History()
        self.streams = StreamNumbers()
        self.portfolio = PortfolioWatch(exposure, role_of)
        self.audit = AuditTrail()
        self._ended = (0, 0)
        """Sequence of the last mass cancel, and how many orders its slices have ended."""

    def settle(self, record: Record, events: Sequence[AnyVenueEvent], *, answers: bool = True) -> Settled:
        """Book ``events`` of ``record``. Raises on what cannot be: a bug in match or in a reservation."""
        told: list[AnyPrivateEvent] = []
        accounts: list[int] = []
        wishes: list[Wish] = []
        command = record.command
        if type(command) is AmendOrder:
            apply_amend(record, events, self._register, self._exposure)
        elif type(command) in AUDITED:
            self.audit.note(record)
            self._count_ended(record, events)
        for event in events:
            match event:
                case Acknowledged():
                    self._acknowledged(record, event, told)
                case Traded():
                    self._traded(record, event, told)
                    accounts += (event.maker_account, event.taker_account)
                case Cancelled():
                    self._cancelled(record, event, told)
                case Amended():
                    self._amended(record, event, told)
                case StopsWaiting():
                    wishes.append(TriggerStops(event.instrument_id))
                case _:
                    self._of_terms(record, event, told)
        wishes += self._portfolio_wishes(record, accounts)
        reply = answer(record, events, self._register, self._ended[1]) if answers else None
        return Settled(told, reply, tuple(wishes))

    def preview(self, record: Record, events: Sequence[AnyVenueEvent]) -> OrderReport | None:
        """How the order will stand once ``events`` are settled; None where only settling them can say."""
        return preview(record, events, self._register, self._fees)

    def state(self) -> object:
        """Canonical content for the state hash; register, exposure and ledger have their own."""
        return {
            "streams": self.streams.state(),
            "portfolio": self.portfolio.state(),
            "audit": self.audit.state(),
        }

    def snapshot(self) -> SettlementSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return SettlementSnapshot(
            self.history.snapshot(), self.streams.snapshot(), self.portfolio.snapshot(), self.audit.snapshot()
        )

    def load(self, snapshot: SettlementSnapshot) -> None:
        """Take over a snapshot."""
        self.history.load(snapshot.history)
        self.streams.load(snapshot.streams)
        self.portfolio.load(snapshot.portfolio)
        self.audit.load(snapshot.audit)

    def _count_ended(self, record: Record, events: Sequence[AnyVenueEvent]) -> None:
        sequence, ended = self._ended
        ended = ended if sequence == record.sequence else 0
        self._ended = record.sequence, ended + sum(isinstance(event, Cancelled) for event in events)

    # --- one event each -------------------------------------------------------------------------

    def _of_terms(self, record: Record, event: AnyVenueEvent, told: list[AnyPrivateEvent]) -> None:
        """What plain orders never see. A refusal answers the request alone; publish tells of phases and of
        what the book shows.
        """
        match event:
            case Parked():
                told.append(self._ack(record, self._register.park(event.order_id)))
            case Triggered():
                told.append(self._triggered(record, event))
            case Decremented():
                told.append(self._decremented(record, event.order_id, event.quantity))
            case _:
                pass

    def _acknowledged(self, record: Record, event: Acknowledged, told: list[AnyPrivateEvent]) -> None:
        order = self._register.acknowledge(event.order_id)
        terms = order.command.terms
        if terms is not None and terms.post_only is not None:
            self._register.reprice(event.order_id, event.price_ticks)
        told.append(self._ack(record, order))

    def _ack(self, record: Record, order: OrderState) -> NewOrderAck:
        command = order.command
        return NewOrderAck(
            command.account,
            self.streams.take(command.account),
            record.timestamp_us,
            order.order_id,
            command.client_order_id,
            command.request_id,
            command.instrument_id,
            command.side,
            command.order_type,
            command.time_in_force,
            order.price_ticks,
            order.quantity,
            command.terms,
        )

    def _triggered(self, record: Record, event: Triggered) -> OrderTriggered:
        order = self._register.trigger(event.order_id)
        command = order.command
        return OrderTriggered(
            command.account,
            self.streams.take(command.account),
            record.timestamp_us,
            event.order_id,
            command.client_order_id,
            command.request_id,
            command.instrument_id,
            command.side,
            order.price_ticks,
            order.quantity,
        )

    def _decremented(self, record: Record, order_id: int, quantity: int) -> OrderAmended:
        freed = self._register.decrement(order_id, quantity, record.timestamp_us)
        order = self._register.get(order_id)
        assert order is not None
        command = order.command
        self._exposure.release(command.account, command.instrument_id, command.side, freed)
        return self._amendment(record, order, is_self_trade=True)

    def _traded(self, record: Record, event: Traded, told: list[AnyPrivateEvent]) -> None:
        timestamp_us, instrument_id = record.timestamp_us, event.instrument_id
        maker, taker = event.maker_account, event.taker_account
        made, took = (_MAKER, _TAKER) if event.auction_id is None else (_AUCTION, _AUCTION)
        told.append(self._fill(event, event.maker_order_id, maker, made, timestamp_us))
        told.append(self._fill(event, event.taker_order_id, taker, took, timestamp_us))
        take, update = self.streams.take, self._ledger.position_update
        told.append(update(maker, take(maker), timestamp_us, instrument_id))
        if taker != maker:
            told.append(update(taker, take(taker), timestamp_us, instrument_id))
        trade = PublicTrade(
            event.trade_id,
            event.price_ticks,
            event.quantity,
            event.taker_side,
            timestamp_us,
            event.auction_id,
        )
        self.history.traded(instrument_id, trade)

    def _fill(
        self, event: Traded, order_id: int, account: int, liquidity: Liquidity, timestamp_us: int
    ) -> ExecutionReport:
        price_ticks, quantity, instrument_id = event.price_ticks, event.quantity, event.instrument_id
        fees = self._fees.fee(account, liquidity, quantity)
        order = self._register.fill(order_id, price_ticks, quantity, fees, timestamp_us)
        command = order.command
        side = command.side
        assert command.account == account
        is_taker = side is event.taker_side
        assert order_id == (event.taker_order_id if is_taker else event.maker_order_id)
        self._ledger.book(account, instrument_id, side, quantity, price_ticks, fees)
        self._exposure.convert(account, instrument_id, side, quantity)
        if order.status is _FILLED:
            self._exposure.ended(account, instrument_id, side, command.can_rest, command.terms)
        report = ExecutionReport(
            account,
            self.streams.take(account),
            timestamp_us,
            order_id,
            command.client_order_id,
            command.request_id,
            instrument_id,
            side,
            2 * event.trade_id - (not is_taker),
            event.trade_id,
            price_ticks,
            quantity,
            liquidity,
            fees,
            order.filled_quantity,
            order.quantity - order.filled_quantity,
            event.auction_id,
        )
        self.history.executed(report)
        return report

    def _cancelled(self, record: Record, event: Cancelled, told: list[AnyPrivateEvent]) -> None:
        order = self._register.cancel(event.order_id, event.reason, record.timestamp_us)
        assert event.remaining == order.quantity - order.filled_quantity
        command = order.command
        account, instrument_id, side = command.account, command.instrument_id, command.side
        self._exposure.release(account, instrument_id, side, event.remaining)
        self._exposure.ended(account, instrument_id, side, command.can_rest, command.terms)
        told.append(
            OrderCancelled(
                account,
                self.streams.take(account),
                record.timestamp_us,
                event.order_id,
                command.client_order_id,
                _cause(record, event.order_id, command),
                instrument_id,
                side,
                order.price_ticks,
                event.remaining,
                order.filled_quantity,
                event.reason,
            )
        )

    def _amended(self, record: Record, event: Amended, told: list[AnyPrivateEvent]) -> None:
        order = self._register.get(event.order_id)
        assert order is not None
        if event.parked:
            assert order.stop_price_ticks == event.price_ticks
        elif order.price_ticks != event.price_ticks:
            self._register.reprice(event.order_id, event.price_ticks)
        assert order.quantity == event.quantity
        assert event.remaining == order.quantity - order.filled_quantity
        told.append(self._amendment(record, order))

    def _amendment(self, record: Record, order: OrderState, is_self_trade: bool = False) -> OrderAmended:
        command = order.command
        return OrderAmended(
            command.account,
            self.streams.take(command.account),
            record.timestamp_us,
            order.order_id,
            command.client_order_id,
            _cause(record, order.order_id, command),
            command.instrument_id,
            command.side,
            order.price_ticks,
            order.quantity,
            order.filled_quantity,
            order.quantity - order.filled_quantity,
            order.stop_price_ticks,
            is_self_trade,
        )

    def _portfolio_wishes(self, record: Record, accounts: list[int]) -> tuple[CancelOrders, ...]:
        if accounts:
            return self.portfolio.filled(dict.fromkeys(accounts))
        command = record.command
        if isinstance(command, CancelOrders) and command.reason is CancelReason.PORTFOLIO_LIMIT:
            return self.portfolio.enforced(command.account)
        return ()


def _cause(record: Record, order_id: int, order: NewOrder) -> str:
    command = record.command
    if isinstance(command, (CancelOrder, AmendOrder)) and command.order_id == order_id:
        return command.request_id
    if isinstance(command, CancelOrders) and command.request_id is not None:
        return command.request_id
    return order.request_id
