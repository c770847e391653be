"""How far the projection is, as its process tells it and as the server measures it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

import msgspec

from exchange.base.bounds import LAG_MARKS
from exchange.base.clock import Clock


class ProjectionState(Enum):
    """What the projection is doing."""

    OFF = "off"
    STARTING = "starting"
    """Its process is not up yet, or replays what the tables already have."""
    FOLLOWING = "following"
    WAITING = "waiting"
    """The database does not do its part; tried again and again."""
    HALTED = "halted"
    """Before a command that fails on replay, as the server."""
    DOWN = "down"
    """Its process ended; started again after a while."""


class ProjectionReport(msgspec.Struct, frozen=True):
    """One line that the process tells its server: everything up to ``sequence`` is in the tables."""

    state: ProjectionState
    sequence: int
    detail: str | None = None


class ProjectionStatus(msgspec.Struct, frozen=True):
    """What ``/health/ready`` and the metrics tell. The lag: what the journal has and the tables have not."""

    state: ProjectionState
    sequence: int
    lag_records: int
    lag_seconds: float
    detail: str | None = None


class LagMeter:
    """For how long what is not in the tables has been in the journal, to the interval between two marks."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, now_s: float, last_sequence: int) -> None:
        """The journal reaches ``last_sequence`` now."""
        if self._marks and self._marks[-1][1] == last_sequence:
            return
        self._marks.append((now_s, last_sequence))
        if len(self._marks) > LAG_MARKS:
            self._marks = deque(list(self._marks)[::2])

    def seconds(self, now_s: float, written: int) -> float:
        """Since the first mark beyond ``written``; those before it are forgotten."""
        while self._marks and self._marks[0][1] <= written:
            self._marks.popleft()
        return max(0.0, now_s - self._marks[0][0]) if self._marks else 0.0


class ProjectionWatch:
    """What the server knows of its projection. ``last_sequence`` is the journal's, now."""

    def __init__(
        self,
        last_sequence: Callable[[], int],
        clock: Clock,
        state: ProjectionState = ProjectionState.STARTING,
    ) -> None:
        self._last_sequence = last_sequence
        self._clock = clock
        self._lag = LagMeter()
        self._report = ProjectionReport(state, 0)

    def told(self, report: ProjectionReport) -> bool:
        """Take the process's word; whether its state is another than before."""
        changed = report.state is not self._report.state
        self._report = msgspec.structs.replace(report, sequence=max(report.sequence, self._report.sequence))
        return changed

    def begins_anew(self) -> None:
        """A process starts: only its own word counts from here."""
        self._report = ProjectionReport(ProjectionState.STARTING, 0)

    def mark(self) -> None:
        """Note how far the journal is; called at the interval that the lag is to be exact to."""
        self._lag.mark(self._now_s(), self._last_sequence())

    def status(self) -> ProjectionStatus:
        """As of now."""
        report = self._report
        if report.state is ProjectionState.OFF:
            return ProjectionStatus(report.state, 0, 0, 0.0)
        behind = max(0, self._last_sequence() - report.sequence)
        seconds = self._lag.seconds(self._now_s(), report.sequence) if behind else 0.0
        return ProjectionStatus(report.state, report.sequence, behind, seconds, report.detail)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
