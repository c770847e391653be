"""Reading pages of the tables for the server: bounded in rows, connections and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace
from sqlalchemy import URL, ColumnElement, Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.base.bounds import HISTORY_CONNECTIONS, HISTORY_S, HISTORY_SLICE
from exchange.model.order import OrderStatus
from exchange.storage.asked import Asked
from exchange.storage.database import faults, open_engine
from exchange.storage.schema import Schema
from exchange.storage.types import day_of

Found: TypeAlias = Mapping[str, Any]
"""One row by column, amounts and times as integers."""


class _List(msgspec.Struct, frozen=True):
    key: str
    time: str
    newest_first: bool = False


_LISTS: Final = {
    "orders": _List("order_id", "entered_at", newest_first=True),
    "executions": _List("exec_id", "executed_at"),
    "trades": _List("trade_id", "traded_at"),
}
_FINAL: Final = tuple(each.value for each in OrderStatus if each.is_final)


class HistoryTables:
    """The tables as a reader sees them. Raises StorageUnavailable where the database does not answer."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = open_engine(url, connections=HISTORY_CONNECTIONS, read_only=True)
        self._schema = Schema(self._engine.dialect.name)

    async def page(self, name: str, asked: Asked) -> list[Found] | None:
        """Rows of ``orders``, newest first, or of ``executions`` or ``trades``, oldest first.

        None where the tables are not far enough yet.
        """
        async with faults(self._url, HISTORY_S), self._engine.connect() as connection:
            if (await connection.execute(self._witness(name, asked.witness))).first() is None:
                return None
            return await self._rows(connection, name, asked)

    async def order(self, account: int, column: str, value: str | int) -> Found | None:
        """The newest order of ``account`` with this ``order_id`` or ``client_order_id`` that has ended."""
        table = self._schema.table("orders")
        mine = (table.c.team_id == account) & (table.c[column] == value) & table.c.status.in_(_FINAL)
        newest = select(*_stored(table)).where(mine).order_by(table.c.order_id.desc()).limit(1)
        async with faults(self._url, HISTORY_S), self._engine.connect() as connection:
            row = (await connection.execute(newest)).mappings().first()
            return None if row is None else dict(row)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _rows(self, connection: AsyncConnection, name: str, asked: Asked) -> list[Found]:
        key, rows, after = _LISTS[name].key, list[Found](), asked.after
        while len(rows) < asked.limit:
            wanted = replace(asked, after=after, limit=min(HISTORY_SLICE, asked.limit - len(rows)))
            found = (await connection.execute(self._page(name, wanted))).mappings().all()
            rows += map(dict, found)
            if len(found) < wanted.limit:
                break
            after = rows[-1][key]
        return rows

    def _witness(self, name: str, key: int) -> Select[Any]:
        table = self._schema.table(name)
        column = table.c[_LISTS[name].key]
        there = select(column).where(column == key)
        return there.where(table.c.status.in_(_FINAL)) if name == "orders" else there

    def _page(self, name: str, asked: Asked) -> Select[Any]:
        table, terms = self._schema.table(name), _LISTS[name]
        key = table.c[terms.key]
        wanted = select(*_stored(table)).where(*_conditions(table, terms, asked))
        return wanted.order_by(key.desc() if terms.newest_first else key).limit(asked.limit)


def _conditions(table: Table, terms: _List, asked: Asked) -> list[ColumnElement[bool]]:
    key, time, day, span = table.c[terms.key], table.c[terms.time], table.c.day, asked.span
    found = [table.c[name] == value for name, value in asked.equal.items()]
    if asked.after is not None:
        found.append(key < asked.after if terms.newest_first else key > asked.after)
    if asked.up_to is not None:
        found.append(key <= asked.up_to)
    if asked.statuses:
        found.append(table.c.status.in_(asked.statuses))
    # The day too, so that only its partitions are looked at.
    if span.from_us is not None:
        found += (time >= span.from_us, day >= day_of(span.from_us))
    if span.to_us is not None:
        found += (time < span.to_us, day <= day_of(span.to_us))
    return found


def _stored(table: Table) -> list[ColumnElement[Any]]:
    # Under their own names: what SQLite shows as a decimal is left out.
    return [column.label(column.key) for column in table.columns if column.computed is None]
