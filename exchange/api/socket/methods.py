"""Methods of a socket that are operations of the HTTP API: the same handlers, given params."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from exchange.api.auth import Access
from exchange.api.operation import Handler
from exchange.api.routes import batches, blotter, market, orders, positions, quotes, safety
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire import socket
from exchange.wire.ids import CLIENT_PREFIX
from exchange.wire.queries import (
    CancelAllQuery,
    NoQuery,
    OrderbookQuery,
    OrdersQuery,
    Query,
    SubmitQuery,
    WaitFor,
)
from exchange.wire.requests import CancelAfterRequest, DisconnectRequest, QuotesRequest, Request

_NAMED_ONCE: Final = Refusal(
    Category.INVALID, Code.INVALID_REQUEST, "An order is named by order_id or by client_order_id, one of them"
)


_NO_WAIT: Final = SubmitQuery()


class Inputs(NamedTuple):
    """``params`` as what HTTP takes from path, query and body."""

    query: Query = NoQuery()
    body: Request | None = None
    path: Mapping[str, str] = {}


class SocketMethod(msgspec.Struct, frozen=True):
    """One row. The result of a command carries the order's id and time beside its data.

    ``weight`` is how many requests under way it counts as.
    """

    name: str
    access: Access
    params: type[Request]
    handler: Handler
    inputs: Callable[[Any], Inputs | Refusal]
    is_command: bool = False
    weight: Callable[[Any], int] = lambda params: 1


def _new_order(params: socket.NewOrderParams | socket.NewBatchParams) -> Inputs:
    wait = params.wait
    return Inputs(_NO_WAIT if wait is WaitFor.VALIDATION else SubmitQuery(wait=wait), params)


def _batch_weight(params: socket.NewBatchParams) -> int:
    return len(params.orders)


def _named_order(params: socket.OrderNameParams | socket.AmendParams) -> Inputs | Refusal:
    order_id, client_order_id = params.order_id, params.client_order_id
    if (order_id is None) is (client_order_id is None):
        return _NAMED_ONCE
    return Inputs(
        path={"order_id": order_id if order_id is not None else f"{CLIENT_PREFIX}{client_order_id}"}
    )


def _amend(params: socket.AmendParams) -> Inputs | Refusal:
    named = _named_order(params)
    if isinstance(named, Refusal):
        return named
    return named._replace(body=params)


def _cancel_all(params: socket.CancelAllParams) -> Inputs:
    side = UNSET if params.side is None else params.side
    group = UNSET if params.quote_group is None else params.quote_group
    query = CancelAllQuery(
        instrument_id=params.instrument_id, side=side, label=params.label, quote_group=group
    )
    return Inputs(query)


def _quotes_weight(params: QuotesRequest) -> int:
    return len(params.quotes)


def _named_group(params: socket.QuoteGroupParams) -> Inputs:
    return Inputs(path={"quote_group": params.quote_group})


def _protection(params: socket.ProtectionParams) -> Inputs:
    return Inputs(body=params, path={"quote_group": params.quote_group})


def _open_orders(params: socket.OpenOrdersParams) -> Inputs:
    instrument_id = UNSET if params.instrument_id is None else params.instrument_id
    after = UNSET if params.after is None else params.after
    return Inputs(OrdersQuery(instrument_id=instrument_id, after=after, limit=params.limit))


def _book(params: socket.BookParams) -> Inputs:
    return Inputs(OrderbookQuery(depth=params.depth), path={"instrument_id": params.instrument_id})


def _body(params: Request) -> Inputs:
    return Inputs(body=params)


def _nothing(params: socket.NoParams) -> Inputs:
    return Inputs()


_TABLE: Final = (
    SocketMethod("order.new", Access.TRADER, socket.NewOrderParams, orders.submit_order, _new_order, True),
    SocketMethod(
        "orders.new_batch",
        Access.TRADER,
        socket.NewBatchParams,
        batches.submit_batch,
        _new_order,
        True,
        _batch_weight,
    ),
    SocketMethod("order.cancel", Access.TRADER, socket.OrderNameParams, orders.cancel, _named_order, True),
    SocketMethod("order.amend", Access.TRADER, socket.AmendParams, orders.amend, _amend, True),
    SocketMethod(
        "orders.cancel_all", Access.TRADER, socket.CancelAllParams, orders.cancel_all, _cancel_all, True
    ),
    SocketMethod(
        "quotes.new", Access.TRADER, QuotesRequest, quotes.submit_quotes, _body, True, _quotes_weight
    ),
    SocketMethod(
        "protection.set", Access.TRADER, socket.ProtectionParams, quotes.set_protection, _protection
    ),
    SocketMethod(
        "protection.remove", Access.TRADER, socket.QuoteGroupParams, quotes.remove_protection, _named_group
    ),
    SocketMethod("protection.get", Access.TEAM, socket.QuoteGroupParams, quotes.get_protection, _named_group),
    SocketMethod(
        "session.cancel_on_disconnect",
        Access.TRADER,
        DisconnectRequest,
        safety.cancel_on_disconnect,
        _body,
    ),
    SocketMethod(
        "session.cancel_all_after", Access.TRADER, CancelAfterRequest, safety.cancel_all_after, _body
    ),
    SocketMethod("order.get", Access.TEAM, socket.OrderNameParams, blotter.get_order, _named_order),
    SocketMethod("orders.open", Access.TEAM, socket.OpenOrdersParams, blotter.list_orders, _open_orders),
    SocketMethod("positions.get", Access.TEAM, socket.NoParams, positions.get_own_positions, _nothing),
    SocketMethod("book.get", Access.PUBLIC, socket.BookParams, market.get_orderbook, _book),
)

METHODS: Final[Mapping[str, SocketMethod]] = {method.name: method for method in _TABLE}
