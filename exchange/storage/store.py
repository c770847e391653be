"""Writing the projection: rows and offset in one transaction."""

from __future__ import annotations

from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Insert, Table, insert, inspect, select, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.base.bounds import STORAGE_STATEMENT_S
from exchange.storage.changes import KEPT, Changes, Offset
from exchange.storage.database import faults, open_engine
from exchange.storage.errors import OffsetMoved
from exchange.storage.names import CONTENT
from exchange.storage.partitions import Partitions
from exchange.storage.schema import PARTITIONED, VERSION_TABLE, Schema

_MIGRATIONS: Final = "exchange.storage:migrations"
_MIGRATION_S: Final = 600.0


class Store:
    """The one that writes. Every method raises StorageUnavailable where the database does not do it."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = open_engine(url)
        self._schema = Schema(self._engine.dialect.name)
        self._partitions = Partitions(self._schema.dialect)
        self._writes = {name: self._write_of(name) for name in CONTENT}

    async def prepare(self, *, rebuild: bool = False) -> Offset:
        """Create or migrate the tables, with ``rebuild`` from nothing; where they end."""
        async with faults(self._url, _MIGRATION_S), self._engine.begin() as connection:
            if rebuild:
                await connection.run_sync(self._drop)
            await connection.run_sync(self._migrate)
        return await self.offset()

    async def offset(self) -> Offset:
        """What was written last; waits for a predecessor whose transaction is still under way."""
        table = self._schema.offset
        async with faults(self._url, STORAGE_STATEMENT_S), self._engine.begin() as connection:
            columns = (table.c.sequence, table.c.anchor, table.c.chain)
            found = (await connection.execute(select(*columns).with_for_update())).one_or_none()
            if found is not None:
                return Offset(*found)
            await connection.execute(insert(table).values(id=1, **_columns(Offset())))
            return Offset()

    async def write(self, changes: Changes, before: Offset, after: Offset) -> None:
        """``changes`` lead from ``before`` to ``after``. Raises OffsetMoved when the tables are not there."""
        async with faults(self._url, STORAGE_STATEMENT_S):
            days = {row["day"] for name in PARTITIONED for row in changes.rows(name)}
            async with self._engine.begin() as connection:
                await self._partitions.make(connection, days)
            async with self._engine.begin() as connection:
                await self._move(connection, before, after)
                await self._write(connection, changes)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _move(self, connection: AsyncConnection, before: Offset, after: Offset) -> None:
        table = self._schema.offset
        here = (table.c.sequence == before.sequence) & (table.c.chain == before.chain)
        moved = await connection.execute(update(table).where(here).values(_columns(after)))
        if moved.rowcount != 1:
            raise OffsetMoved(f"another process moved the projection on from sequence {before.sequence}")

    async def _write(self, connection: AsyncConnection, changes: Changes) -> None:
        for name, rows in changes.tables():
            await connection.execute(self._writes[name], rows)

    # --- tables -----------------------------------------------------------------------------------

    def _migrate(self, connection: Connection) -> None:
        found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        if found.get_current_revision() is None and inspect(connection).has_table(self._schema.offset.name):
            # A migration that was killed, where the database cannot take tables back.
            self._drop(connection)
        config = Config()
        config.set_main_option("script_location", _MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _drop(self, connection: Connection) -> None:
        self._schema.metadata.drop_all(connection)
        connection.execute(text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))

    def _write_of(self, name: str) -> Insert:
        table = self._schema.table(name)
        return upsert(table, self._schema.dialect) if name in KEPT else insert(table)


def upsert(table: Table, dialect: str) -> Insert:
    """Enter rows, or write them anew where their key is there."""
    keys = set(table.primary_key.columns)
    changed = [column for column in table.columns if column not in keys and column.computed is None]
    if dialect == "mysql":
        entered = mysql.insert(table)
        return entered.on_duplicate_key_update({each.key: entered.inserted[each.key] for each in changed})
    made: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    new_values = {each.key: made.excluded[each.key] for each in changed}
    result: Insert = made.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_=new_values
    )
    return result


def _columns(offset: Offset) -> dict[str, object]:
    return {"sequence": offset.sequence, "anchor": offset.anchor, "chain": offset.chain}
