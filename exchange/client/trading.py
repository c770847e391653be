"""Orders: enter, change, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from msgspec.structs import replace

from exchange.client import calls
from exchange.client.caller import Caller
from exchange.client.errors import ExchangeError
from exchange.client.order_entry import ClientOrderIds, OrderEntry
from exchange.client.queries import order_name
from exchange.client.results import OrderReceipt
from exchange.model.types import OrderType, PostOnly, SelfTradePrevention, Side, TimeInForce
from exchange.wire.data import CancelAfter, CancelAllResult, DryRun
from exchange.wire.queries import WaitFor
from exchange.wire.requests import AmendRequest, OrderRequest
from exchange.wire.socket import NewOrderParams


class Terms(TypedDict, total=False):
    """Terms of an order beside instrument, side and quantity; docs/orders.md explains each.

    ``price`` alone makes a limit order, ``stop_price`` a stop, both a stop-limit, neither a market order.
    ``expires_at`` needs a time zone.
    """

    price: float | None
    order_type: OrderType | None
    time_in_force: TimeInForce | None
    client_order_id: str | None
    stop_price: float | None
    post_only: PostOnly | None
    display_quantity: int | None
    reduce_only: bool
    expires_at: datetime | None
    label: str | None
    self_trade_prevention: SelfTradePrevention | None


class Trading:
    """A refusal is raised as Rejected or one of its kinds, and nothing happened.

    Lost answers are resolved within the client's retries; beyond them OutcomeUnknown is raised.
    """

    _caller: Caller
    _entry: OrderEntry
    _ids: ClientOrderIds

    async def buy(
        self,
        instrument_id: str,
        quantity: int,
        *,
        wait: WaitFor = WaitFor.VALIDATION,
        **terms: Unpack[Terms],
    ) -> OrderReceipt:
        """:meth:`order` to buy."""
        return await self.order(instrument_id, Side.BUY, quantity, wait=wait, **terms)

    async def sell(
        self,
        instrument_id: str,
        quantity: int,
        *,
        wait: WaitFor = WaitFor.VALIDATION,
        **terms: Unpack[Terms],
    ) -> OrderReceipt:
        """:meth:`order` to sell."""
        return await self.order(instrument_id, Side.SELL, quantity, wait=wait, **terms)

    async def order(
        self,
        instrument_id: str,
        side: Side,
        quantity: int,
        *,
        wait: WaitFor = WaitFor.VALIDATION,
        **terms: Unpack[Terms],
    ) -> OrderReceipt:
        """A limit order at ``price``, which rests; without one a market order, immediate or cancel.

        See :class:`Terms` for the rest. Without ``client_order_id`` the client makes one. ``wait`` says which
        stage answers: with MATCHING or SETTLEMENT the receipt has the order's state.
        """
        name = terms.get("client_order_id") or self._ids.next()
        terms["client_order_id"] = name
        if self._caller.prefers_socket:
            params = NewOrderParams(
                instrument_id=instrument_id, side=side, quantity=quantity, wait=wait, **terms
            )
            return await self._entry.place(params, name, calls.new_order_by_socket(params))
        request = OrderRequest(instrument_id=instrument_id, side=side, quantity=quantity, **terms)
        return await self._entry.place(request, name, calls.new_order(request, wait))

    async def batch(
        self, orders: Sequence[OrderRequest], *, wait: WaitFor = WaitFor.VALIDATION
    ) -> list[OrderReceipt | ExchangeError]:
        """Enter up to 50 orders one behind the other; what each came to, in their order: refusals are values.

        Those without ``client_order_id`` are given one. Raises where the batch as a whole is refused.
        """
        named = [
            each if each.client_order_id is not None else replace(each, client_order_id=self._ids.next())
            for each in orders
        ]
        return await self._entry.place_batch(named, wait)

    async def validate(self, instrument_id: str, side: Side, quantity: int, **terms: Unpack[Terms]) -> None:
        """Return when the order would be accepted now, raise its refusal otherwise; nothing is entered."""
        request = OrderRequest(instrument_id=instrument_id, side=side, quantity=quantity, **terms)
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
        stop_price: float | None = None,
        client_order_id: str | None = None,
    ) -> OrderReceipt:
        """Give an order a new total quantity, a new limit, or a stop that waits a new stop price.

        NotFound (AMEND_FAILED) when it has ended. Only a smaller quantity at the same price keeps the order's
        place in the queue.
        """
        request = AmendRequest(quantity=quantity, price=price, stop_price=stop_price)
        return await self._entry.amend(order_name(order_id, client_order_id), request)

    async def cancel_all(
        self,
        instrument_id: str | None = None,
        side: Side | None = None,
        label: str | None = None,
        *,
        quote_group: str | None = None,
    ) -> int:
        """Cancel every open order of the team, or those in one instrument, of one side, with one label, or
        the quotes of one group.

        They are cancelled on return. Gives how many the last attempt found: fewer where an answer got lost.
        """
        call = calls.cancel_orders(instrument_id, side, label, quote_group)
        result: CancelAllResult = await self._caller.safely(call)
        return result.cancelled

    async def cancel_all_after(self, timeout_s: float) -> CancelAfter:
        """The dead-man switch: cancel all orders of the team unless this is called again in time.

        0 turns it off. Call it every third of ``timeout_s``.
        """
        switch: CancelAfter = await self._caller.safely(calls.cancel_all_after(round(timeout_s * 1_000)))
        return switch

    async def dead_man_switch(self) -> CancelAfter:
        """Whether the switch is armed, and until when."""
        target = f"{calls.ORDERS}/cancel_all_after"
        switch: CancelAfter = await self._caller.safely(calls.read(target, CancelAfter))
        return switch
