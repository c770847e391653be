"""How the lag of the projection is measured."""

from __future__ import annotations

from exchange.base.bounds import LAG_MARKS
from exchange.base.clock import ManualClock
from exchange.storage.progress import (
    LagMeter,
    ProjectionReport,
    ProjectionState,
    ProjectionWatch,
)

FOLLOWING, DOWN = ProjectionState.FOLLOWING, ProjectionState.DOWN


def test_lag_meter_counts_from_the_first_record_not_written() -> None:
    """An idle market has no lag, however long ago its last record was."""
    meter = LagMeter()
    meter.mark(0.0, 5)
    meter.mark(100.0, 7)
    meter.mark(101.0, 9)
    assert meter.seconds(102.0, 9) == 0.0
    meter.mark(500.0, 12)
    assert meter.seconds(500.5, 9) == 0.5


def test_lag_meter_is_bounded_and_stays_right() -> None:
    """At the bound every other mark goes; the oldest stays, and with it the lag."""
    meter = LagMeter()
    for second in range(10 * LAG_MARKS):
        meter.mark(float(second), second + 1)
    assert meter.seconds(10.0 * LAG_MARKS, 0) == 10.0 * LAG_MARKS
    assert len(meter._marks) <= LAG_MARKS


def test_watch_tells_lag_in_records_and_seconds() -> None:
    """What the journal has and the process has not reported."""
    clock, last = ManualClock(), [10]
    watch = ProjectionWatch(lambda: last[0], clock)
    assert watch.told(ProjectionReport(FOLLOWING, 10))
    watch.mark()
    last[0] = 25
    watch.mark()
    clock.advance(3.0)
    status = watch.status()
    assert (status.state, status.sequence, status.lag_records, status.lag_seconds) == (FOLLOWING, 10, 15, 3.0)
    assert not watch.told(ProjectionReport(FOLLOWING, 25))
    assert watch.status().lag_seconds == 0.0


def test_watch_remembers_how_far_a_process_was_that_ended() -> None:
    """Its end says nothing about the tables; the next one begins with its own word."""
    watch = ProjectionWatch(lambda: 10, ManualClock())
    watch.told(ProjectionReport(FOLLOWING, 8))
    assert watch.told(ProjectionReport(DOWN, 0, "gone"))
    assert (watch.status().sequence, watch.status().detail) == (8, "gone")
    watch.begins_anew()
    assert watch.status().sequence == 0


def test_watch_that_is_off_tells_no_lag() -> None:
    """Nothing is behind where nothing is asked for."""
    watch = ProjectionWatch(lambda: 10, ManualClock(), ProjectionState.OFF)
    assert watch.status().lag_records == 0
