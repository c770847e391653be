"""Orders: enter, change, cancel."""

from __future__ import annotations

from typing import TypedDict, Unpack

from exchange.client import calls
from exchange.client.caller import Caller
from exchange.client.order_entry import ClientOrderIds, OrderEntry
from exchange.client.queries import order_name
from exchange.client.results import OrderReceipt
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.wire.data import DryRun
from exchange.wire.queries import WaitFor
from exchange.wire.requests import AmendRequest, OrderRequest
from exchange.wire.socket import NewOrderParams


class Terms(TypedDict, total=False):
    """Terms of an order beside instrument, side and quantity; see :meth:`Trading.order`."""

    price: float | None
    order_type: OrderType | None
    time_in_force: TimeInForce | None
    client_order_id: str | None
    wait: WaitFor


class Trading:
    """A refusal is raised as Rejected or one of its kinds, and nothing happened.

    Lost answers are resolved within the client's retries; beyond them OutcomeUnknown is raised.
    """

    _caller: Caller
    _entry: OrderEntry
    _ids: ClientOrderIds

    async def buy(self, instrument_id: str, quantity: int, **terms: Unpack[Terms]) -> OrderReceipt:
        """:meth:`order` to buy."""
        return await self.order(instrument_id, Side.BUY, quantity, **terms)

    async def sell(self, instrument_id: str, quantity: int, **terms: Unpack[Terms]) -> OrderReceipt:
        """:meth:`order` to sell."""
        return await self.order(instrument_id, Side.SELL, quantity, **terms)

    async def order(
        self,
        instrument_id: str,
        side: Side,
        quantity: int,
        *,
        price: float | None = None,
        order_type: OrderType | None = None,
        time_in_force: TimeInForce | None = None,
        client_order_id: str | None = None,
        wait: WaitFor = WaitFor.VALIDATION,
    ) -> OrderReceipt:
        """A limit order at ``price`` (good till cancelled), without one a market order (immediate or cancel).

        Without ``client_order_id`` the client makes one. ``wait`` says which stage answers: with MATCHING or
        SETTLEMENT the receipt has the order's state.
        """
        name = client_order_id or self._ids.next()
        if self._caller.prefers_socket:
            params = NewOrderParams(
                instrument_id=instrument_id,
                side=side,
                quantity=quantity,
                price=price,
                order_type=order_type,
                time_in_force=time_in_force,
                client_order_id=name,
                wait=wait,
            )
            return await self._entry.place(params, name, calls.new_order_by_socket(params))
        request = _request(instrument_id, side, quantity, price, order_type, time_in_force, name)
        return await self._entry.place(request, name, calls.new_order(request, wait))

    async def validate(
        self,
        instrument_id: str,
        side: Side,
        quantity: int,
        *,
        price: float | None = None,
        order_type: OrderType | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> None:
        """Return when the order would be accepted now, raise its refusal otherwise; nothing is entered."""
        request = _request(instrument_id, side, quantity, price, order_type, time_in_force, None)
        await self._caller.safely(calls.Call("POST", f"{calls.ORDERS}/validate", DryRun, request))

    async def cancel(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> OrderReceipt:
        """Cancel one order, by either of its ids. NotFound (CANCEL_FAILED) when it is not open any more."""
        return await self._entry.cancel(order_name(order_id, client_order_id))

    async def amend(
        self,
        order_id: str | None = None,
        *,
        quantity: int | None = None,
        price: float | None = None,
        client_order_id: str | None = None,
    ) -> OrderReceipt:
        """Give an order a new total quantity, a new limit or both. NotFound (AMEND_FAILED) when it has ended.

        Only a smaller quantity at the same price keeps the order's place in the queue.
        """
        request = AmendRequest(quantity=quantity, price=price)
        return await self._entry.amend(order_name(order_id, client_order_id), request)

    async def cancel_all(self, instrument_id: str | None = None) -> None:
        """Cancel every open order of the team, or those in one instrument; they are cancelled on return."""
        await self._caller.safely(calls.cancel_orders(instrument_id))


def _request(
    instrument_id: str,
    side: Side,
    quantity: int,
    price: float | None,
    order_type: OrderType | None,
    time_in_force: TimeInForce | None,
    client_order_id: str | None,
) -> OrderRequest:
    return OrderRequest(
        instrument_id=instrument_id,
        side=side,
        quantity=quantity,
        price=price,
        order_type=order_type,
        time_in_force=time_in_force,
        client_order_id=client_order_id,
    )
