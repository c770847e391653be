"""Every combination of type, time in force, controls and phase has a defined answer."""

import pytest

from exchange.app import build_core
from exchange.model.commands import AnyCommand, NewOrder, OpenGame, Record, RegisterTeam, SetPhase
from exchange.model.rules import ClosingCancels
from exchange.model.types import OrderType, Phase, Side, TimeInForce
from exchange.pipeline.core import Core
from tests.scenarios.controls import (
    COLUMNS,
    INSTRUMENT,
    NOON_US,
    OTHER,
    POSITION,
    TRADER,
    every_terms,
    expected,
    game,
)

WAYS = {
    Phase.HALTED: (Phase.HALTED,),
    Phase.REOPENING: (Phase.HALTED, Phase.REOPENING),
}
"""How to get from continuous trading to a phase that does not follow it at once."""


def enter(core: Core, command: AnyCommand) -> Record:
    """What the three stages do with a command that is accepted."""
    record = core.admission.admit(command, NOON_US)
    assert isinstance(record, Record), record
    for events in core.venue.steps(record):
        core.settlement.settle(record, events)
    return record


def limit(account: int, side: Side, quantity: int, price_ticks: int) -> NewOrder:
    """A plain day order."""
    return NewOrder(
        account, INSTRUMENT, side, OrderType.LIMIT, price_ticks, quantity, TimeInForce.DAY, None, "r"
    )


def open_game(closing: ClosingCancels | None, phase: Phase = Phase.CONTINUOUS) -> Core:
    """A game in ``phase`` in which the trader is long."""
    core = build_core(game(closing))
    enter(core, OpenGame(core.rules))
    for name in ("Trader", "Other"):
        enter(core, RegisterTeam(name, "trader", name.encode().ljust(32), "r"))
    if closing is not None:
        enter(core, SetPhase(Phase.CONTINUOUS, "test"))
    enter(core, limit(OTHER, Side.SELL, POSITION, 100))
    enter(core, limit(TRADER, Side.BUY, POSITION, 100))
    for step in WAYS.get(phase, (phase,)):
        enter(core, SetPhase(step, "test"))
    return core


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("closing", [None, *ClosingCancels])
def test_every_combination_has_the_answer_of_the_table(closing: ClosingCancels | None, phase: Phase) -> None:
    """Type, prices, time in force, expiry and every control: the whole product, spelt out twice."""
    core = open_game(closing, phase)
    dry_run, closes = core.admission.dry_run, closing is ClosingCancels.ALL
    accepted = 0
    for terms in every_terms():
        refusal = dry_run(terms.order(), NOON_US)
        code = None if refusal is None else refusal.code
        assert code == expected(terms, phase, closes), terms
        accepted += refusal is None
    assert bool(accepted) is (phase in COLUMNS)
