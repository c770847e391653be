"""What one transaction writes, and where in the journal it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import msgspec

Row: TypeAlias = dict[str, Any]

APPENDED: Final = ("trades", "executions", "phases", "news", "audit", "instruments")
"""Tables whose rows never change."""
KEPT: Final = ("teams", "orders", "positions", "fees")
"""Tables whose rows are written anew whenever what they describe has changed."""


class Offset(msgspec.Struct, frozen=True):
    """Everything up to ``sequence`` is in the tables.

    ``chain`` is the journal's hash chain, in hex, after ``anchor``: the last whole batch up to there.
    """

    sequence: int = 0
    anchor: int = 0
    chain: str = bytes(32).hex()


class Changes:
    """Rows by table."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {name: [] for name in (*APPENDED, *KEPT)}

    def add(self, table: str, row: Row) -> None:
        """One more row, by column."""
        self._rows[table].append(row)

    def rows(self, table: str) -> list[Row]:
        """Those of one table."""
        return self._rows[table]

    def tables(self) -> Iterator[tuple[str, list[Row]]]:
        """Every table that has rows."""
        return ((name, rows) for name, rows in self._rows.items() if rows)
