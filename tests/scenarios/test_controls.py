"""Every combination of type, time in force, controls and phase has a defined answer."""

import pytest

from exchange.model.rules import ClosingCancels
from exchange.model.types import Phase
from tests.scenarios.controls import COLUMNS, NOON_US, every_terms, expected, open_game


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("closing", [None, *ClosingCancels])
def test_every_combination_has_the_answer_of_the_table(closing: ClosingCancels | None, phase: Phase) -> None:
    """Type, prices, time in force, expiry and every control: the whole product, spelt out twice."""
    dry_run, closes = open_game(closing, phase).core.admission.dry_run, closing is ClosingCancels.ALL
    accepted = 0
    for terms in every_terms():
        refusal = dry_run(terms.order(), NOON_US)
        code = None if refusal is None else refusal.code
        assert code == expected(terms, phase, closes), terms
        accepted += refusal is None
    assert bool(accepted) is (phase in COLUMNS)
