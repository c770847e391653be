"""Schedules: local time, summer time, holidays, and what is missed."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model.presets import preset_rules
from exchange.model.schedule import (
    DayPhase,
    Schedule,
    changes,
    last_change,
    missed_changes,
    next_change,
    next_close,
    phase_at,
)
from exchange.model.types import Phase

CHICAGO = ZoneInfo("America/Chicago")
DAY = (DayPhase(at="09:30", phase=Phase.CONTINUOUS), DayPhase(at="15:00", phase=Phase.CLOSED))


def local(text: str, zone: ZoneInfo = CHICAGO) -> int:
    """Microseconds of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000_000)


def schedule_of(preset: str) -> Schedule:
    """The schedule of a preset that has one."""
    schedule = preset_rules(preset).schedule
    assert schedule is not None
    return schedule


@pytest.mark.parametrize(
    ("preset", "at", "phase"),
    [
        ("competition", "2026-11-24T07:59:59.999999", Phase.CLOSED),  # a Tuesday
        ("competition", "2026-11-24T08:00", Phase.PRE_OPEN),
        ("competition", "2026-11-24T09:29:29.999999", Phase.PRE_OPEN),
        ("competition", "2026-11-24T09:29:30", Phase.OPENING_AUCTION),
        ("competition", "2026-11-24T09:30", Phase.CONTINUOUS),
        ("competition", "2026-11-24T15:00", Phase.CLOSED),
        ("competition", "2026-11-25T10:00", Phase.CLOSED),
        ("competition", "2026-11-26T10:00", Phase.CONTINUOUS),
        ("weekday", "2026-11-25T15:30", Phase.CONTINUOUS),
        ("weekday", "2026-11-25T16:00", Phase.CLOSED),
        ("weekday", "2026-11-28T10:00", Phase.CLOSED),  # a Saturday
    ],
)
def test_phase_at_follows_the_presets(preset: str, at: str, phase: Phase) -> None:
    """The hours of GAME.md, in Chicago, to the microsecond."""
    assert phase_at(schedule_of(preset), local(at)) is phase


def test_always_open_has_no_schedule() -> None:
    """Day and night."""
    assert preset_rules("always_open").schedule is None


def test_sprint_is_a_whole_day_in_ten_minutes() -> None:
    """Over and over, whatever the date."""
    schedule, start_us = schedule_of("sprint"), 600_000_000 * 1_000
    phases = [change.phase for change in changes(schedule, start_us - 1, start_us + 599_999_999)]
    assert phases == [
        Phase.PRE_OPEN,
        Phase.OPENING_AUCTION,
        Phase.CONTINUOUS,
        Phase.PRE_CLOSE,
        Phase.CLOSING_AUCTION,
        Phase.CLOSED,
    ]
    assert phase_at(schedule, start_us + 60_000_000) is Phase.CONTINUOUS
    assert phase_at(schedule, start_us + 600_000_000 - 1) is Phase.CLOSED
    assert phase_at(schedule, start_us + 600_000_000) is Phase.PRE_OPEN


def test_summer_time_moves_the_day_in_utc() -> None:
    """09:30 stays 09:30: an hour earlier in UTC from the Sunday on."""
    schedule = Schedule(day=DAY, time_zone="America/Chicago")
    opens = [
        change.at_us for change in changes(schedule, local("2026-03-06T00:00"), local("2026-03-10T00:00"))
    ][::2]
    hours = [(later - earlier) / 3_600_000_000 for earlier, later in pairwise(opens)]
    assert hours == [24, 23, 24]
    assert opens[2] == local("2026-03-08T09:30")


def test_times_that_summer_time_skips_or_repeats_stay_in_order() -> None:
    """02:30 does not exist on the one Sunday and 01:30 comes twice on the other."""
    day = (
        DayPhase(at="01:30", phase=Phase.PRE_OPEN),
        DayPhase(at="02:30", phase=Phase.OPENING_AUCTION),
        DayPhase(at="03:10", phase=Phase.CONTINUOUS),
        DayPhase(at="04:00", phase=Phase.CLOSED),
    )
    schedule = Schedule(day=day, time_zone="America/Chicago")
    for sunday in ("2026-03-08", "2026-11-01"):
        found = [*changes(schedule, local(f"{sunday}T00:00"), local(f"{sunday}T23:00"))]
        assert [change.phase for change in found] == [each.phase for each in day]
        times = [change.at_us for change in found]
        assert times == sorted(times)
        assert times[0] == local(f"{sunday}T01:30")


def test_holidays_and_other_weekdays_are_closed() -> None:
    """And the next change is that of the next trading day."""
    schedule = Schedule(
        day=DAY,
        time_zone="America/Chicago",
        weekdays=schedule_of("weekday").weekdays,
        holidays=("2026-11-26", "2026-11-27"),
    )
    assert phase_at(schedule, local("2026-11-26T10:00")) is Phase.CLOSED
    assert last_change(schedule, local("2026-11-30T08:00")) == last_change(
        schedule, local("2026-11-29T08:00")
    )
    change = next_change(schedule, local("2026-11-25T15:00"))
    assert change == (local("2026-11-30T09:30"), Phase.CONTINUOUS)
    assert next_change(Schedule(day=DAY, weekdays=()), 0) is None


def test_missed_changes_are_those_that_matter() -> None:
    """Up to the first close everything, then only what belongs to the day that is on."""
    schedule = schedule_of("competition")
    assert missed_changes(schedule, local("2026-11-24T10:00"), local("2026-11-24T11:00")) == []
    missed = missed_changes(schedule, local("2026-11-24T09:00"), local("2026-12-03T09:00"))
    assert missed == [
        (local("2026-11-24T09:29:30"), Phase.OPENING_AUCTION),
        (local("2026-11-24T09:30"), Phase.CONTINUOUS),
        (local("2026-11-24T15:00"), Phase.CLOSED),
        (local("2026-12-03T08:00"), Phase.PRE_OPEN),
    ]
    night = missed_changes(schedule, local("2026-11-24T12:00"), local("2027-11-24T12:00"))
    assert night == [(local("2026-11-24T15:00"), Phase.CLOSED)]


@given(
    preset=st.sampled_from(["competition", "weekday", "sprint"]),
    after=st.integers(1_767_225_600, 1_798_761_600),
    seconds=st.integers(0, 2_000_000),
)
def test_missed_changes_end_in_the_phase_of_now(preset: str, after: int, seconds: int) -> None:
    """However long nobody looked; in order, none of them in the future, at most two days of them."""
    schedule, after_us = schedule_of(preset), after * 1_000_000
    now_us = after_us + seconds * 1_000_000
    missed = missed_changes(schedule, after_us, now_us)
    last = missed[-1].phase if missed else phase_at(schedule, after_us)
    assert last is phase_at(schedule, now_us)
    times = [change.at_us for change in missed]
    assert times == sorted(times)
    assert all(after_us < each <= now_us for each in times)
    assert len(missed) < 2 * len(schedule.day)


@pytest.mark.parametrize(
    ("after", "close"),
    [
        ("2026-11-24T09:00", "2026-11-24T15:00"),
        ("2026-11-24T14:59:59", "2026-11-24T15:00"),
        ("2026-11-24T15:00", "2026-11-26T15:00"),
        ("2026-11-27T12:00", "2026-12-01T15:00"),
    ],
)
def test_next_close_is_the_end_of_the_day_or_of_the_next_one(after: str, close: str) -> None:
    """At the close itself it is the one after; days without trading have none."""
    assert next_close(schedule_of("competition"), local(after)) == (local(close), Phase.CLOSED)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Schedule(day=()), "closed"),
        (lambda: Schedule(day=DAY[:1]), "closed"),
        (lambda: Schedule(day=(DAY[1], DAY[0], DAY[1])), "rise"),
        (lambda: Schedule(day=(DayPhase(at="9 o'clock", phase=Phase.CLOSED),)), "9 o'clock"),
        (lambda: Schedule(day=(DayPhase(at="09:30:00.5", phase=Phase.CLOSED),)), "HH:MM"),
        (lambda: Schedule(day=DAY, time_zone="Middle/Earth"), "Middle/Earth"),
        (lambda: Schedule(day=DAY, holidays=("24 December",)), "24 December"),
        (lambda: Schedule(day=DAY, repeat_s=600), "repeat_s"),
        (lambda: Schedule(day=DAY, repeat_s=86_400, time_zone="Europe/Zurich"), "time_zone"),
    ],
)
def test_schedule_refuses_what_makes_no_day(make: Callable[[], Schedule], reason: str) -> None:
    """And says what is wrong."""
    with pytest.raises(ValueError, match=reason):
        make()
