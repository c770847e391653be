"""Every operation the SDK uses, once: its HTTP form, and where there is one, its method of the socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from exchange.model.types import Side
from exchange.wire import data, socket
from exchange.wire.ids import CLIENT_PREFIX
from exchange.wire.queries import WaitFor
from exchange.wire.requests import (
    AmendRequest,
    BatchRequest,
    CancelAfterRequest,
    OrderRequest,
    ProtectionRequest,
    QuotesRequest,
    Request,
)

ORDERS: Final = "/exchange/orders"
QUOTES: Final = "/exchange/quotes"


class Call(msgspec.Struct, frozen=True, gc=False):
    """``data`` is the type in the answer. ``is_command``: the socket wraps it in a CommandResult."""

    method: str
    target: str
    data: Any = None
    body: Request | None = None
    socket_method: str | None = None
    params: Request | None = None
    is_command: bool = False


def read(target: str, data_type: Any, **query: Any) -> Call:
    """A GET; parameters that are None are left out."""
    return Call("GET", target + _query(query), data_type)


def new_order(request: OrderRequest, wait: WaitFor) -> Call:
    """Enter an order."""
    target = ORDERS if wait is WaitFor.VALIDATION else f"{ORDERS}?wait={wait.value}"
    return Call("POST", target, data.OrderResult, request)


def new_order_by_socket(request: socket.NewOrderParams) -> Call:
    """Enter an order over the socket; there is no HTTP form of this one."""
    return Call("", "", data.OrderResult, None, "order.new", request, True)


def new_batch(requests: Sequence[OrderRequest], wait: WaitFor) -> Call:
    """Enter many orders."""
    orders = list(requests)
    target = f"{ORDERS}/batch" + _query({"wait": None if wait is WaitFor.VALIDATION else wait.value})
    params = socket.NewBatchParams(orders=orders, wait=wait)
    body = BatchRequest(orders=orders)
    return Call("POST", target, data.BatchResult, body, "orders.new_batch", params, is_command=True)


def cancel_order(order_id: str) -> Call:
    """Cancel one order, named by the exchange's id or ``client:`` and the client's."""
    return Call(
        "DELETE", _order(order_id), data.OrderResult, None, "order.cancel", _named(order_id), is_command=True
    )


def amend_order(order_id: str, request: AmendRequest) -> Call:
    """Give an order a new total quantity, limit or stop price."""
    name = _named(order_id)
    params = socket.AmendParams(
        order_id=name.order_id,
        client_order_id=name.client_order_id,
        quantity=request.quantity,
        price=request.price,
        stop_price=request.stop_price,
    )
    return Call("PATCH", _order(order_id), data.OrderResult, request, "order.amend", params, is_command=True)


def new_quotes(request: QuotesRequest) -> Call:
    """Enter quotes."""
    return Call("POST", QUOTES, data.QuotesResult, request, "quotes.new", request, is_command=True)


def set_protection(quote_group: str, request: ProtectionRequest) -> Call:
    """Protect a group of quotes."""
    params = socket.ProtectionParams(
        quote_group=quote_group,
        fills=request.fills,
        lots=request.lots,
        window_ms=request.window_ms,
        frozen_ms=request.frozen_ms,
    )
    target = _protection(quote_group)
    return Call("PUT", target, data.ProtectionView, request, "protection.set", params)


def remove_protection(quote_group: str) -> Call:
    """Protect a group of quotes no longer."""
    params = socket.QuoteGroupParams(quote_group=quote_group)
    return Call("DELETE", _protection(quote_group), data.ProtectionView, None, "protection.remove", params)


def get_protection(quote_group: str) -> Call:
    """The protection of a group of quotes as it stands."""
    params = socket.QuoteGroupParams(quote_group=quote_group)
    return Call("GET", _protection(quote_group), data.ProtectionView, None, "protection.get", params)


def cancel_orders(
    instrument_id: str | None, side: Side | None, label: str | None, quote_group: str | None
) -> Call:
    """Cancel every open order, or those in one instrument, of one side, with one label, of one group."""
    params = socket.CancelAllParams(
        instrument_id=instrument_id, side=side, label=label, quote_group=quote_group
    )
    side_name = None if side is None else side.value
    target = ORDERS + _query(
        {"instrument_id": instrument_id, "side": side_name, "label": label, "quote_group": quote_group}
    )
    return Call("DELETE", target, data.CancelAllResult, None, "orders.cancel_all", params, is_command=True)


def cancel_all_after(timeout_ms: int) -> Call:
    """Arm the dead-man switch, or with 0 disarm it."""
    request = CancelAfterRequest(timeout_ms=timeout_ms)
    target = f"{ORDERS}/cancel_all_after"
    return Call("POST", target, data.CancelAfter, request, "session.cancel_all_after", request)


def get_order(order_id: str) -> Call:
    """One order as it stands."""
    return Call("GET", _order(order_id), data.OrderView, None, "order.get", _named(order_id))


def open_orders(instrument_id: str | None, after: str | None, limit: int) -> Call:
    """A page of open orders, newest first."""
    params = socket.OpenOrdersParams(instrument_id=instrument_id, after=after, limit=limit)
    target = ORDERS + _query({"instrument_id": instrument_id, "after": after, "limit": limit})
    return Call("GET", target, data.OrderList, None, "orders.open", params)


def positions() -> Call:
    """Positions, cash and profit of the team."""
    return Call("GET", "/positions", data.Positions, None, "positions.get", socket.NoParams())


def book(instrument_id: str, depth: int) -> Call:
    """Depth of one instrument."""
    params = socket.BookParams(instrument_id=instrument_id, depth=depth)
    target = f"/exchange/orderbook/{segment(instrument_id)}?depth={depth}"
    return Call("GET", target, data.Orderbook, None, "book.get", params)


def segment(text: str) -> str:
    """``text`` as one part of a path."""
    return quote(text, safe=":")


def _protection(quote_group: str) -> str:
    return f"{QUOTES}/protection/{segment(quote_group)}"


def _order(order_id: str) -> str:
    return f"{ORDERS}/{segment(order_id)}"


def _named(order_id: str) -> socket.OrderNameParams:
    if order_id.startswith(CLIENT_PREFIX):
        return socket.OrderNameParams(client_order_id=order_id.removeprefix(CLIENT_PREFIX))
    return socket.OrderNameParams(order_id=order_id)


def _query(query: Mapping[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
