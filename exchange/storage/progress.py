"""How far the projection is, as its process tells it and as the server measures it."""

from __future__ import annotations

from collections import deque
from enum import Enum

import msgspec

from exchange.base.bounds import LAG_MARKS


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
