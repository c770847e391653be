"""A team's own orders, fills and requests: reads only."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import Final

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import AnyCall, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.views import execution_view, order_view, request_view
from exchange.base.bounds import FINISHED_ORDERS_PER_TEAM, PAGE_MAX
from exchange.model.events import ExecutionReport
from exchange.model.reasons import Category, Code, Refusal, unknown_instrument
from exchange.services.orders.order import Order
from exchange.wire import data
from exchange.wire.ids import CLIENT_PREFIX, exec_number, order_number
from exchange.wire.queries import ExecutionsQuery, NoQuery, OrderFilter, OrdersQuery

_UNKNOWN_ORDER: Final = Refusal(
    Category.UNKNOWN, Code.UNKNOWN_ORDER, "No order of this team has this id, or it ended too long ago"
)
_UNKNOWN_REQUEST: Final = Refusal(
    Category.UNKNOWN, Code.UNKNOWN_REQUEST, "No request of this team has this id, or it ended too long ago"
)


async def get_order(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """One order as it stands."""
    order = find_order(context, call)
    if order is None:
        return _UNKNOWN_ORDER
    view = order_view(order, context.grids[order.command.instrument_id])
    return Answered(view, view.order_id)


async def list_orders(context: ApiContext, call: Call[OrdersQuery, None]) -> Reply:
    """A page of the team's orders, newest first."""
    query = call.query
    if query.instrument_id is not None and query.instrument_id not in context.grids:
        return unknown_instrument(query.instrument_id)
    found = _orders(context, call.caller.account, query)
    page = found[: query.limit]
    views = [order_view(order, context.grids[order.command.instrument_id]) for order in page]
    cursor = views[-1].order_id if len(found) > query.limit else None
    return Answered(data.OrderList(orders=views, next_cursor=cursor))


async def list_executions(context: ApiContext, call: Call[ExecutionsQuery, None]) -> Reply:
    """A page of the team's fills, oldest first."""
    query = call.query
    if query.instrument_id is not None and query.instrument_id not in context.grids:
        return unknown_instrument(query.instrument_id)
    found = _executions(context, call.caller.account, query)
    page = found[: query.limit]
    views = [execution_view(report, context.grids[report.instrument_id]) for report in page]
    cursor = views[-1].exec_id if len(found) > query.limit else None
    return Answered(data.ExecutionList(executions=views, next_cursor=cursor))


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


def _orders(context: ApiContext, account: int, query: OrdersQuery) -> list[Order]:
    """One more than the page holds where there are more."""
    register, instrument_id = context.register, query.instrument_id
    after = None if query.after is None else order_number(query.after)
    open_orders: list[Order] = []
    finished: list[Order] = []
    if query.status is not OrderFilter.FINISHED:
        open_orders = register.open_orders(account, instrument_id)[::-1]
        if after is not None:
            open_orders = [order for order in open_orders if order.order_id < after]
    if query.status is not OrderFilter.OPEN:
        # The register knows no instruments here: filtering needs all that it keeps of the team.
        limit = query.limit + 1 if instrument_id is None else FINISHED_ORDERS_PER_TEAM
        finished = register.finished(account, limit, after)
        if instrument_id is not None:
            finished = [order for order in finished if order.command.instrument_id == instrument_id]
    both = merge(open_orders, finished, key=lambda order: -order.order_id)
    return list(islice(both, query.limit + 1))


def _executions(context: ApiContext, account: int, query: ExecutionsQuery) -> list[ExecutionReport]:
    """One more than the page holds where there are more."""
    history = context.settlement.history
    after = None if query.after is None else exec_number(query.after)
    if query.instrument_id is None:
        return history.executions(account, query.limit + 1, after)
    found: list[ExecutionReport] = []
    while len(found) <= query.limit:
        page = history.executions(account, PAGE_MAX, after)
        found += (report for report in page if report.instrument_id == query.instrument_id)
        if len(page) < PAGE_MAX:
            break
        after = page[-1].exec_id
    return found[: query.limit + 1]


ROUTES: Final = (
    Operation(
        operation_id="get_order",
        method="GET",
        path="/exchange/orders/{order_id}",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=get_order,
        summary="One order as it stands",
        description="Live orders, and the last 10,000 finished ones of the team.",
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
        description="Open orders unless `status` asks for others; an order in flight is open.",
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
        description="The last 10,000. To follow them, ask again with `after` set to the last `exec_id` seen.",
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
