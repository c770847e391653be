"""What the team has, kept from its private stream: positions, cash and open orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from exchange.model.order import OrderStatus
from exchange.model.types import OrderType, Side
from exchange.wire.data import OrderView
from exchange.wire.events import (
    AnyEvent,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    OrderTriggered,
    PositionSnapshot,
    PositionUpdate,
)
from exchange.wire.requests import OrderRequest

_BEFORE_TRIGGER: Final = (OrderStatus.ACCEPTED, OrderStatus.UNTRIGGERED)


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that may still trade. ``order_id`` is None until the exchange has answered, ``price`` for a
    market order. ``acknowledged``: the private stream told of it. ``stop_price`` is None for what is no stop,
    and once it was triggered.
    """

    instrument_id: str
    side: Side
    quantity: int
    remaining_quantity: int
    price: float | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    acknowledged: bool = False
    stop_price: float | None = None
    label: str | None = None
    quote_group: str | None = None


class Account:
    """Follows the private stream once ``is_live``; orders of this client count from before they are sent.

    So an order is open from the call on, whichever of its answer and its events comes first.
    """

    def __init__(self) -> None:
        self.is_live = False
        self.cash = 0.0
        self.fees = 0.0
        self._positions: dict[str, int] = {}
        self._orders: dict[str, OpenOrder] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            NewOrderAck: self._acknowledge,
            OrderTriggered: self._trigger,
            ExecutionReport: self._fill,
            OrderAmended: self._amend,
            OrderCancelled: self._cancel,
            PositionUpdate: self._update_position,
            PositionSnapshot: self._begin,
        }
        # Orders whose answer was outstanding at the last snapshot: it may have had their end already.
        self._doubtful: set[str] = set()

    @property
    def positions(self) -> Mapping[str, int]:
        """Net lots by instrument."""
        return MappingProxyType(self._positions)

    def position(self, instrument_id: str) -> int:
        """Net lots in one instrument."""
        return self._positions.get(instrument_id, 0)

    def open_orders(self, instrument_id: str | None = None) -> list[OpenOrder]:
        """Orders that may still trade, those on their way included; oldest first."""
        orders: Iterable[OpenOrder] = self._orders.values()
        if instrument_id is not None:
            orders = (order for order in orders if order.instrument_id == instrument_id)
        return list(orders)

    # --- what the stream tells ------------------------------------------------------------------

    def apply(self, event: AnyEvent) -> None:
        """Take in one event; those of public channels change nothing."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _begin(self, event: PositionSnapshot) -> None:
        self.is_live = True
        self.cash, self.fees = event.cash, event.fees
        self._positions = {each: lots for each, lots in event.positions.items() if lots}
        outstanding = {key: order for key, order in self._orders.items() if order.order_id is None}
        self._doubtful = set(outstanding)
        self._orders = {}
        for view in msgspec.convert(event.open_orders, list[OrderView]):
            key = view.client_order_id or view.order_id
            outstanding.pop(key, None)
            self._doubtful.discard(key)
            self._orders[key] = _of_view(view)
        self._orders.update(outstanding)

    def _acknowledge(self, event: NewOrderAck) -> None:
        key = event.client_order_id or event.order_id
        self._doubtful.discard(key)
        self._orders[key] = OpenOrder(
            instrument_id=event.instrument_id,
            side=event.side,
            quantity=event.quantity,
            remaining_quantity=event.quantity,
            price=event.price,
            order_id=event.order_id,
            client_order_id=event.client_order_id,
            acknowledged=True,
            stop_price=event.stop_price,
            label=event.label,
            quote_group=event.quote_group,
        )

    def _trigger(self, event: OrderTriggered) -> None:
        key = event.client_order_id or event.order_id
        order = self._orders.get(key)
        if order is not None:
            self._orders[key] = replace(order, stop_price=None)

    def _fill(self, event: ExecutionReport) -> None:
        self._leave(event.client_order_id or event.order_id, event.remaining_quantity)

    def _amend(self, event: OrderAmended) -> None:
        key = event.client_order_id or event.order_id
        order = self._orders.get(key)
        if order is not None:
            self._orders[key] = replace(
                order, quantity=event.quantity, price=event.price, stop_price=event.stop_price
            )
        self._leave(key, event.remaining_quantity)

    def _cancel(self, event: OrderCancelled) -> None:
        self._leave(event.client_order_id or event.order_id, 0)

    def _update_position(self, event: PositionUpdate) -> None:
        self.cash, self.fees = event.cash, event.fees
        if event.position:
            self._positions[event.instrument_id] = event.position
        else:
            self._positions.pop(event.instrument_id, None)

    def _leave(self, key: str, remaining_quantity: int) -> None:
        order = self._orders.get(key)
        if order is None:
            return
        if remaining_quantity:
            self._orders[key] = replace(order, remaining_quantity=remaining_quantity)
        else:
            del self._orders[key]
            self._doubtful.discard(key)

    # --- what this client does ------------------------------------------------------------------

    def sending(self, request: OrderRequest) -> None:
        """``request``, which has a client_order_id, is about to leave."""
        key = request.client_order_id
        if self.is_live and key is not None and key not in self._orders:
            self._orders[key] = OpenOrder(
                instrument_id=request.instrument_id,
                side=request.side,
                quantity=request.quantity,
                remaining_quantity=request.quantity,
                price=None if request.order_type is OrderType.MARKET else request.price,
                client_order_id=key,
                stop_price=request.stop_price,
                label=request.label,
            )

    def accepted(self, client_order_id: str, order_id: str, status: OrderStatus | None) -> None:
        """The exchange took it. Its end may have been told already, then there is nothing to note."""
        order = self._orders.get(client_order_id)
        if order is None or order.acknowledged:
            return
        if client_order_id in self._doubtful or (status is not None and status.is_final):
            # Still to be acknowledged: the stream will bring it back. Already ended: it stays away.
            self._doubtful.discard(client_order_id)
            del self._orders[client_order_id]
        else:
            self._orders[client_order_id] = replace(order, order_id=order_id)

    def refused(self, client_order_id: str) -> None:
        """It was refused, or its fate is unknown: should it be in, the stream will tell."""
        order = self._orders.get(client_order_id)
        if order is not None and not order.acknowledged:
            del self._orders[client_order_id]
            self._doubtful.discard(client_order_id)


def _of_view(view: OrderView) -> OpenOrder:
    return OpenOrder(
        instrument_id=view.instrument_id,
        side=view.side,
        quantity=view.quantity,
        remaining_quantity=view.remaining_quantity,
        price=view.price,
        order_id=view.order_id,
        client_order_id=view.client_order_id,
        acknowledged=view.status is not OrderStatus.ACCEPTED,
        stop_price=view.stop_price if view.status in _BEFORE_TRIGGER else None,
        label=view.label,
        quote_group=view.quote_group,
    )
