"""One table as a file, whole or not at all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.base.bounds import EXPORT_ROWS
from exchange.storage.database import faults, open_engine
from exchange.storage.errors import StorageError
from exchange.storage.files import open_file, values
from exchange.storage.names import FileKind, TableName
from exchange.storage.schema import Schema

_LONGEST_S = 86_400.0


class Exported(msgspec.Struct, frozen=True):
    """How many rows, and the last sequence of the journal that the tables had before they were read."""

    rows: int
    sequence: int


async def export_table(url: URL, name: TableName, kind: FileKind, path: Path) -> Exported:
    """Write the table ``name`` to ``path``, by its key. Raises StorageError, OSError."""
    _require_file(url)
    engine = open_engine(url, read_only=True)
    unfinished = path.with_name(f"{path.name}.part")
    try:
        async with faults(url, _LONGEST_S):
            exported = await _export(engine, name, kind, unfinished)
        unfinished.replace(path)
        return exported
    finally:
        unfinished.unlink(missing_ok=True)
        await engine.dispose()


def _require_file(url: URL) -> None:
    # SQLite would make an empty one.
    file = url.database if url.get_backend_name() == "sqlite" else None
    if file is not None and not Path(file).exists():
        raise StorageError(f"there are no tables at {file}: `exchange project` makes them")


async def _export(engine: AsyncEngine, name: TableName, kind: FileKind, path: Path) -> Exported:
    schema = Schema(engine.dialect.name)
    table = schema.table(name)
    columns = [column for column in table.columns if column.computed is None]
    count = 0
    async with engine.connect() as connection:
        sequence = await connection.scalar(select(schema.offset.c.sequence))
        with closing(open_file(path, kind, columns)) as file:
            found = await connection.stream(select(*columns).order_by(*table.primary_key.columns))
            async for rows in found.partitions(EXPORT_ROWS):
                file.write([values(row, columns) for row in rows])
                count += len(rows)
    return Exported(count, sequence or 0)
