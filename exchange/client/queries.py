"""What a client may ask of the present: its own orders and positions, and the market."""

from __future__ import annotations

from exchange.base.bounds import PAGE_MAX
from exchange.client import calls
from exchange.client.caller import Caller
from exchange.wire import data
from exchange.wire.ids import CLIENT_PREFIX


class Queries:
    """Asked again, within the client's retries, while the exchange is out of reach or has no time."""

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

    async def server_time(self) -> data.ServerTime:
        """The exchange's clock, as of its answer."""
        time: data.ServerTime = await self._caller.safely(calls.read("/exchange/time", data.ServerTime))
        return time

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
