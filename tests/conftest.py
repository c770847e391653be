"""What any test may ask for from outside the repository, and the rule for when it is absent.

On a developer's machine a missing folder or program skips the test, visibly. Where EXCHANGE_REQUIRE_DATA=1 or
EXCHANGE_REQUIRE_SERVICES=1 is set, as in .ci/run, it fails it. A database server is another matter: where
none listens its tests are skipped, visibly; where one does they run, and fail if it cannot be used.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from tests.support.databases import SERVERS, Database, own_database, unreachable

REPOSITORY = Path(__file__).resolve().parents[1]

# A deadline per example measures the neighbours on the machine; pytest-timeout bounds the test as a whole.
settings.register_profile("exchange", deadline=None)
settings.load_profile("exchange")

# The projection is a process beside each server, and would slow every test that starts one: those that are
# about it turn it on.
os.environ.setdefault("EXCHANGE_STORAGE__ENABLED", "false")


def _absent(reason: str, required_by: str) -> NoReturn:
    if os.environ.get(required_by) == "1":
        pytest.fail(f"{reason}, and {required_by}=1 requires it")
    pytest.skip(f"{reason}; {required_by}=1 turns this into a failure")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded order flows and book cases: EXCHANGE_SHARED_DATA, or ../shared/data."""
    folder = Path(os.environ.get("EXCHANGE_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        _absent(f"no recorded data at {folder}", "EXCHANGE_REQUIRE_DATA")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Find a program that no lock can install, such as a browser: `program("chromium")` is its path."""

    def find(name: str) -> Path:
        found = shutil.which(name)
        if found is None:
            _absent(f"no {name} on PATH", "EXCHANGE_REQUIRE_SERVICES")
        return Path(found)

    return find


@pytest.fixture(params=sorted(SERVERS))
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of its own, on each kind of server that is there."""
    reason = unreachable(request.param)
    if reason is not None:
        pytest.skip(reason)
    async with own_database(request.param, tmp_path) as made:
        yield made
