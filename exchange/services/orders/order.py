"""Entries of the order register."""

from __future__ import annotations

import msgspec

from exchange.model.commands import NewOrder
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason


class Order(msgspec.Struct, array_like=True, gc=False):
    """An accepted order. ``command`` is what was sent, ``quantity`` and ``price_ticks`` what stands now.

    ``quantity`` is the total (FIX OrderQty), ``value`` the sum of price_ticks * quantity over its fills,
    ``fees`` money. ``price_ticks`` is None without a limit, ``stop_price_ticks`` without a stop price.
    Changed by the register alone.
    """

    order_id: int
    timestamp_us: int
    command: NewOrder
    status: OrderStatus
    price_ticks: int | None
    quantity: int
    filled_quantity: int = 0
    value: int = 0
    fees: int = 0
    cancel_reason: CancelReason | None = None
    updated_at_us: int = 0
    stop_price_ticks: int | None = None

    @property
    def remaining_quantity(self) -> int:
        """Lots that may still trade (FIX LeavesQty): none once the order has ended."""
        return 0 if self.status.is_final else self.quantity - self.filled_quantity


class KnownOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a resend of its ``client_order_id`` is compared with and answered by."""

    order_id: int
    timestamp_us: int
    command: NewOrder


class PendingAmend(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amend admitted and not yet settled. ``quantity`` is the new total and ``price_ticks`` the new limit,
    None where it keeps what is.

    It holds on to its order, which may end and leave the register before.
    """

    order: Order
    quantity: int | None
    price_ticks: int | None


class FreedLots(msgspec.Struct, frozen=True, gc=False):
    """Lots that were reserved for the order of ``command`` and nothing can use any more."""

    command: NewOrder
    lots: int


class TeamOrders(msgspec.Struct, frozen=True, array_like=True):
    """What the register knows of one team. ``open`` and ``known`` in the order in which they were entered,
    ``finished`` in that in which they ended. A known order that is among these is told by its number alone.
    ``gone`` is the newest that is none of them any more.
    """

    account: int
    open: list[Order]
    finished: list[Order]
    known: list[int | KnownOrder]
    gone: Order | None


class RegisterSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The whole register."""

    teams: list[TeamOrders]
    amends: list[tuple[int, PendingAmend]]
    last_order_id: int
