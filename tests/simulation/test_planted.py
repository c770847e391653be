"""What the simulation is worth: it finds every bug of a list, and nothing where there is none."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from tests.simulation.planted import PLANTS, Plant, planted
from tests.simulation.report import SimulationFailed
from tests.simulation.world import simulate

SEEDS = range(1, 13)
STEPS = 1_500

pytestmark = pytest.mark.timeout(300)


def _failure(plant: Plant | None) -> str | None:
    """What the first seed that fails says."""
    with nullcontext() if plant is None else planted(plant):
        for seed in SEEDS:
            try:
                simulate(seed, STEPS, None if plant is None else plant.name)
            except SimulationFailed as failure:
                return str(failure)
    return None


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_planted_bug_is_found(plant: Plant) -> None:
    """Within a dozen seeds; the failure begins with the command that shows it again."""
    failure = _failure(plant)
    assert failure is not None, "nothing was noticed"
    assert failure.startswith("python -m tests.simulation --seed ")
    assert f"--plant '{plant.name}'" in failure


def test_planted_nothing_finds_nothing() -> None:
    """The control: the same seeds hold without a bug, also after all those that were planted and removed."""
    assert _failure(None) is None


def test_planted_list_is_long_enough() -> None:
    """Of different kinds, each by a name of its own."""
    assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 40
