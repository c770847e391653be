"""kill -9 of the projection: whatever the moment, the tables end as those of a projection made at once.

Twenty kills for each database; EXCHANGE_PROJECTION_KILLS asks for more.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from tests.support.databases import Database, own_database
from tests.support.projected import played, write_journal
from tests.support.projector_process import live

KILLS = int(os.environ.get("EXCHANGE_PROJECTION_KILLS", "20"))
CONTROL_KILLS = 100


@pytest.mark.timeout(60 + 5 * KILLS)
async def test_projection_killed_at_any_moment_ends_equal(tmp_path: Path, database: Database) -> None:
    """Also while the tables are made, migrated or dropped for a rebuild."""
    batches = await played(1_500, seed=3)
    write_journal(tmp_path / "data", batches)
    live(tmp_path / "data", database.url, None)
    whole = await database.content()
    chance = random.Random(KILLS)
    kills, on_the_way = 0, 0
    rebuild = True
    while kills < KILLS:
        ended = live(tmp_path / "data", database.url, chance, rebuild=rebuild)
        kills += not ended
        rebuild = ended or chance.random() < 0.1
        if ended:
            assert await database.content() == whole
        elif kills < KILLS:
            on_the_way += 0 < await _reached(database) < batches[-1].last_sequence
    assert on_the_way > KILLS / 4, "the kills came before or after the work"
    live(tmp_path / "data", database.url, None)
    assert await database.content() == whole


@pytest.mark.timeout(300)
async def test_projection_kill_control_finds_an_offset_apart(tmp_path: Path) -> None:
    """The control: where the offset is written in another transaction the comparison fails."""
    write_journal(tmp_path / "data", await played(1_500, seed=3))
    async with own_database("sqlite", tmp_path) as database:
        live(tmp_path / "data", database.url, None)
        whole = await database.content()
        chance = random.Random(1)
        ended = True
        for _ in range(CONTROL_KILLS):
            ended = live(tmp_path / "data", database.url, chance, rebuild=ended, loose=True)
            if ended and await database.content() != whole:
                return
    raise AssertionError("the comparison is blind: nothing was reported missing")


async def _reached(database: Database) -> int:
    """The sequence in the tables, 0 where there are none."""
    with suppress(SQLAlchemyError):
        return int((await database.offset())[1])
    return 0
