"""A team's own orders, fills and requests: reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.history import beyond
from exchange.api.operation import AnyCall, Call, Operation, Topic
from exchange.api.past import continued, filled_up
from exchange.api.replies import Answered, Reply
from exchange.api.views import execution_view, order_view, request_view
from exchange.model.events import ExecutionReport
from exchange.model.order import OrderStatus
from exchange.model.page import Span
from exchange.model.reasons import Category, Code, Refusal, unknown_instrument
from exchange.model.types import Side
from exchange.services.orders.listing import OrdersWanted, page_of_orders
from exchange.services.orders.order import Order
from exchange.storage.asked import Asked
from exchange.wire import data
from exchange.wire.ids import CLIENT_PREFIX, exec_id_text, exec_number, order_id_text, order_number
from exchange.wire.queries import ExecutionsQuery, NoQuery, OrderFilter, OrdersQuery

_FINAL: Final[Mapping[OrderFilter, OrderStatus]] = {
    OrderFilter.FILLED: OrderStatus.FILLED,
    OrderFilter.CANCELLED: OrderStatus.CANCELLED,
}
_ENDED: Final = tuple(_FINAL.values())
_UNKNOWN_ORDER: Final = Refusal(
    Category.UNKNOWN, Code.UNKNOWN_ORDER, "No order of this team has this id, or it ended too long ago"
)
_UNKNOWN_REQUEST: Final = Refusal(
    Category.UNKNOWN, Code.UNKNOWN_REQUEST, "No request of this team has this id, or it ended too long ago"
)


async def get_order(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """One order as it stands."""
    order = find_order(context, call) or await _find_past(context, call)
    if order is None:
        return _UNKNOWN_ORDER
    view = order_view(order, context.grids[order.command.instrument_id])
    return Answered(view, view.order_id)


async def list_orders(context: ApiContext, call: Call[OrdersQuery, None]) -> Reply:
    """A page of the team's orders, newest first."""
    query = call.query
    if query.instrument_id is not UNSET and query.instrument_id not in context.grids:
        return unknown_instrument(query.instrument_id)
    wanted = _orders_wanted(query)
    page = page_of_orders(context.register, call.caller.account, wanted)
    witness = context.register.first_finished(call.caller.account)
    if page.gone is not None and witness is not None:
        asked = _past_orders(query, call.caller.account, wanted, witness)
        page = filled_up(page, await context.past.orders(asked), query.limit)
    views = [order_view(order, context.grids[order.command.instrument_id]) for order in page.rows]
    cursor = views[-1].order_id if page.has_more else None
    limited = beyond(page.gone, order_id_text)
    return Answered(data.OrderList(orders=views, next_cursor=cursor, limited=limited))


async def list_executions(context: ApiContext, call: Call[ExecutionsQuery, None]) -> Reply:
    """A page of the team's fills, oldest first."""
    query = call.query
    if query.instrument_id is not UNSET and query.instrument_id not in context.grids:
        return unknown_instrument(query.instrument_id)
    after = None if query.after is UNSET else exec_number(query.after)
    account, span = call.caller.account, Span(query.from_us, query.to_us)
    page = context.settlement.history.executions(account, query.limit, after, span, _execution_filter(query))
    if page.gone is not None:
        last, equal = page.gone.number, _execution_columns(query, account)
        asked = Asked(equal=equal, limit=query.limit + 1, witness=last, after=after, up_to=last, span=span)
        page = continued(page, await context.past.executions(asked), query.limit)
    views = [execution_view(report, context.grids[report.instrument_id]) for report in page.rows]
    cursor = views[-1].exec_id if page.has_more else None
    limited = beyond(page.gone, exec_id_text)
    return Answered(data.ExecutionList(executions=views, next_cursor=cursor, limited=limited))


async def get_request(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Where a request of the caller is."""
    pending = context.responses.status_of(call.caller.account, call.path["request_id"])
    return _UNKNOWN_REQUEST if pending is None else Answered(request_view(pending))


def find_order(context: ApiContext, call: AnyCall) -> Order | None:
    """The order named in the path, if it is the caller's."""
    account, name = call.caller.account, call.path["order_id"]
    if name.startswith(CLIENT_PREFIX):
        known = context.register.by_client_id(account, name.removeprefix(CLIENT_PREFIX))
        number = None if known is None else known.order_id
    else:
        number = order_number(name)
    order = None if number is None else context.register.get(number)
    return order if order is not None and order.command.account == account else None


async def _find_past(context: ApiContext, call: AnyCall) -> Order | None:
    account, name = call.caller.account, call.path["order_id"]
    if not name.startswith(CLIENT_PREFIX):
        number = order_number(name)
        return None if number is None else await context.past.order(account, number)
    client_order_id = name.removeprefix(CLIENT_PREFIX)
    known = context.register.by_client_id(account, client_order_id)
    return await context.past.order(account, client_order_id if known is None else known.order_id)


def _past_orders(query: OrdersQuery, account: int, wanted: OrdersWanted, witness: int) -> Asked:
    final = _FINAL.get(query.status)
    return Asked(
        equal=_columns(
            account,
            query.instrument_id,
            query.side,
            client_order_id=query.client_order_id,
            label=query.label,
        ),
        limit=query.limit + 1,
        witness=witness,
        after=wanted.after,
        span=wanted.span,
        statuses=tuple(each.value for each in _ENDED if final in (None, each)),
    )


def _execution_columns(query: ExecutionsQuery, account: int) -> Mapping[str, str | int]:
    order_id = UNSET if query.order_id is UNSET else order_number(query.order_id)
    return _columns(
        account, query.instrument_id, query.side, client_order_id=query.client_order_id, order_id=order_id
    )


def _columns(
    account: int,
    instrument_id: str | UnsetType,
    side: Side | UnsetType,
    **others: str | int | UnsetType | None,
) -> Mapping[str, str | int]:
    asked = {
        "team_id": account,
        "instrument_id": instrument_id,
        "side": UNSET if side is UNSET else side.value,
        **others,
    }
    return {name: value for name, value in asked.items() if isinstance(value, (str, int))}


def _orders_wanted(query: OrdersQuery) -> OrdersWanted:
    status, final = query.status, _FINAL.get(query.status)
    instrument_id, side, label = query.instrument_id, query.side, query.label
    client_order_id = query.client_order_id

    def matches(order: Order) -> bool:
        command = order.command
        return (
            (final is None or order.status is final)
            and (instrument_id is UNSET or command.instrument_id == instrument_id)
            and (side is UNSET or command.side is side)
            and (client_order_id is UNSET or command.client_order_id == client_order_id)
            and (label is UNSET or command.all_terms.label == label)
        )

    return OrdersWanted(
        limit=query.limit,
        open=status is OrderFilter.OPEN or status is OrderFilter.ALL,
        finished=status is not OrderFilter.OPEN,
        after=None if query.after is UNSET else order_number(query.after),
        span=Span(query.from_us, query.to_us),
        matches=matches,
    )


def _execution_filter(query: ExecutionsQuery) -> Callable[[ExecutionReport], bool]:
    instrument_id, side, client_order_id = query.instrument_id, query.side, query.client_order_id
    order_id = None if query.order_id is UNSET else order_number(query.order_id)

    def matches(report: ExecutionReport) -> bool:
        return (
            (instrument_id is UNSET or report.instrument_id == instrument_id)
            and (side is UNSET or report.side is side)
            and (order_id is None or report.order_id == order_id)
            and (client_order_id is UNSET or report.client_order_id == client_order_id)
        )

    return matches


ROUTES: Final = (
    Operation(
        operation_id="get_order",
        method="GET",
        path="/exchange/orders/{order_id}",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=get_order,
        summary="One order as it stands",
        description=(
            "Live orders, the last 10,000 finished ones of the team, and every older one from the SQL tables,"
            " where these are kept."
        ),
        data=data.OrderView,
        has_order_id=True,
        codes=(Code.UNKNOWN_ORDER,),
    ),
    Operation(
        operation_id="list_orders",
        method="GET",
        path="/exchange/orders",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=list_orders,
        summary="The team's orders, newest first",
        description=(
            "Open orders unless `status` asks for others; an order in flight is open. Of finished ones the"
            " last 10,000 are in memory, older ones come from the SQL tables: a page that may lack some says"
            " so in `limited`, with the code `HISTORY_LIMITED`."
        ),
        query=OrdersQuery,
        data=data.OrderList,
        codes=(Code.UNKNOWN_INSTRUMENT,),
    ),
    Operation(
        operation_id="list_executions",
        method="GET",
        path="/exchange/executions",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=list_executions,
        summary="The team's fills, oldest first",
        description=(
            "To follow them, ask again with `after` set to the last `exec_id` seen. The last 10,000 are in"
            " memory, older ones come from the SQL tables: a page that may lack some before its first says so"
            " in `limited`, with the code `HISTORY_LIMITED`."
        ),
        query=ExecutionsQuery,
        data=data.ExecutionList,
        codes=(Code.UNKNOWN_INSTRUMENT,),
    ),
    Operation(
        operation_id="get_request",
        method="GET",
        path="/exchange/requests/{request_id}",
        topic=Topic.ORDERS,
        access=Access.KEY,
        handler=get_request,
        summary="What became of a request",
        description=(
            "For a client that lost its connection before the answer came. Requests that entered the order"
            " path are known while they are under way and for the last 10,000 answers; reads are not."
        ),
        data=data.RequestView,
        codes=(Code.UNKNOWN_REQUEST,),
    ),
)
