"""What the pipeline answers a request with; the API turns it into an envelope."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.model.order import OrderStatus
from exchange.model.reasons import Refusal


class OrderReport(msgspec.Struct, frozen=True, gc=False):
    """State of an order: ``value`` is the sum of price_ticks * quantity over its fills, ``fees`` money."""

    status: OrderStatus
    quantity: int
    filled_quantity: int
    value: int
    fees: int
    price_ticks: int | None = None
    stop_price_ticks: int | None = None


class OrderAnswer(msgspec.Struct, frozen=True, gc=False):
    """An order was accepted, cancelled or amended. ``report`` only where the request waited for it.

    ``duplicate`` marks the answer to a resend: id and timestamp are those of the first answer.
    """

    order_id: int
    timestamp_us: int
    instrument_id: str
    client_order_id: str | None = None
    duplicate: bool = False
    report: OrderReport | None = None


class QuoteAnswer(msgspec.Struct, frozen=True, gc=False):
    """A quote was accepted. An order id is that of the side's order, new or amended; None if it is empty."""

    timestamp_us: int
    instrument_id: str
    bid_order_id: int | None
    ask_order_id: int | None


class TeamAnswer(msgspec.Struct, frozen=True, gc=False):
    """A team was registered, given a new key, disabled or enabled."""

    account: int
    timestamp_us: int


class Done(msgspec.Struct, frozen=True, gc=False):
    """An operator's act took effect at ``sequence``."""

    sequence: int
    timestamp_us: int


class OrdersCancelled(msgspec.Struct, frozen=True, gc=False):
    """A mass cancel took effect at ``sequence`` and ended ``cancelled`` orders."""

    sequence: int
    timestamp_us: int
    cancelled: int


Answer: TypeAlias = OrderAnswer | QuoteAnswer | TeamAnswer | OrdersCancelled | Done | Refusal
