"""One partition for each day of the large tables, where the database has partitions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.base.bounds import MAX_PARTITIONS
from exchange.storage.schema import PARTITIONED

_KNOWN = {
    "postgresql": "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = CAST(:name AS regclass)",
    "mysql": "SELECT CONCAT(table_name, '_', partition_name) FROM information_schema.partitions"
    " WHERE table_schema = DATABASE() AND table_name = :name",
}


class Partitions:
    """Makes them as days come. Beyond MAX_PARTITIONS rows go into the rest, which holds any day."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._days: set[date] = set()

    async def make(self, connection: AsyncConnection, days: Iterable[date]) -> None:
        """One for each of ``days`` that has none yet."""
        if self._dialect == "sqlite":
            return
        for day in sorted(set(days) - self._days):
            for table in PARTITIONED:
                await self._make(connection, table, day)
            self._days.add(day)

    async def _make(self, connection: AsyncConnection, table: str, day: date) -> None:
        found = await connection.execute(text(_KNOWN[self._dialect]), {"name": table})
        known = set(found.scalars())
        name = f"{table}_p{day:%Y%m%d}"
        if name in known or len(known) >= MAX_PARTITIONS:
            return
        after = day + timedelta(days=1)
        if self._dialect == "postgresql":
            ddl = f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{day}') TO ('{after}')"
        else:
            ddl = (
                f"ALTER TABLE {table} REORGANIZE PARTITION p_rest INTO (PARTITION p{day:%Y%m%d}"
                f" VALUES LESS THAN ('{after}'), PARTITION p_rest VALUES LESS THAN (MAXVALUE))"
            )
        await connection.execute(text(ddl))
