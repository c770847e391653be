"""Pages that reach beyond what memory keeps: the rest of them comes from whoever remembers more."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from exchange.model.events import ExecutionReport
from exchange.model.page import Page, Row
from exchange.services.orders.order import Order
from exchange.services.settlement.history import PublicTrade
from exchange.storage.asked import Asked
from exchange.storage.progress import ProjectionWatch


class HistoryReader(Protocol):
    """Rows as the services have them; None where it cannot be told now."""

    async def orders(self, asked: Asked) -> list[Order] | None:
        """Newest first."""
        ...

    async def executions(self, asked: Asked) -> list[ExecutionReport] | None:
        """Oldest first."""
        ...

    async def trades(self, asked: Asked) -> list[PublicTrade] | None:
        """Oldest first."""
        ...

    async def order(self, account: int, name: str | int) -> Order | None:
        """One order that has ended, by its number or the client's id."""
        ...


class SqlTables(NamedTuple):
    """The SQL tables of a server: what is known of the process that writes them, and reading them."""

    watch: ProjectionWatch
    past: HistoryReader


class NoHistory:
    """Memory is all there is."""

    async def orders(self, asked: Asked) -> list[Order] | None:
        return None

    async def executions(self, asked: Asked) -> list[ExecutionReport] | None:
        return None

    async def trades(self, asked: Asked) -> list[PublicTrade] | None:
        return None

    async def order(self, account: int, name: str | int) -> Order | None:
        return None


def continued(page: Page[Row], older: list[Row] | None, limit: int) -> Page[Row]:
    """``page`` of memory, oldest first, after the ``older`` rows: asked for one more than ``limit``."""
    if older is None:
        return page
    rows = older + page.rows
    return Page(rows[:limit], len(rows) > limit or page.has_more)


def filled_up(page: Page[Order], others: list[Order] | None, limit: int) -> Page[Order]:
    """``page`` of memory, newest first, with ``others`` where they belong: one more than ``limit``.

    What both have is as memory has it.
    """
    if others is None:
        return page
    by_id = {order.order_id: order for order in (*others, *page.rows)}
    rows = sorted(by_id.values(), key=lambda order: -order.order_id)
    return Page(rows[:limit], len(rows) > limit or page.has_more)
