"""Constraints that look at the order alone."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor, isfinite

from exchange.model.instrument import Instrument
from exchange.model.reasons import Refusal
from exchange.model.roles import (
    InstrumentAllowed,
    OrderSize,
    OrderTypeAllowed,
    PriceRange,
    TradingWindow,
)
from exchange.services.validation.limits import require_known
from exchange.services.validation.proposal import Proposal
from exchange.services.validation.replies import Reply


class Size:
    """Total quantity of the order; of an amend, the new total."""

    def __init__(self, row: OrderSize) -> None:
        if not 1 <= row.min_size <= row.max_size:
            raise ValueError("order_size: needs 1 <= min_size <= max_size")
        self._min_size = row.min_size
        self._max_size = row.max_size
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        quantity = proposal.order.quantity
        if self._min_size <= quantity <= self._max_size:
            return None
        return self._reply.refuse(
            {"order_quantity": quantity, "min_size": self._min_size, "max_size": self._max_size}
        )


class Type:
    """The order types of the role."""

    def __init__(self, row: OrderTypeAllowed) -> None:
        if not row.allowed_types:
            raise ValueError("order_type_allowed: allowed_types is empty")
        self._allowed = frozenset(row.allowed_types)
        self._names = [each.value for each in row.allowed_types]
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        order_type = proposal.order.order_type
        if order_type in self._allowed:
            return None
        return self._reply.refuse({"order_type": order_type.value, "allowed_types": self._names})


class Tradable:
    """The instruments of the role."""

    def __init__(self, row: InstrumentAllowed, instruments: Mapping[str, Instrument]) -> None:
        if not row.allowed_instruments:
            raise ValueError("instrument_allowed: allowed_instruments is empty")
        require_known(row.allowed_instruments, instruments)
        self._allowed = frozenset(row.allowed_instruments)
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        instrument_id = proposal.order.instrument_id
        if instrument_id in self._allowed:
            return None
        return self._reply.refuse({"instrument_id": instrument_id})


class Price:
    """Limit prices of the role. Its ends are in the currency and become ticks once, inwards."""

    def __init__(self, row: PriceRange, instruments: Mapping[str, Instrument]) -> None:
        if not (isfinite(row.min_price) and isfinite(row.max_price) and row.min_price <= row.max_price):
            raise ValueError("price_range: needs min_price <= max_price")
        self._ends = {"min_price": row.min_price, "max_price": row.max_price}
        lowest, highest = Fraction(repr(row.min_price)), Fraction(repr(row.max_price))
        self._ticks = {
            each.instrument_id: (ceil(lowest / tick), floor(highest / tick))
            for each in instruments.values()
            for tick in (Fraction(each.tick_size),)
        }
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        order = proposal.order
        price_ticks = order.price_ticks
        if price_ticks is None:
            return None
        lowest, highest = self._ticks[order.instrument_id]
        if lowest <= price_ticks <= highest:
            return None
        return self._reply.refuse(
            {"instrument_id": order.instrument_id, "price_ticks": price_ticks, **self._ends}
        )


class Window:
    """The phases of the role, on top of what the phase itself forbids."""

    def __init__(self, row: TradingWindow) -> None:
        if not row.allowed_phases:
            raise ValueError("trading_window: allowed_phases is empty")
        self._allowed = frozenset(row.allowed_phases)
        self._names = [each.value for each in row.allowed_phases]
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        if proposal.phase in self._allowed:
            return None
        return self._reply.refuse({"phase": proposal.phase.value, "allowed_phases": self._names})
