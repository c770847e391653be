"""Holds the clock against the schedule, and enters what falls due as system commands."""

from __future__ import annotations

from collections.abc import Callable

from exchange.base.clock import Clock
from exchange.engine.market_day import Timers, after_crash, due
from exchange.model.commands import SetPhase
from exchange.model.phases import MarketPhases, PhaseMark
from exchange.model.schedule import Schedule


class MarketClock:
    """``phases`` are those of admission: what is sequenced."""

    def __init__(
        self,
        phases: MarketPhases,
        schedule: Schedule | None,
        timers: Timers,
        *,
        clock: Clock,
        submit: Callable[[SetPhase], object],
    ) -> None:
        self._phases = phases
        self._schedule = schedule
        self._timers = timers
        self._clock = clock
        self._submit = submit
        self._acted_on: tuple[PhaseMark, ...] | None = None

    def start(self, *, crashed: bool) -> None:
        """Catch up with what was missed while nobody looked; after a crash halt what would trade."""
        now_us = self._clock.now_us()
        commands = due(self._phases, self._schedule, now_us, self._timers)
        self._enter(after_crash(self._phases, commands, now_us) if crashed else commands)

    def check(self) -> None:
        """Enter what has fallen due; mostly nothing has, or it waits to be sequenced."""
        if self._acted_on != self._where():
            self._enter(due(self._phases, self._schedule, self._clock.now_us(), self._timers))

    def _enter(self, commands: list[SetPhase]) -> None:
        if commands:
            self._acted_on = self._where()
        for command in commands:
            self._submit(command)

    def _where(self) -> tuple[PhaseMark, ...]:
        return self._phases.market, *self._phases.instruments.values()
