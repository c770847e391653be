"""What falls due: schedule, reopenings and the grace period after a crash."""

import pytest

from exchange.engine.market_day import REOPENED, RESTART_GRACE, SCHEDULED, Timers, after_crash, due
from exchange.model.commands import SetPhase
from exchange.model.phases import MarketPhases
from exchange.model.schedule import DayPhase, Schedule
from exchange.model.types import Phase

P = Phase
SECOND = 1_000_000
TIMERS = Timers(grace_us=10 * SECOND, reopening_us=60 * SECOND)
START = 1_000 * 600 * SECOND
SCHEDULE = Schedule(
    day=tuple(
        DayPhase(at=f"00:0{minute}", phase=phase)
        for minute, phase in enumerate(
            [P.PRE_OPEN, P.OPENING_AUCTION, P.CONTINUOUS, P.PRE_CLOSE, P.CLOSED], 1
        )
    ),
    repeat_s=600,
)
"""pre_open 1:00, opening_auction 2:00, continuous 3:00, pre_close 4:00, closed 5:00, every ten minutes."""


def at(seconds: float) -> int:
    """Microseconds of a time of the day."""
    return START + round(seconds * SECOND)


def phases(phase: Phase, since: float, reason: str = SCHEDULED) -> MarketPhases:
    """A market in ``phase`` since a time of the day."""
    found = MarketPhases(P.CLOSED)
    found.apply(SetPhase(phase, reason), at(since))
    return found


def told(commands: list[SetPhase]) -> list[tuple[Phase, float | None]]:
    """Phase and time of the day of each."""
    return [
        (each.phase, None if each.due_us is None else (each.due_us - START) / SECOND) for each in commands
    ]


@pytest.mark.parametrize(
    ("phase", "since", "now", "expected"),
    [
        (P.PRE_OPEN, 60, 119.999999, []),
        (P.PRE_OPEN, 60, 120, [(P.OPENING_AUCTION, 120)]),
        (P.PRE_OPEN, 60, 200, [(P.OPENING_AUCTION, 120), (P.CONTINUOUS, 180)]),
        (P.CONTINUOUS, 180, 700, [(P.PRE_CLOSE, 240), (P.CLOSED, 300), (P.PRE_OPEN, 660)]),
        (P.CONTINUOUS, 180, 6_100, [(P.PRE_CLOSE, 240), (P.CLOSED, 300), (P.PRE_OPEN, 6_060)]),
        # What an operator set holds until the next change.
        (P.CLOSED, 200, 239, []),
        (P.CLOSED, 200, 240, [(P.PRE_CLOSE, 240)]),
        (P.CONTINUOUS, 400, 659, []),
        (P.CONTINUOUS, 100, 200, [(P.OPENING_AUCTION, 120), (P.CONTINUOUS, 180)]),
        # A halt and a reopening wait for themselves alone, but for the close.
        (P.HALTED, 100, 299, []),
        (P.HALTED, 100, 300, [(P.CLOSED, 300)]),
        (P.HALTED, 100, 660, [(P.CLOSED, 300), (P.PRE_OPEN, 660)]),
        (P.REOPENING, 130, 189, []),
        (P.REOPENING, 130, 190, [(P.CONTINUOUS, 190)]),
        (P.REOPENING, 290, 300, [(P.CLOSED, 300)]),
        (P.REOPENING, 310, 370, [(P.CLOSED, 370)]),
        (P.REOPENING, 70, 190, [(P.OPENING_AUCTION, 130)]),
        # A clock set back changes nothing.
        (P.CONTINUOUS, 180, 10, []),
    ],
)
def test_due(phase: Phase, since: float, now: float, expected: list[tuple[Phase, float]]) -> None:
    """Every change since the last one, in order, each with its time."""
    assert told(due(phases(phase, since), SCHEDULE, at(now), TIMERS)) == expected


def test_due_at_the_start_of_a_game_is_the_phase_of_now() -> None:
    """Nothing was missed; with a closed market or no schedule nothing is due."""
    fresh = MarketPhases(P.CLOSED)
    assert told(due(fresh, SCHEDULE, at(200), TIMERS)) == [(P.CONTINUOUS, 180)]
    assert due(fresh, SCHEDULE, at(310), TIMERS) == []
    assert due(MarketPhases(P.CONTINUOUS), None, at(0), TIMERS) == []


def test_what_falls_due_before_the_last_change_is_sequenced_is_not_lost() -> None:
    """A change counts from when it was due, not from when the journal had it."""
    market = phases(P.PRE_OPEN, 60)
    (command,) = due(market, SCHEDULE, at(120), TIMERS)
    market.apply(command, at(181))
    assert told(due(market, SCHEDULE, at(181), TIMERS)) == [(P.CONTINUOUS, 180)]


def test_without_a_schedule_a_reopening_ends_in_trading() -> None:
    """And a halt of the operator never ends by itself."""
    assert due(phases(P.HALTED, 0, "operator"), None, at(9_999), TIMERS) == []
    assert due(phases(P.REOPENING, 0, "operator"), None, at(60), TIMERS) == [
        SetPhase(P.CONTINUOUS, REOPENED, None, at(60))
    ]


def test_halt_of_a_restart_ends_after_its_grace_period() -> None:
    """Through a reopening."""
    market = phases(P.HALTED, 0, RESTART_GRACE)
    assert due(market, None, at(9.9), TIMERS) == []
    assert due(market, None, at(10), TIMERS) == [SetPhase(P.REOPENING, RESTART_GRACE, None, at(10))]


def test_instrument_reopens_by_itself() -> None:
    """Like the market, after the same time; not in the check in which the market itself moves."""
    market = phases(P.CONTINUOUS, 180)
    market.apply(SetPhase(P.HALTED, "operator", "X"), at(181))
    assert due(market, SCHEDULE, at(239), TIMERS) == []
    market.apply(SetPhase(P.REOPENING, "operator", "X"), at(185))
    assert told(due(market, SCHEDULE, at(245), TIMERS)) == [(P.PRE_CLOSE, 240)]
    market.apply(SetPhase(P.PRE_CLOSE, SCHEDULED), at(240))
    assert due(market, SCHEDULE, at(245), TIMERS) == [SetPhase(P.CONTINUOUS, REOPENED, "X", at(245))]


@pytest.mark.parametrize(
    ("phase", "reason", "caught_up", "halts"),
    [
        (P.CONTINUOUS, "schedule", [], True),
        (P.HALTED, RESTART_GRACE, [], True),
        (P.HALTED, "operator", [], False),
        (P.PRE_OPEN, "schedule", [], False),
        (P.CLOSED, "schedule", [], False),
        (P.PRE_OPEN, "schedule", [P.OPENING_AUCTION, P.CONTINUOUS], True),
        (P.CONTINUOUS, "schedule", [P.CLOSED], False),
        (P.HALTED, RESTART_GRACE, [P.CLOSED], False),
    ],
)
def test_crash_halts_a_market_that_would_trade(
    phase: Phase, reason: str, caught_up: list[Phase], halts: bool
) -> None:
    """After what was missed; a grace period begins anew, what does not trade is left alone."""
    commands = [SetPhase(each, SCHEDULED) for each in caught_up]
    expected = [*commands, SetPhase(P.HALTED, RESTART_GRACE, None, at(9))] if halts else commands
    assert after_crash(phases(phase, 0, reason), commands, at(9)) == expected
