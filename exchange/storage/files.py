"""Files that a table is exported to: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, Boolean, Column, Date, Integer
from sqlalchemy.types import TypeEngine

from exchange.storage.errors import StorageError
from exchange.storage.names import FileKind
from exchange.storage.types import Exact, Moment, to_datetime

_DIGITS: Final = 38


class TableFile(Protocol):
    """One table, written in order. Values are as SQL has them: decimals, dates, times in UTC."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None: ...

    def close(self) -> None: ...


def open_file(path: Path, kind: FileKind, columns: Sequence[Column[Any]]) -> TableFile:
    """A new file. Raises StorageError where Parquet is asked for without pyarrow."""
    return CsvFile(path, columns) if kind is FileKind.CSV else ParquetFile(path, columns)


def values(row: Sequence[Any], columns: Sequence[Column[Any]]) -> list[Any]:
    """Amounts as decimals, times as times."""
    return [_value(value, column.type) for value, column in zip(row, columns, strict=True)]


class CsvFile:
    """A header, then a line for each row: times as ISO 8601 with Z, what is absent is empty."""

    def __init__(self, path: Path, columns: Sequence[Column[Any]]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(column.key for column in columns)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows."""
        self._writer.writerows([_text(value) for value in row] for row in rows)

    def close(self) -> None:
        """All of it is on its way to the disk."""
        self._file.close()


class ParquetFile:
    """Amounts are decimal128, times have microseconds and UTC."""

    def __init__(self, path: Path, columns: Sequence[Column[Any]]) -> None:
        try:
            import pyarrow  # noqa: PLC0415  # an extra, which most installations do without
            import pyarrow.parquet  # noqa: PLC0415
        except ImportError:
            raise StorageError("Parquet needs pyarrow: pip install 'intern-exchange[parquet]'") from None
        self._arrow = pyarrow
        fields = [(column.key, _arrow_type(pyarrow, column.type)) for column in columns]
        self._schema = pyarrow.schema(fields)
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows as one group."""
        arrays = [
            self._arrow.array([row[place] for row in rows], field.type)
            for place, field in enumerate(self._schema)
        ]
        self._writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _value(value: Any, kind: TypeEngine[Any]) -> Any:
    if value is None:
        return None
    if isinstance(kind, Exact):
        return kind.decimal(value)
    return to_datetime(value) if isinstance(kind, Moment) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _arrow_type(arrow: Any, kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Exact):
        return arrow.decimal128(_DIGITS, kind.scale)
    if isinstance(kind, Moment):
        return arrow.timestamp("us", "UTC")
    if isinstance(kind, Boolean):
        return arrow.bool_()
    if isinstance(kind, Date):
        return arrow.date32()
    return arrow.int64() if isinstance(kind, (BigInteger, Integer)) else arrow.string()
