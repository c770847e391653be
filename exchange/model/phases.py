"""What each phase of the market day allows, as one table, and where the day stands.

The table is here and not in the engine because validation judges by it too, and neither knows the other.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from exchange.base.bounds import MAX_BATCH_INTERVAL_MS, MIN_BATCH_INTERVAL_MS
from exchange.model.commands import SetPhase
from exchange.model.rules import GameRules
from exchange.model.types import Phase


class Matching(Enum):
    """What the book does with orders that cross."""

    NONE = "none"
    CONTINUOUS = "continuous"
    UNCROSS = "uncross"


class PhaseRule(msgspec.Struct, frozen=True):
    """``submit`` is for new orders and amends. In a call they rest, and wait for an uncross.

    Entering a phase that matches in any way ends a call: whatever crosses by then is uncrossed first.
    """

    submit: bool
    cancel: bool
    match: Matching

    @property
    def is_call(self) -> bool:
        return self.submit and self.match is Matching.NONE

    @property
    def ends_calls(self) -> bool:
        return self.match is not Matching.NONE


_NONE, _CONTINUOUS, _UNCROSS = Matching.NONE, Matching.CONTINUOUS, Matching.UNCROSS

PHASES: Final[dict[Phase, PhaseRule]] = {
    Phase.PRE_OPEN: PhaseRule(True, True, _NONE),
    Phase.OPENING_AUCTION: PhaseRule(False, False, _UNCROSS),
    Phase.CONTINUOUS: PhaseRule(True, True, _CONTINUOUS),
    Phase.HALTED: PhaseRule(False, True, _NONE),
    Phase.REOPENING: PhaseRule(True, True, _NONE),
    Phase.PRE_CLOSE: PhaseRule(True, True, _NONE),
    Phase.CLOSING_AUCTION: PhaseRule(False, False, _UNCROSS),
    Phase.CLOSED: PhaseRule(False, False, _NONE),
}

AFTER_HALT: Final = frozenset({Phase.HALTED, Phase.REOPENING, Phase.CLOSED})
"""Trading goes on through a reopening alone; that the day ends does not wait for it."""
INSTRUMENT_PHASES: Final = frozenset({Phase.HALTED, Phase.REOPENING, Phase.CONTINUOUS})
"""What one instrument can be put in: halted, called, or back to whatever the market does."""


def first_phase(rules: GameRules) -> Phase:
    """Where a game begins: a market that has hours waits for them."""
    return Phase.CONTINUOUS if rules.schedule is None else Phase.CLOSED


def batched_instruments(rules: GameRules) -> frozenset[str]:
    """The instruments that trade in batch auctions; raises ValueError for one that there is not."""
    batch = rules.batch_auctions
    known = frozenset(each.instrument_id for each in rules.instruments)
    if batch is None:
        return frozenset()
    chosen = known if batch.instruments is None else frozenset(batch.instruments)
    if not chosen <= known:
        raise ValueError(f"batch_auctions: unknown instruments {', '.join(sorted(chosen - known))}")
    if not MIN_BATCH_INTERVAL_MS <= batch.interval_ms <= MAX_BATCH_INTERVAL_MS:
        raise ValueError(
            f"batch_auctions: interval_ms must be {MIN_BATCH_INTERVAL_MS} to {MAX_BATCH_INTERVAL_MS}"
        )
    return chosen


def batch_interval_ms(rules: GameRules, instrument_id: str) -> int | None:
    """How often an instrument is uncrossed; None where it trades continuously."""
    batch = rules.batch_auctions
    if batch is None or (batch.instruments is not None and instrument_id not in batch.instruments):
        return None
    return batch.interval_ms


class PhaseMark(msgspec.Struct, frozen=True):
    """A phase, why, and since when; ``since_us`` is None for the phase a game begins with."""

    phase: Phase
    reason: str
    since_us: int | None


class MarketPhases:
    """Where the market stands, and the instruments that are halted or reopening on their own. ``batched`` are
    those that trade in batch auctions.

    Admission and the venue keep one each: a command is judged by what was sequenced before it.
    """

    __slots__ = ("_batched", "instruments", "is_plain", "market", "rule")

    def __init__(self, first: Phase, batched: frozenset[str] = frozenset()) -> None:
        self.instruments: dict[str, PhaseMark] = {}
        self._batched = batched
        self._enter(PhaseMark(first, "start", None))

    def of(self, instrument_id: str) -> Phase:
        """The phase of one instrument: its own, save where the whole market is halted or closed."""
        own = self.instruments.get(instrument_id)
        market = self.market.phase
        return market if own is None or market in (Phase.HALTED, Phase.CLOSED) else own.phase

    def rule_of(self, instrument_id: str) -> PhaseRule:
        """What the table says for one instrument."""
        return PHASES[self.of(instrument_id)] if self.instruments else self.rule

    def is_call(self, instrument_id: str) -> bool:
        """Whether orders rest until an uncross: in a phase that is a call, or between two batch auctions."""
        rule = self.rule_of(instrument_id)
        return rule.is_call or (instrument_id in self._batched and rule.match is Matching.CONTINUOUS)

    def may_enter(self, phase: Phase, instrument_id: str | None) -> bool:
        """Whether ``phase`` may come next."""
        if instrument_id is None:
            return self.market.phase is not Phase.HALTED or phase in AFTER_HALT
        if phase is Phase.HALTED:
            return self.market.phase is not Phase.CLOSED
        own = self.instruments.get(instrument_id)
        return own is not None and (own.phase, phase) in _INSTRUMENT_MOVES

    def apply(self, command: SetPhase, timestamp_us: int) -> None:
        """Move on. The close of the market ends every halt of a single instrument."""
        since_us = timestamp_us if command.due_us is None else command.due_us
        mark = PhaseMark(command.phase, command.reason, since_us)
        if command.instrument_id is None:
            if command.phase is Phase.CLOSED:
                self.instruments.clear()
            self._enter(mark)
            return
        if command.phase is Phase.CONTINUOUS:
            self.instruments.pop(command.instrument_id, None)
        else:
            self.instruments[command.instrument_id] = mark
        self._enter(self.market)

    def state(self) -> object:
        """Canonical content for the state hash."""
        return [self.market, sorted(self.instruments.items())]

    def _enter(self, market: PhaseMark) -> None:
        self.market = market
        self.rule = PHASES[market.phase]
        # One attribute for the order path to look at: everything matches continuously.
        self.is_plain = market.phase is Phase.CONTINUOUS and not self.instruments


_INSTRUMENT_MOVES: Final = {
    (Phase.HALTED, Phase.REOPENING),
    (Phase.REOPENING, Phase.CONTINUOUS),
}
