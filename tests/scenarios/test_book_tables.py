"""Every table in this folder, command by command."""

from pathlib import Path

import pytest

from tests.scenarios.tables import Scenario, read_scenarios

FILES = sorted(Path(__file__).parent.glob("*.md"))
SCENARIOS = [
    pytest.param(scenario, id=f"{path.stem}: {scenario.name}")
    for path in FILES
    for scenario in read_scenarios(path)
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_book_table(scenario: Scenario) -> None:
    """Events and levels after each command are those of the table."""
    assert scenario.rows
    assert scenario.run() == scenario.rows
