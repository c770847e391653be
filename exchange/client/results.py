"""What calls return beyond the exchange's own messages."""

from __future__ import annotations

import msgspec

from exchange.model.order import OrderStatus
from exchange.wire.data import OrderResult


class QuoteReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange took a quote. The ids are those of its sides' orders, None for a side it does not have."""

    timestamp: str
    request_id: str
    bid_order_id: str | None = None
    ask_order_id: str | None = None


class OrderReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange took an order, a cancel or an amend. Ids and time are those of the order.

    ``state`` is the order as it then was: always after a cancel or amend, after an order only with ``wait``.
    ``resent`` says that the first answer was lost and the order was found to be in.
    """

    order_id: str
    timestamp: str
    client_order_id: str | None = None
    request_id: str | None = None
    state: OrderResult | None = None
    resent: bool = False

    @property
    def status(self) -> OrderStatus | None:
        """Status when the answer was given, where it was waited for."""
        return None if self.state is None else self.state.status

    @property
    def filled_quantity(self) -> int | None:
        """Lots traded when the answer was given, where it was waited for."""
        return None if self.state is None else self.state.filled_quantity
