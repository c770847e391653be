"""Every combination of type, time in force, controls and phase has a defined answer."""

import pytest

from exchange.model.rules import ClosingCancels
from exchange.model.types import Phase
from tests.scenarios.controls import COLUMNS, NOON_US, every_terms, expected, open_game


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("closing", [None, *ClosingCancels])
def test_every_combination_has_the_answer_of_the_table(closing: ClosingCancels | None, phase: Phase) -> None:
    """Type, prices, time in force, expiry and every control: the whole product, spelt out twice."""
    check_product(closing, phase)


@pytest.mark.parametrize("phase", [Phase.CONTINUOUS, Phase.REOPENING])
def test_every_combination_has_its_answer_where_all_trading_is_by_auction(phase: Phase) -> None:
    """Between two batch auctions what holds before an auction holds."""
    check_product(None, phase, batched=True)


def check_product(closing: ClosingCancels | None, phase: Phase, batched: bool = False) -> None:
    """Every combination is answered as the table says, and where orders are taken some are accepted."""
    dry_run = open_game(closing, phase, batched).core.admission.dry_run
    accepted = 0
    for terms in every_terms():
        refusal = dry_run(terms.order(), NOON_US)
        code = None if refusal is None else refusal.code
        assert code == expected(terms, phase, closing is ClosingCancels.ALL, batched), terms
        accepted += refusal is None
    assert bool(accepted) is (phase in COLUMNS)
