"""The table of phases, and where the day stands."""

import pytest

from exchange.model.commands import SetPhase
from exchange.model.phases import PHASES, MarketPhases, Matching, PhaseMark, PhaseRule
from exchange.model.types import Phase

TABLE = """
pre_open        | yes | yes | none
opening_auction | no  | no  | uncross
continuous      | yes | yes | continuous
halted          | no  | yes | none
reopening       | yes | yes | none
pre_close       | yes | yes | none
closing_auction | no  | no  | uncross
closed          | no  | no  | none
"""


def test_phases_are_the_table_of_the_rules() -> None:
    """Submit, cancel and match of each phase, written out once more."""
    rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    assert {
        Phase(phase): PhaseRule(submit == "yes", cancel == "yes", Matching(match))
        for phase, submit, cancel, match in rows
    } == PHASES
    assert list(PHASES) == list(Phase)


def test_calls_are_the_phases_that_gather_orders() -> None:
    """A call takes orders and matches none; whatever matches ends it."""
    calls = {phase for phase, rule in PHASES.items() if rule.is_call}
    assert calls == {Phase.PRE_OPEN, Phase.REOPENING, Phase.PRE_CLOSE}
    ending = {phase for phase, rule in PHASES.items() if rule.ends_calls}
    assert ending == {Phase.OPENING_AUCTION, Phase.CONTINUOUS, Phase.CLOSING_AUCTION}


@pytest.mark.parametrize("market", list(Phase))
@pytest.mark.parametrize("own", [None, Phase.HALTED, Phase.REOPENING])
def test_phase_of_an_instrument(market: Phase, own: Phase | None) -> None:
    """Its own goes before that of the market, unless all of it is halted or closed."""
    phases = MarketPhases(Phase.CONTINUOUS)
    if own is not None:
        phases.apply(SetPhase(own, "test", "X"), 1)
    phases.apply(SetPhase(market, "test"), 2)
    expected = market if own is None or market in (Phase.HALTED, Phase.CLOSED) else own
    assert phases.of("X") is expected
    assert phases.of("Y") is market
    assert phases.rule_of("X") == PHASES[expected]
    assert phases.is_plain is (market is Phase.CONTINUOUS and own is None)


def test_close_ends_the_halt_of_an_instrument() -> None:
    """The next day begins without it."""
    phases = MarketPhases(Phase.CONTINUOUS)
    phases.apply(SetPhase(Phase.HALTED, "test", "X"), 1)
    for phase in (Phase.CLOSED, Phase.PRE_OPEN):
        phases.apply(SetPhase(phase, "test"), 2)
    assert phases.of("X") is Phase.PRE_OPEN


def test_phase_remembers_since_when_and_why() -> None:
    """What a schedule and an audit ask for; the phase a game begins with has no time."""
    phases = MarketPhases(Phase.CLOSED)
    marks = [phases.market]
    phases.apply(SetPhase(Phase.PRE_OPEN, "schedule"), 7)
    phases.apply(SetPhase(Phase.HALTED, "operator", "X"), 9)
    marks += [phases.market, phases.instruments["X"]]
    assert marks == [
        PhaseMark(Phase.CLOSED, "start", None),
        PhaseMark(Phase.PRE_OPEN, "schedule", 7),
        PhaseMark(Phase.HALTED, "operator", 9),
    ]
