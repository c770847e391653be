"""What a client may ask of the past: orders, fills and trades, in pages or one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from exchange.base.bounds import PAGE_DEFAULT, PAGE_MAX
from exchange.client import calls
from exchange.client.caller import Caller
from exchange.client.errors import HistoryLimited
from exchange.model.types import Interval, Side
from exchange.wire import data
from exchange.wire.queries import OrderFilter

Moment: TypeAlias = datetime | str
"""A time: a datetime that knows its zone, or text as the exchange writes it."""

P = TypeVar("P", data.OrderList, data.ExecutionList, data.TradeList)


class History:
    """Pages, and iterators that ask for one page after the other. ``since`` is in the span, ``until`` is not.

    ``after`` is the ``next_cursor`` of the page before, which is None on the last. A page that may lack rows
    the exchange no longer keeps says so in ``limited``; an iterator raises HistoryLimited instead of leaving
    them out, unless it is told that ``partial`` will do.
    """

    _caller: Caller

    # --- pages ----------------------------------------------------------------------------------

    async def orders(
        self,
        status: OrderFilter = OrderFilter.ALL,
        instrument_id: str | None = None,
        *,
        side: Side | None = None,
        client_order_id: str | None = None,
        label: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.OrderList:
        """A page of orders, newest first; times are those of acceptance."""
        page: data.OrderList = await self._page(
            calls.ORDERS,
            data.OrderList,
            status=status.value,
            instrument_id=instrument_id,
            side=side,
            client_order_id=client_order_id,
            label=label,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )
        return page

    async def executions(
        self,
        instrument_id: str | None = None,
        *,
        side: Side | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.ExecutionList:
        """A page of fills, oldest first. ``after`` may be any exec_id, as of the last one seen."""
        page: data.ExecutionList = await self._page(
            "/exchange/executions",
            data.ExecutionList,
            instrument_id=instrument_id,
            side=side,
            order_id=order_id,
            client_order_id=client_order_id,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )
        return page

    async def trades(
        self,
        instrument_id: str,
        *,
        side: Side | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.TradeList:
        """A page of trades, oldest first. ``after`` may be any trade_id, as of the last one seen."""
        target = f"/exchange/trades/{calls.segment(instrument_id)}"
        page: data.TradeList = await self._page(
            target, data.TradeList, side=side, since=since, until=until, after=after, limit=limit
        )
        return page

    async def candles(
        self,
        instrument_id: str,
        interval: Interval = Interval.MINUTE,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.CandleList:
        """A page of candles, oldest first. ``after`` may be any time, as the start of the last one seen."""
        target = f"/exchange/candles/{calls.segment(instrument_id)}"
        span = {"since": since, "until": until}
        page: data.CandleList = await self._page(
            target, data.CandleList, side=None, interval=interval.value, after=after, limit=limit, **span
        )
        return page

    # --- one by one -----------------------------------------------------------------------------

    async def each_order(
        self,
        status: OrderFilter = OrderFilter.ALL,
        instrument_id: str | None = None,
        *,
        after: str | None = None,
        partial: bool = False,
        page_size: int = PAGE_MAX,
        **filters: Any,
    ) -> AsyncIterator[data.OrderView]:
        """Every order that :meth:`orders` would page through, newest first."""

        async def page(after: str | None) -> data.OrderList:
            return await self.orders(status, instrument_id, after=after, limit=page_size, **filters)

        async for orders in _pages(page, after, partial):
            for order in orders.orders:
                yield order

    async def each_execution(
        self,
        instrument_id: str | None = None,
        *,
        after: str | None = None,
        partial: bool = False,
        page_size: int = PAGE_MAX,
        **filters: Any,
    ) -> AsyncIterator[data.Execution]:
        """Every fill that :meth:`executions` would page through, oldest first."""

        async def page(after: str | None) -> data.ExecutionList:
            return await self.executions(instrument_id, after=after, limit=page_size, **filters)

        async for executions in _pages(page, after, partial):
            for execution in executions.executions:
                yield execution

    async def each_trade(
        self,
        instrument_id: str,
        *,
        after: str | None = None,
        partial: bool = False,
        page_size: int = PAGE_MAX,
        **filters: Any,
    ) -> AsyncIterator[data.PublicTrade]:
        """Every trade that :meth:`trades` would page through, oldest first."""

        async def page(after: str | None) -> data.TradeList:
            return await self.trades(instrument_id, after=after, limit=page_size, **filters)

        async for trades in _pages(page, after, partial):
            for trade in trades.trades:
                yield trade

    async def _page(
        self,
        target: str,
        kind: Any,
        *,
        side: Side | None,
        since: Moment | None,
        until: Moment | None,
        **query: Any,
    ) -> Any:
        span = {"from": _moment(since), "to": _moment(until)}
        given = query | span | {"side": None if side is None else side.value}
        return await self._caller.safely(calls.read(target, kind, **given))


async def _pages(
    page: Callable[[str | None], Awaitable[P]], after: str | None, partial: bool
) -> AsyncIterator[P]:
    while True:
        found = await page(after)
        if found.limited is not None and not partial:
            raise HistoryLimited(found.limited.code, found.limited.message, details=found.limited.details)
        yield found
        after = found.next_cursor
        if after is None:
            return


def _moment(given: Moment | None) -> str | None:
    if given is None or isinstance(given, str):
        return given
    if given.tzinfo is None:
        raise ValueError("a time needs its zone: datetime.now(UTC), not datetime.now()")
    return given.astimezone(UTC).isoformat().replace("+00:00", "Z")
