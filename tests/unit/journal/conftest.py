from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.journal.places import FaultyDisk, MemoryPlace, Place, SqlitePlace


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    """SQLite's disk for the length of a test."""
    disk = FaultyDisk()
    yield disk
    disk.unregister()


@pytest.fixture(params=["sqlite", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where the journal of a contract test lives, once for each implementation."""
    if request.param == "memory":
        return MemoryPlace()
    return SqlitePlace(tmp_path, request.getfixturevalue("disk"))
