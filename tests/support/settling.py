"""Everything settlement stands on, with an admission that reserves as validate does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from exchange.model.answers import OrderReport
from exchange.model.commands import AmendOrder, AnyCommand, NewOrder, Record
from exchange.model.events import (
    Acknowledged,
    AnyPrivateEvent,
    AnyVenueEvent,
    Traded,
)
from exchange.model.instrument import Instrument
from exchange.model.roles import Fees, PortfolioLimit, Role
from exchange.model.types import InstrumentKind, OrderType, Side, TimeInForce
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.fees import FeeSchedule
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settled, Settlement

MAKER_ROLE = Role(
    name="market_maker",
    fees=Fees(maker=200, taker=-100),
    constraints=(PortfolioLimit(max_total_position=200),),
)
FUND_ROLE = Role(
    name="hedge_fund",
    fees=Fees(maker=100, taker=-200),
    constraints=(PortfolioLimit(max_total_position=500),),
)
RETAIL_ROLE = Role(
    name="retail",
    fees=Fees(maker=-100, taker=-300),
    constraints=(PortfolioLimit(max_total_position=12),),
)
EDGE = 1_000
"""Where a market order is priced."""


def instrument(instrument_id: str, tick_size: str = "0.01", multiplier: int = 100) -> Instrument:
    """An underlying; a lot gains tick_size * multiplier * 10,000 per tick."""
    return Instrument(
        instrument_id=instrument_id,
        kind=InstrumentKind.INDEX,
        tick_size=tick_size,
        multiplier=multiplier,
        first_price_ticks=100,
    )


INSTRUMENTS = (instrument("X"), instrument("Y", "0.005", 1))


def role_of(account: int) -> Role:
    """Every third account is retail, of the others the odd ones make markets and the even ones are funds."""
    if account % 3 == 0:
        return RETAIL_ROLE
    return MAKER_ROLE if account % 2 else FUND_ROLE


def new_order(
    account: int,
    side: Side,
    quantity: int,
    price_ticks: int | None = 100,
    instrument_id: str = "X",
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str | None = None,
    request_id: str = "entered",
) -> NewOrder:
    """A limit order, or a market order without a price."""
    order_type = OrderType.MARKET if price_ticks is None else OrderType.LIMIT
    return NewOrder(
        account,
        instrument_id,
        side,
        order_type,
        price_ticks,
        quantity,
        time_in_force,
        client_order_id,
        request_id,
    )


class Desk:
    """The services as the composition root builds them, and admission's part of the contract."""

    def __init__(self, finished_per_team: int = 10_000) -> None:
        self.register = OrderRegister(finished_per_team)
        self.exposure = Exposure()
        self.ledger = Ledger(INSTRUMENTS)
        self.fees = FeeSchedule(role_of)
        self.settlement = Settlement(self.register, self.exposure, self.ledger, self.fees, role_of)
        self.sequence = 0

    def admit(self, command: AnyCommand) -> Record:
        """Number a command and reserve for it; time is a function of the sequence."""
        record = Record(self.sequence + 1, 1_000_000 + 10 * self.sequence, command)
        self.apply(record)
        return record

    def apply(self, record: Record) -> None:
        """What validate does to a record, live and on replay."""
        self.sequence = record.sequence
        command = record.command
        if isinstance(command, NewOrder):
            self.exposure.reserve(
                command.account,
                command.instrument_id,
                command.side,
                command.quantity,
                command.can_rest,
                command.terms,
            )
            self.register.enter(record)
        elif isinstance(command, AmendOrder):
            order = self.register.get(command.order_id)
            if order is None:
                return
            growth = self.growth(command)
            own = order.command
            self.exposure.reserve_more(own.account, own.instrument_id, own.side, growth)
            self.register.amend_pending(record)

    def growth(self, amend: AmendOrder) -> int:
        """Lots an amend may add to its order, whatever becomes of those in flight."""
        if amend.quantity is None:
            return 0
        return max(0, amend.quantity - self.register.most(amend.order_id))

    def settle(self, record: Record, *events: AnyVenueEvent) -> Settled:
        return self.settlement.settle(record, events)

    def rest(self, order: NewOrder) -> int:
        """Admit an order and have match take it; gives its number."""
        record = self.admit(order)
        price_ticks = EDGE if order.price_ticks is None else order.price_ticks
        taken = Acknowledged(record.sequence, order.instrument_id, order.side, price_ticks, order.quantity)
        self.settle(record, taken)
        return record.sequence

    def trade(self, maker: NewOrder, taker: NewOrder, trade_id: int = 1) -> Settled:
        """Rest ``maker`` and trade all of ``taker`` with it, at the maker's price."""
        maker_id = self.rest(maker)
        record = self.admit(taker)
        assert maker.price_ticks is not None
        return self.settle(
            record,
            Acknowledged(record.sequence, taker.instrument_id, taker.side, EDGE, taker.quantity),
            Traded(
                trade_id,
                taker.instrument_id,
                maker.price_ticks,
                taker.quantity,
                maker_id,
                record.sequence,
                maker.account,
                taker.account,
                taker.side,
            ),
        )

    def encoded_state(self) -> bytes:
        """All state in canonical bytes."""
        parts = (self.register, self.exposure, self.ledger, self.settlement)
        return msgspec.msgpack.encode([part.state() for part in parts])


class AnyVenue(Protocol):
    """The plain one or the real one."""

    def apply(self, record: Record) -> list[AnyVenueEvent]: ...


class Floor:
    """A desk and a venue with the two queues between them: validate, match and settle run apart.

    A wish of settle is admitted at once, as the reserved lane does.
    """

    def __init__(self, desk: Desk, venue: AnyVenue) -> None:
        self.desk = desk
        self.venue = venue
        self.records: list[Record] = []
        self.told: list[AnyPrivateEvent] = []
        self.settled: list[tuple[Record, Settled, OrderReport | None]] = []
        self._to_match: list[Record] = []
        self._to_settle: list[tuple[Record, Sequence[AnyVenueEvent], OrderReport | None]] = []

    def admit(self, command: AnyCommand) -> Record:
        record = self.desk.admit(command)
        self.records.append(record)
        self._to_match.append(record)
        return record

    def match(self) -> None:
        """One command, if there is one; its preview is taken at once, as the match stage does."""
        if self._to_match:
            record = self._to_match.pop(0)
            events = self.venue.apply(record)
            self._to_settle.append((record, events, self.desk.settlement.preview(record, events)))

    def settle(self) -> None:
        """One matched command, if there is one."""
        if not self._to_settle:
            return
        record, events, preview = self._to_settle.pop(0)
        settled = self.desk.settlement.settle(record, events)
        self.settled.append((record, settled, preview))
        self.told += settled.private
        for wish in settled.wishes:
            self.admit(wish)

    def drain(self) -> None:
        """Until nothing is in flight, wishes included."""
        while self._to_match or self._to_settle:
            self.match()
            self.settle()

    def in_flight(self) -> list[Record]:
        """Admitted and not yet settled."""
        return [record for record, _, _ in self._to_settle] + self._to_match
