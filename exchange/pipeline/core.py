"""The rules of a running game, without any pipe: what the stages drive and what a replay drives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from exchange.engine.venue import Venue
from exchange.model.commands import IN_STEPS, Record
from exchange.model.events import AnyVenueEvent
from exchange.model.rules import GameRules
from exchange.services.game.teams import TeamRegistry
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settled, Settlement
from exchange.services.validation.admission import Admission

Observer: TypeAlias = Callable[[Record, list[AnyVenueEvent]], None]


@dataclass(frozen=True, slots=True)
class Core:
    """Everything that is a function of the journal."""

    rules: GameRules
    teams: TeamRegistry
    register: OrderRegister
    exposure: Exposure
    ledger: Ledger
    venue: Venue
    admission: Admission
    settlement: Settlement

    def replay(self, record: Record, observe: Observer = lambda record, events: None) -> Settled:
        """What the three stages do with a command, at once and without judging it again.

        ``observe`` is shown what the venue made of it.
        """
        self.admission.apply(record)
        if type(record.command) not in IN_STEPS:
            events = self.venue.apply(record)
            observe(record, events)
            return self.settlement.settle(record, events)
        # In the slices of the live run: what is judged after each of them is part of the state.
        slices = []
        for events in self.venue.steps(record):
            observe(record, events)
            slices.append(self.settlement.settle(record, events))
        private = [event for settled in slices for event in settled.private]
        return Settled(private, slices[-1].answer)

    def state_hash(self) -> str:
        """Equal for equal states on every Python and hash seed; says nothing about where they differ."""
        parts = (
            self.admission.state(),
            self.teams.state(),
            self.register.state(),
            self.exposure.state(),
            self.ledger.state(),
            self.venue.state(),
            self.settlement.state(),
        )
        # Not MessagePack: sums of money know no bound, and its integers end at 64 bits.
        return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()
