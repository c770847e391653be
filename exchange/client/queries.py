"""What a client may ask: its own orders, fills and positions, and the market."""

from __future__ import annotations

from exchange.base.bounds import PAGE_DEFAULT, PAGE_MAX
from exchange.client import calls
from exchange.client.caller import Caller
from exchange.model.types import Interval
from exchange.wire import data
from exchange.wire.ids import CLIENT_PREFIX
from exchange.wire.queries import OrderFilter


class Queries:
    """Asked again, within the client's retries, while the exchange is out of reach or has no time.

    Pages: ``after`` is the ``next_cursor`` of the page before, which is None on the last.
    """

    _caller: Caller
    _team_id: str | None = None

    # --- the team's own -------------------------------------------------------------------------

    async def get_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> data.OrderView:
        """One order as it stands, by either of its ids; NotFound."""
        view: data.OrderView = await self._caller.safely(
            calls.get_order(order_name(order_id, client_order_id))
        )
        return view

    async def open_orders(self, instrument_id: str | None = None) -> list[data.OrderView]:
        """Every open order, newest first, those not yet in the book included."""
        orders: list[data.OrderView] = []
        after: str | None = None
        while True:
            page: data.OrderList = await self._caller.safely(
                calls.open_orders(instrument_id, after, PAGE_MAX)
            )
            orders += page.orders
            after = page.next_cursor
            if after is None:
                return orders

    async def orders(
        self,
        status: OrderFilter = OrderFilter.ALL,
        instrument_id: str | None = None,
        *,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.OrderList:
        """A page of orders, newest first, finished ones as far back as the exchange keeps them."""
        page: data.OrderList = await self._caller.safely(
            calls.read(
                calls.ORDERS,
                data.OrderList,
                status=status.value,
                instrument_id=instrument_id,
                after=after,
                limit=limit,
            )
        )
        return page

    async def executions(
        self, instrument_id: str | None = None, *, after: str | None = None, limit: int = PAGE_DEFAULT
    ) -> data.ExecutionList:
        """A page of fills, oldest first. ``after`` may be any exec_id, as of the last one seen."""
        page: data.ExecutionList = await self._caller.safely(
            calls.read(
                "/exchange/executions",
                data.ExecutionList,
                instrument_id=instrument_id,
                after=after,
                limit=limit,
            )
        )
        return page

    async def positions(self) -> data.Positions:
        """Positions, cash, fees and profit of the team."""
        positions: data.Positions = await self._caller.safely(calls.positions())
        self._team_id = positions.team_id
        return positions

    async def limits(self) -> data.Limits:
        """Every limit of the team's role, and how much of it is used."""
        team_id = self._team_id or (await self.positions()).team_id
        limits: data.Limits = await self._caller.safely(
            calls.read(f"/positions/{calls.segment(team_id)}/limits", data.Limits)
        )
        return limits

    # --- the market -----------------------------------------------------------------------------

    async def instruments(self) -> list[data.InstrumentView]:
        """Everything that can be traded, with its tick, reference price and price band of now."""
        found: data.InstrumentList = await self._caller.safely(
            calls.read("/exchange/instruments", data.InstrumentList)
        )
        return found.instruments

    async def book(self, instrument_id: str, depth: int = 10) -> data.Orderbook:
        """Depth of one instrument now; ``live_book`` follows it."""
        book: data.Orderbook = await self._caller.safely(calls.book(instrument_id, depth))
        return book

    async def trades(
        self, instrument_id: str, *, after: str | None = None, limit: int = PAGE_DEFAULT
    ) -> data.TradeList:
        """A page of trades, oldest first. ``after`` may be any trade_id, as of the last one seen."""
        page: data.TradeList = await self._caller.safely(
            calls.read(
                f"/exchange/trades/{calls.segment(instrument_id)}", data.TradeList, after=after, limit=limit
            )
        )
        return page

    async def candles(
        self,
        instrument_id: str,
        interval: Interval = Interval.MINUTE,
        *,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> data.CandleList:
        """A page of candles, oldest first, those that start after the time ``after``."""
        page: data.CandleList = await self._caller.safely(
            calls.read(
                f"/exchange/candles/{calls.segment(instrument_id)}",
                data.CandleList,
                interval=interval.value,
                after=after,
                limit=limit,
            )
        )
        return page

    async def rules(self) -> data.GameRulesView:
        """Roles with their fees and constraints, price bands; the same for the whole game."""
        rules: data.GameRulesView = await self._caller.safely(calls.read("/game/rules", data.GameRulesView))
        return rules

    async def status(self) -> data.GameStatus:
        """The game as a whole."""
        status: data.GameStatus = await self._caller.safely(calls.read("/game/status", data.GameStatus))
        return status


def order_name(order_id: str | None, client_order_id: str | None) -> str:
    """How requests name an order; raises ValueError unless exactly one id is given."""
    if (order_id is None) is (client_order_id is None):
        raise ValueError("an order is named by order_id or by client_order_id, one of them")
    return order_id if order_id is not None else f"{CLIENT_PREFIX}{client_order_id}"
