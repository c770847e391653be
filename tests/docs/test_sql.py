"""docs/sql.md against the code and against real databases."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.storage.names import TableName
from exchange.storage.schema import OFFSET_TABLE, Schema
from tests.support.databases import Database
from tests.support.projected import played, project, write_journal
from tests.support.session import replay

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sql.md"


def _queries() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


async def test_sql_page_queries_answer_after_a_game(tmp_path: Path, database: Database) -> None:
    """Ten of them; each has rows, and the sums of the first two are those of the game."""
    batches = await played(400)
    write_journal(tmp_path / "data", batches)
    await project(tmp_path / "data", database)
    answers = [await database.query(query) for query in _queries()]
    assert len(answers) == 10
    assert all(answers)
    core = replay(batches).core
    equity, volume = answers[0], answers[1]
    assert len(equity) == len(core.teams.all())
    paid = sum(core.ledger.fees(team.account) for team in core.teams.all())
    assert _money(sum(row[2] for row in equity)) == paid, "what is not fees is won by one and lost by another"
    assert {row[0] for row in volume} == set(core.ledger.positions(1))
    assert next(row[-1] for row in answers[9]).startswith('{"preset"')


def test_sql_page_lists_every_table_and_column() -> None:
    """The table of tables has those of the code, no more and no fewer."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", PAGE.read_text(), flags=re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", key + others)) for name, key, others in rows}
    schema = Schema("postgresql")
    assert set(told) == {*TableName, OFFSET_TABLE}
    for name, columns in told.items():
        assert columns == {column.name for column in schema.table(name).columns}, name


def _money(value: Any) -> int:
    return round(Decimal(str(value)) * 10_000)
