"""Exports: the rows of a table, exactly, whichever database and file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from exchange.storage.database import database_url
from exchange.storage.errors import StorageError, StorageUnavailable
from exchange.storage.export import export_table
from exchange.storage.names import FileKind, TableName
from tests.support.databases import Database
from tests.support.projected import played, project, write_journal

_EPOCH = datetime.fromtimestamp(0, UTC)


@pytest.mark.parametrize("name", [TableName.EXECUTIONS, TableName.AUDIT, TableName.ORDERS, TableName.NEWS])
async def test_export_has_every_row_exactly(tmp_path: Path, database: Database, name: TableName) -> None:
    """CSV and Parquet hold what the table holds: decimals as decimals, times to the microsecond."""
    batches = await played(150)
    write_journal(tmp_path / "data", batches)
    await project(tmp_path / "data", database)
    url, rows = database_url(database.url, tmp_path), (await database.content())[name]
    for kind in FileKind:
        done = await export_table(url, name, kind, tmp_path / f"out.{kind}")
        assert (done.rows, done.sequence) == (len(rows), batches[-1].last_sequence)
    table = parquet.read_table(tmp_path / "out.parquet")
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    stored = table.to_pylist()
    assert len(stored) == len(lines) == len(rows)
    for row, line, kept in zip(stored, lines, rows, strict=True):
        assert [_raw(value) for value in row.values()] == list(kept)
        assert list(line) == list(row)
        assert {key: _text(value) for key, value in row.items()} == line


async def test_export_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """What fails leaves no file behind and an old one as it was."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(StorageError, match="exchange project"):
        await export_table(database_url(None, tmp_path), TableName.FEES, FileKind.CSV, target)
    (tmp_path / "projection.db").touch()
    with pytest.raises(StorageUnavailable, match="no such table"):
        await export_table(database_url(None, tmp_path), TableName.FEES, FileKind.CSV, target)
    assert target.read_text() == "old"
    assert not target.with_name("out.csv.part").exists()


def _raw(value: Any) -> Any:
    """As Python keeps it: integers of the smallest unit, microseconds."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        return int(value.scaleb(-exponent))
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return "" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"
