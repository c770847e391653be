"""Entries of the order register."""

from __future__ import annotations

import msgspec

from exchange.model.commands import NewOrder
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason


class Order(msgspec.Struct, array_like=True, gc=False):
    """An accepted order. ``command`` is what was sent, ``quantity`` and ``price_ticks`` what stands now.

    ``quantity`` is the total (FIX OrderQty), ``value`` the sum of price_ticks * quantity over its fills,
    ``fees`` money. ``price_ticks`` is None for a market order. Changed by the register alone.
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
    """An amend admitted and not yet settled. ``quantity`` is the new total, None where it keeps what is.

    ``command`` is that of the order; ``reserved`` lots were added to its side when the amend was admitted.
    """

    order_id: int
    command: NewOrder
    quantity: int | None
    reserved: int


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
