"""Names that commands know without loading what reads the tables."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TableName(StrEnum):
    """Every table a reader may ask, each a function of the journal alone."""

    TEAMS = "teams"
    INSTRUMENTS = "instruments"
    ORDERS = "orders"
    TRADES = "trades"
    EXECUTIONS = "executions"
    POSITIONS = "positions"
    FEES = "fees"
    PHASES = "phases"
    NEWS = "news"
    AUDIT = "audit"


class FileKind(StrEnum):
    """What a table is exported to."""

    CSV = "csv"
    PARQUET = "parquet"


CONTENT: Final = tuple(each.value for each in TableName)
