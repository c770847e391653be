"""The past from the SQL tables, as the structs that the services keep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from exchange.base.bounds import HISTORY_PENDING
from exchange.log import get_logger
from exchange.model.commands import NO_TERMS, NewOrder, OrderTerms
from exchange.model.events import ExecutionReport
from exchange.model.order import OrderStatus
from exchange.model.types import (
    CancelReason,
    Liquidity,
    OrderType,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.services.orders.order import Order
from exchange.services.settlement.history import PublicTrade
from exchange.storage.asked import Asked
from exchange.storage.errors import StorageError

if TYPE_CHECKING:
    from exchange.storage.reader import Found, HistoryTables

T = TypeVar("T")


class SqlHistory:
    """A ``HistoryReader``. What the database cannot tell is logged and counted, and the page lacks it."""

    def __init__(self, url: str | None, data_dir: Path, failed: Callable[[], None]) -> None:
        self._url = url
        self._data_dir = data_dir
        self._failed = failed
        self._log = get_logger("history")
        self._opening = asyncio.Lock()
        self._tables: HistoryTables | None = None
        self._asking: set[asyncio.Task[object]] = set()

    async def orders(self, asked: Asked) -> list[Order] | None:
        """See ``HistoryReader``."""
        found = await self._page("orders", asked)
        return None if found is None else [_order(row) for row in found]

    async def executions(self, asked: Asked) -> list[ExecutionReport] | None:
        """See ``HistoryReader``."""
        found = await self._page("executions", asked)
        return None if found is None else [_execution(row) for row in found]

    async def trades(self, asked: Asked) -> list[PublicTrade] | None:
        """See ``HistoryReader``."""
        found = await self._page("trades", asked)
        return None if found is None else [_trade(row) for row in found]

    async def order(self, account: int, name: str | int) -> Order | None:
        """See ``HistoryReader``."""
        column = "order_id" if isinstance(name, int) else "client_order_id"
        row = await self._ask(lambda tables: tables.order(account, column, name))
        return None if row is None else _order(row)

    async def close(self) -> None:
        """Give back the connections, after what is asked has been answered."""
        if self._asking:
            await asyncio.wait(self._asking)
        if self._tables is not None:
            await self._tables.close()

    async def _page(self, name: str, asked: Asked) -> list[Found] | None:
        return await self._ask(lambda tables: tables.page(name, asked))

    async def _ask(self, question: Callable[[HistoryTables], Awaitable[T | None]]) -> T | None:
        if len(self._asking) >= HISTORY_PENDING:
            self._failed()
            return None
        # A task of its own: the database's timeouts need one, which the request that asks is not.
        asking = asyncio.create_task(self._answer(question))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asking

    async def _answer(self, question: Callable[[HistoryTables], Awaitable[T | None]]) -> T | None:
        try:
            return await question(await self._open())
        except StorageError as error:
            self._failed()
            self._log.warning("no history", error=str(error))
            return None

    async def _open(self) -> HistoryTables:
        async with self._opening:
            if self._tables is None:
                # Most games never ask, and loading SQLAlchemy would hold up the loop for 0.3 s.
                self._tables = await asyncio.to_thread(_load, self._url, self._data_dir)
        return self._tables


def _load(url: str | None, data_dir: Path) -> HistoryTables:
    from exchange.storage.database import database_url  # noqa: PLC0415
    from exchange.storage.reader import HistoryTables  # noqa: PLC0415

    return HistoryTables(database_url(url, data_dir))


def _order(row: Found) -> Order:
    command = NewOrder(
        account=row["team_id"],
        instrument_id=row["instrument_id"],
        side=Side(row["side"]),
        order_type=OrderType(row["order_type"]),
        price_ticks=row["sent_price_ticks"],
        quantity=row["sent_quantity"],
        time_in_force=TimeInForce(row["time_in_force"]),
        client_order_id=row["client_order_id"],
        request_id=row["request_id"],
        terms=_terms(row),
    )
    reason = row["cancel_reason"]
    return Order(
        row["order_id"],
        row["entered_at"],
        command,
        OrderStatus(row["status"]),
        row["price_ticks"],
        row["quantity"],
        row["filled_quantity"],
        row["filled_ticks"],
        row["fees"],
        None if reason is None else CancelReason(reason),
        row["updated_at"],
        row["stop_price_ticks"],
    )


def _terms(row: Found) -> OrderTerms | None:
    post_only, prevention = row["post_only"], row["self_trade_prevention"]
    terms = OrderTerms(
        row["stop_price_ticks"],
        None if post_only is None else PostOnly(post_only),
        row["display_quantity"],
        row["reduce_only"],
        row["expires_at"],
        row["label"],
        None if prevention is None else SelfTradePrevention(prevention),
        row["quote_group"],
    )
    return None if terms == NO_TERMS else terms


def _execution(row: Found) -> ExecutionReport:
    return ExecutionReport(
        account=row["team_id"],
        seq=row["seq"],
        timestamp_us=row["executed_at"],
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        request_id=row["request_id"],
        instrument_id=row["instrument_id"],
        side=Side(row["side"]),
        exec_id=row["exec_id"],
        trade_id=row["trade_id"],
        price_ticks=row["price_ticks"],
        quantity=row["quantity"],
        liquidity=Liquidity(row["liquidity"]),
        fees=row["fees"],
        filled_quantity=row["filled_quantity"],
        remaining_quantity=row["remaining_quantity"],
        auction_id=row["auction_id"],
    )


def _trade(row: Found) -> PublicTrade:
    return PublicTrade(
        row["trade_id"],
        row["price_ticks"],
        row["quantity"],
        Side(row["taker_side"]),
        row["traded_at"],
        row["auction_id"],
    )
