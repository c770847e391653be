"""Real databases: SQLite files, and servers of PostgreSQL and MariaDB on this machine."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import URL, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from exchange.storage.database import database_url, open_engine
from exchange.storage.names import CONTENT
from exchange.storage.schema import Schema

SERVERS: Final[Mapping[str, str]] = {
    "sqlite": "",
    "postgresql": "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mariadb+aiomysql://root@127.0.0.1:3306/mysql",
}

Tables = dict[str, list[tuple[Any, ...]]]


@dataclass
class Database:
    """One that is empty at first. ``url`` is what goes into ``[storage]``."""

    kind: str
    url: str

    async def content(self) -> Tables:
        """Every row of every table but the offset, ordered by its key; the same in every kind of database."""
        return await self._read(CONTENT)

    async def offset(self) -> tuple[Any, ...]:
        """The one row of the offset."""
        return (await self._read(("projection",)))["projection"][0]

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one statement."""
        async with self.engine() as engine, engine.begin() as connection:
            found = await connection.execute(text(sql))
            return [tuple(row) for row in found] if found.returns_rows else []

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[AsyncEngine]:
        """Closed in the end, so that the database can be dropped."""
        engine = open_engine(database_url(self.url, Path()))
        try:
            yield engine
        finally:
            await engine.dispose()

    async def _read(self, names: tuple[str, ...]) -> Tables:
        found: Tables = {}
        async with self.engine() as engine, engine.connect() as connection:
            schema = Schema(engine.dialect.name)
            for name in names:
                table = schema.table(name)
                stored = [column for column in table.columns if column.computed is None]
                rows = await connection.execute(select(*stored).order_by(*table.primary_key.columns))
                found[name] = [tuple(row) for row in rows]
        return found


def unreachable(kind: str) -> str | None:
    """Why there is no such server, None where one listens."""
    if kind == "sqlite":
        return None
    url = make_url(SERVERS[kind])
    try:
        socket.create_connection((url.host, url.port), 2).close()
    except OSError as error:
        return f"no {kind} on {url.host}:{url.port}: {error}"
    return None


@asynccontextmanager
async def own_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    """Made and dropped again."""
    if kind == "sqlite":
        yield Database(kind, f"sqlite:///{folder / 'tables.db'}")
        return
    server = make_url(SERVERS[kind])
    name = f"exchange_test_{token_hex(6)}"
    await _administer(server, f"CREATE DATABASE {name}")
    try:
        yield Database(kind, server.set(database=name).render_as_string(hide_password=False))
    finally:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        await _administer(server, f"DROP DATABASE {name}{force}")


async def _administer(server: URL, statement: str) -> None:
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
