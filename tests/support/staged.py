"""The rules of a game and the queues between its stages, each moved on by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from exchange.app import build_core
from exchange.model.answers import OrderAnswer, QuoteAnswer
from exchange.model.commands import IN_STEPS, AnyCommand, OpenGame, Quote, Record, RegisterTeam
from exchange.model.events import AnyPrivateEvent, AnyVenueEvent
from exchange.model.reasons import Refusal
from exchange.model.rules import GameRules
from exchange.pipeline.core import Core
from exchange.services.settlement.settlement import Settled

NOW_US = 1_704_067_200_000_000


class Staged:
    """The game is open and ``teams`` of ``role`` are in it; ``told`` are the private events so far."""

    def __init__(self, rules: GameRules, role: str, teams: int = 2) -> None:
        self.core: Core = build_core(rules)
        self.told: list[AnyPrivateEvent] = []
        self.settled: dict[int, Settled] = {}
        self.records: list[Record] = []
        self._to_match: deque[Record] = deque()
        self._to_settle: deque[tuple[Record, Sequence[AnyVenueEvent]]] = deque()
        self.enter(OpenGame(rules))
        for number in range(1, teams + 1):
            self.enter(RegisterTeam(f"Team {number}", role, bytes([number]) * 32, "r"))
        self.drain()

    def enter(self, command: AnyCommand, now_us: int = NOW_US) -> Record | OrderAnswer | Refusal:
        """Validate, and put what passes on the queue to match."""
        verdict = self.core.admission.admit(command, now_us)
        if isinstance(verdict, Record):
            self._pass(verdict)
        return verdict

    def quote(self, quote: Quote, now_us: int = NOW_US) -> QuoteAnswer | Refusal:
        """The same for a quote."""
        verdict = self.core.admission.admit_quote(quote, now_us)
        if isinstance(verdict, Refusal):
            return verdict
        records, answer = verdict
        for record in records:
            self._pass(record)
        return answer

    def _pass(self, record: Record) -> None:
        self.records.append(record)
        self._to_match.append(record)

    def accept(self, command: AnyCommand) -> int:
        """The same for a command that must pass; its sequence."""
        verdict = self.enter(command)
        assert isinstance(verdict, Record), verdict
        return verdict.sequence

    def match(self) -> None:
        """One command, if one waits."""
        if self._to_match:
            record = self._to_match.popleft()
            venue = self.core.venue
            in_steps = type(record.command) in IN_STEPS
            slices = venue.steps(record) if in_steps else [venue.apply(record)]
            self._to_settle += ((record, events) for events in slices)

    def settle(self) -> None:
        """What one command came to, if one waits."""
        if self._to_settle:
            record, events = self._to_settle.popleft()
            self.before_settling(events)
            settled = self.core.settlement.settle(record, events)
            self.settled[record.sequence] = settled
            self.told += settled.private

    def drain(self) -> None:
        """Until nothing is under way."""
        while self._to_match:
            self.match()
        while self._to_settle:
            self.settle()

    def before_settling(self, events: Sequence[AnyVenueEvent]) -> None:
        """For a test that watches."""
