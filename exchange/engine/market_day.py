"""What the clock asks of the market: a pure function of where the day stands, the schedule and the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from exchange.model.commands import SetPhase
from exchange.model.phases import MarketPhases
from exchange.model.schedule import Schedule, last_change, missed_changes, phase_at
from exchange.model.types import Phase

SCHEDULED: Final = "schedule"
REOPENED: Final = "reopened"
RESTART_GRACE: Final = "restart_grace"


class Timers(msgspec.Struct, frozen=True):
    """How long a halt after a crash and a reopening take, in microseconds."""

    grace_us: int
    reopening_us: int


def due(phases: MarketPhases, schedule: Schedule | None, now_us: int, timers: Timers) -> list[SetPhase]:
    """The phase commands to enter now, in order; mostly none.

    Every change of the schedule since the market's last one, so that nothing is skipped while nobody looked.
    What an operator set holds until the next change. A halt waits for its reopening and a reopening for its
    end whatever the schedule says, but for the close. Each command carries the time it was due: what falls
    due before it is sequenced is not lost, it is due at the next look.
    """
    market = [*_market(phases, schedule, now_us, timers)]
    return market or [*_instruments(phases, now_us, timers)]


def after_crash(phases: MarketPhases, caught_up: list[SetPhase], now_us: int) -> list[SetPhase]:
    """``caught_up`` is what is due at the start; a market that would trade is halted, so that teams can come
    back. A grace period that was under way begins anew.
    """
    market = phases.market
    last = caught_up[-1].phase if caught_up else market.phase
    in_grace = not caught_up and last is Phase.HALTED and market.reason == RESTART_GRACE
    if last is Phase.CONTINUOUS or in_grace:
        return [*caught_up, SetPhase(Phase.HALTED, RESTART_GRACE, None, now_us)]
    return caught_up


def _market(
    phases: MarketPhases, schedule: Schedule | None, now_us: int, timers: Timers
) -> Iterator[SetPhase]:
    market = phases.market
    since_us = market.since_us
    if since_us is None:
        yield from _first(market.phase, schedule, now_us)
        return
    missed = [] if schedule is None else missed_changes(schedule, since_us, now_us)
    if market.phase in (Phase.HALTED, Phase.REOPENING):
        closed = next((at for at, each in enumerate(missed) if each.phase is Phase.CLOSED), None)
        if closed is None:
            yield from _resume(phases, schedule, now_us, timers)
            return
        missed = missed[closed:]
    phase = market.phase
    for change in missed:
        if change.phase is not phase:
            yield SetPhase(change.phase, SCHEDULED, None, change.at_us)
        phase = change.phase


def _first(phase: Phase, schedule: Schedule | None, now_us: int) -> Iterable[SetPhase]:
    change = None if schedule is None else last_change(schedule, now_us)
    if change is not None and change.phase is not phase:
        yield SetPhase(change.phase, SCHEDULED, None, change.at_us)


def _resume(
    phases: MarketPhases, schedule: Schedule | None, now_us: int, timers: Timers
) -> Iterable[SetPhase]:
    market = phases.market
    assert market.since_us is not None
    if market.phase is Phase.REOPENING:
        end_us = market.since_us + timers.reopening_us
        if now_us >= end_us:
            # Changes between its end and now are due after it.
            phase = Phase.CONTINUOUS if schedule is None else phase_at(schedule, end_us)
            yield SetPhase(phase, REOPENED, None, end_us)
    elif market.reason == RESTART_GRACE and now_us >= market.since_us + timers.grace_us:
        yield SetPhase(Phase.REOPENING, RESTART_GRACE, None, now_us)


def _instruments(phases: MarketPhases, now_us: int, timers: Timers) -> Iterable[SetPhase]:
    for instrument_id, own in sorted(phases.instruments.items()):
        if own.phase is Phase.REOPENING:
            assert own.since_us is not None
            end_us = own.since_us + timers.reopening_us
            if now_us >= end_us:
                yield SetPhase(Phase.CONTINUOUS, REOPENED, instrument_id, end_us)
