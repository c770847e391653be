"""The market day by the clock: a schedule as data, and which phase it is at a time.

Times of a day are local: a change of summer time moves them in UTC. A time that a change skips is taken as
if the clocks had not moved yet, one that comes twice is its first, and no change comes before the one listed
ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from exchange.model.types import Phase

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_DAY_S: Final = 86_400
LOOK_AHEAD: Final = timedelta(days=400)
"""How far :func:`next_change` looks for a day that is not a holiday."""


class Weekday(Enum):
    """As in ISO 8601, Monday first."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


WEEK: Final = tuple(Weekday)


class DayPhase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``phase`` begins ``at`` HH:MM or HH:MM:SS."""

    at: str
    phase: Phase

    @property
    def second(self) -> int:
        """Seconds since the day began; raises ValueError for what is no time of day."""
        at = time.fromisoformat(self.at)
        if at.tzinfo is not None or at.microsecond:
            raise ValueError(f"schedule: {self.at!r} must be HH:MM or HH:MM:SS")
        return at.hour * 3_600 + at.minute * 60 + at.second


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The phases of each trading day, in order; the last one is closed, and so is the market in between.

    With ``repeat_s`` a day has that many seconds and follows the one before at once, counted from 1970 UTC:
    then zone, weekdays and holidays must be left alone. ``holidays`` are ISO dates.
    """

    day: tuple[DayPhase, ...]
    time_zone: str = "UTC"
    weekdays: tuple[Weekday, ...] = WEEK
    holidays: tuple[str, ...] = ()
    repeat_s: int | None = None

    def __post_init__(self) -> None:
        seconds = [each.second for each in self.day]
        if not self.day or self.day[-1].phase is not Phase.CLOSED:
            raise ValueError("schedule: the day must end closed")
        if any(later <= earlier for earlier, later in pairwise(seconds)):
            raise ValueError("schedule: the times of the day must rise")
        self._check_repeat(seconds[-1])
        for holiday in self.holidays:
            date.fromisoformat(holiday)
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"schedule: no time zone {self.time_zone!r}") from None

    def _check_repeat(self, last_s: int) -> None:
        if self.repeat_s is None:
            return
        if not last_s < self.repeat_s <= _DAY_S:
            raise ValueError("schedule: repeat_s must be longer than the day's phases, and at most 86400")
        if (self.time_zone, self.weekdays, self.holidays) != ("UTC", WEEK, ()):
            raise ValueError("schedule: with repeat_s there is no time_zone, weekdays or holidays")


class PhaseChange(NamedTuple):
    """A phase and when it begins, in microseconds since 1970 UTC."""

    at_us: int
    phase: Phase


def changes(schedule: Schedule, after_us: int, until_us: int) -> Iterator[PhaseChange]:
    """Every change later than ``after_us``, up to and including ``until_us``, in order."""
    days = _local_days if schedule.repeat_s is None else _repeated_days
    for change in days(schedule, after_us, until_us):
        if after_us < change.at_us <= until_us:
            yield change


def last_change(schedule: Schedule, now_us: int) -> PhaseChange | None:
    """The change that gave today its phase; None before the first of today, when the market is closed."""
    return next(iter([*changes(schedule, now_us - _span_us(schedule), now_us)][-1:]), None)


def phase_at(schedule: Schedule, timestamp_us: int) -> Phase:
    """The phase at a time."""
    change = last_change(schedule, timestamp_us)
    return Phase.CLOSED if change is None else change.phase


def next_change(schedule: Schedule, after_us: int) -> PhaseChange | None:
    """The first change later than ``after_us``; None if there is no trading day for more than a year."""
    until_us = after_us + LOOK_AHEAD // _MICROSECOND
    return next(changes(schedule, after_us, until_us), None)


def next_close(schedule: Schedule, after_us: int) -> PhaseChange | None:
    """The first close later than ``after_us``; None as for :func:`next_change`."""
    until_us = after_us + LOOK_AHEAD // _MICROSECOND
    found = changes(schedule, after_us, until_us)
    return next((change for change in found if change.phase is Phase.CLOSED), None)


def missed_changes(schedule: Schedule, after_us: int, now_us: int) -> list[PhaseChange]:
    """The changes up to now that matter for who was asleep since ``after_us``.

    Between the first close and the last one the days were empty: their phases are left out.
    """
    missed: list[PhaseChange] = []
    for change in changes(schedule, after_us, now_us):
        missed.append(change)
        if change.phase is Phase.CLOSED:
            break
    if not missed or missed[-1].phase is not Phase.CLOSED:
        return missed
    recent = [*changes(schedule, max(missed[-1].at_us, now_us - _span_us(schedule)), now_us)]
    closes = [at for at, change in enumerate(recent) if change.phase is Phase.CLOSED]
    return missed + (recent[closes[-1] + 1 :] if closes else recent)


def _span_us(schedule: Schedule) -> int:
    """Longer than any day, also one of 25 hours."""
    return 2 * (schedule.repeat_s or _DAY_S) * _SECOND_US


def _repeated_days(schedule: Schedule, after_us: int, until_us: int) -> Iterator[PhaseChange]:
    assert schedule.repeat_s is not None
    day_us = schedule.repeat_s * _SECOND_US
    for start_us in range(after_us // day_us * day_us, until_us + 1, day_us):
        for each in schedule.day:
            yield PhaseChange(start_us + each.second * _SECOND_US, each.phase)


def _local_days(schedule: Schedule, after_us: int, until_us: int) -> Iterator[PhaseChange]:
    zone, holidays = ZoneInfo(schedule.time_zone), frozenset(schedule.holidays)
    day, last = _local_date(after_us, zone), _local_date(until_us, zone)
    while day <= last:
        if WEEK[day.weekday()] in schedule.weekdays and day.isoformat() not in holidays:
            yield from _local_day(schedule, day, zone)
        day += timedelta(days=1)


def _local_day(schedule: Schedule, day: date, zone: ZoneInfo) -> Iterator[PhaseChange]:
    earliest_us = 0
    midnight = datetime.combine(day, time(), zone)
    for each in schedule.day:
        # Wall-clock arithmetic: 09:30 stays 09:30 on a day of 23 or 25 hours.
        local = midnight + timedelta(seconds=each.second)
        earliest_us = max(earliest_us, (local - _EPOCH) // _MICROSECOND)
        yield PhaseChange(earliest_us, each.phase)


def _local_date(timestamp_us: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=timestamp_us)).astimezone(zone).date()
