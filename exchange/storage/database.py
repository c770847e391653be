"""Opening a database by its URL, and what its drivers raise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from exchange.base.bounds import STORAGE_BUSY_S, STORAGE_CONNECT_S
from exchange.storage.errors import StorageError, StorageUnavailable
from exchange.storage.schema import family

FILE: Final = "projection.db"
"""In the data directory, where no other database is configured."""

_DRIVERS: Final = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "aiomysql"}
_ARGUMENTS: Final[Mapping[str, dict[str, Any]]] = {
    "sqlite": {"timeout": STORAGE_BUSY_S},
    "postgresql": {"timeout": STORAGE_CONNECT_S},
    "mysql": {"connect_timeout": STORAGE_CONNECT_S, "charset": "utf8mb4"},
}
_FAULTS: Final = (SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def database_url(configured: str | None, data_dir: Path) -> URL:
    """The configured URL with the driver this program uses, or the file in ``data_dir``.

    Raises StorageError for one that is none or names a database that is not supported.
    """
    if configured is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / FILE))
    try:
        url = make_url(configured)
        name = family(url.get_backend_name())
    except ArgumentError as error:
        raise StorageError(f"[storage] url is not one: {error}") from None
    if name == "postgres":
        name, url = "postgresql", url.set(drivername="postgresql")
    if name not in _DRIVERS:
        raise StorageError(f"[storage] url: there is no driver for {name}; use {', '.join(_DRIVERS)}")
    return url.set(drivername=f"{url.get_backend_name()}+{_DRIVERS[name]}")


def open_engine(url: URL, *, connections: int = 1, read_only: bool = False) -> AsyncEngine:
    """Connects when first used."""
    name = family(url.get_backend_name())
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=STORAGE_CONNECT_S,
        pool_pre_ping=name != "sqlite",
        connect_args=dict(_ARGUMENTS[name]),
    )
    if name == "sqlite":
        event.listen(engine.sync_engine, "connect", _query_only if read_only else _write_ahead)
    return engine


@asynccontextmanager
async def faults(url: URL, timeout_s: float) -> AsyncIterator[None]:
    """Turn what a driver raises into StorageUnavailable, also where nothing comes for ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except _FAULTS as error:
        said = str(getattr(error, "orig", None) or error) or type(error).__name__
        raise StorageUnavailable(f"{url.render_as_string(hide_password=True)}: {said}") from error


def _write_ahead(connection: Any, record: object) -> None:
    # A power cut may take the last transactions, rows and offset together: they are made again.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _query_only(connection: Any, record: object) -> None:
    connection.execute("PRAGMA query_only = ON")
