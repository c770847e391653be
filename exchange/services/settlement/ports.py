"""What settlement needs of the services beside it."""

from __future__ import annotations

from typing import Protocol

from exchange.model.answers import OrderReport
from exchange.model.commands import NewOrder, OrderTerms, Record
from exchange.model.events import PositionUpdate
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason, Liquidity, Side


class OrderState(Protocol):
    """An order as the register knows it; ``quantity`` is its total now."""

    @property
    def order_id(self) -> int: ...
    @property
    def command(self) -> NewOrder: ...
    @property
    def status(self) -> OrderStatus: ...
    @property
    def price_ticks(self) -> int | None: ...
    @property
    def quantity(self) -> int: ...
    @property
    def filled_quantity(self) -> int: ...
    @property
    def stop_price_ticks(self) -> int | None: ...
    @property
    def value(self) -> int: ...
    @property
    def fees(self) -> int: ...


class FreedLots(Protocol):
    """Lots that were reserved for the order of ``command`` and nothing can use any more."""

    @property
    def command(self) -> NewOrder: ...
    @property
    def lots(self) -> int: ...


class Orders(Protocol):
    """The order register: each transition gives the order as it stands after it."""

    def get(self, order_id: int) -> OrderState | None: ...
    def report(self, order_id: int) -> OrderReport | None: ...
    def acknowledge(self, order_id: int) -> OrderState: ...
    def reprice(self, order_id: int, price_ticks: int) -> None: ...
    def park(self, order_id: int) -> OrderState: ...
    def trigger(self, order_id: int) -> OrderState: ...
    def fill(
        self, order_id: int, price_ticks: int, quantity: int, fees: int, timestamp_us: int
    ) -> OrderState: ...
    def amend(
        self,
        order_id: int,
        price_ticks: int | None,
        quantity: int,
        timestamp_us: int,
        stop_price_ticks: int | None = None,
    ) -> OrderState: ...
    def decrement(self, order_id: int, quantity: int, timestamp_us: int) -> int:
        """Gives the lots that are free by that."""

    def cancel(self, order_id: int, reason: CancelReason, timestamp_us: int) -> OrderState: ...
    def amend_settled(self, record: Record, applied: bool) -> FreedLots | None: ...
    def has_pending_amend(self, order_id: int) -> bool: ...


class Holdings(Protocol):
    """What a team holds and could come to hold, in lots."""

    def position(self, account: int, instrument_id: str) -> int: ...
    def open_quantity(self, account: int, instrument_id: str, side: Side) -> int: ...
    def total_position(self, account: int) -> int: ...
    def open_instruments(self, account: int) -> list[str]: ...


class Reservations(Holdings, Protocol):
    """Holdings that settle moves: open lots become position or are given back."""

    def release(self, account: int, instrument_id: str, side: Side, quantity: int) -> None: ...
    def convert(self, account: int, instrument_id: str, side: Side, quantity: int) -> None: ...
    def ended(
        self,
        account: int,
        instrument_id: str,
        side: Side,
        can_rest: bool,
        terms: OrderTerms | None,
    ) -> None: ...


class Books(Protocol):
    """The ledger."""

    def book(
        self, account: int, instrument_id: str, side: Side, quantity: int, price_ticks: int, fees: int
    ) -> None: ...
    def position_update(
        self, account: int, seq: int, timestamp_us: int, instrument_id: str
    ) -> PositionUpdate: ...


class Fees(Protocol):
    """What a fill costs, signed like all money."""

    def fee(self, account: int, liquidity: Liquidity, quantity: int) -> int: ...
