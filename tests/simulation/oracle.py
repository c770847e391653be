"""The naive venue of tests/oracle with what it leaves out: an instrument that is halted on its own."""

from __future__ import annotations

from collections.abc import Collection

from exchange.model.commands import AmendOrder, NewOrder, Record, SetPhase, TriggerStops, Uncross
from exchange.model.events import AnyVenueEvent, PhaseChanged
from exchange.model.phases import PHASES
from exchange.model.types import Phase, SelfTradePrevention
from tests.oracle.book import OracleVenue


class Oracle(OracleVenue):
    """``market`` is the phase of the whole market, ``own`` those of single instruments."""

    def __init__(
        self,
        prevention: SelfTradePrevention,
        keeps_overnight: bool,
        batched: Collection[str],
        stops_at_once: int,
    ) -> None:
        super().__init__(prevention, keeps_overnight, batched=batched, stops_at_once=stops_at_once)
        self.market = Phase.CONTINUOUS
        self.own: dict[str, Phase] = {}

    def phase_of(self, instrument_id: str) -> Phase:
        """Its own phase, unless nothing is traded at all."""
        if self.market in (Phase.HALTED, Phase.CLOSED):
            return self.market
        return self.own.get(instrument_id, self.market)

    def matches_at_once(self, instrument_id: str) -> bool:
        """Whether nothing may be crossed there."""
        return self.phase_of(instrument_id) is Phase.CONTINUOUS and instrument_id not in self._batched

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """The events of one command."""
        command = record.command
        if isinstance(command, NewOrder | AmendOrder | Uncross | TriggerStops):
            self.phase = self.phase_of(command.instrument_id)
        return super().apply(record)

    def _set_phase(self, sequence: int, command: SetPhase) -> list[AnyVenueEvent]:
        name = command.instrument_id
        if name is not None and command.phase is Phase.CONTINUOUS:
            self.own.pop(name, None)
        elif name is not None:
            self.own[name] = command.phase
        else:
            self.market = command.phase
            if command.phase is Phase.CLOSED:
                self.own.clear()
        phase = self.market if name is None else self.phase_of(name)
        events: list[AnyVenueEvent] = [PhaseChanged(phase, command.reason, name)]
        if command.phase is Phase.CLOSED:
            events += self._close()
        for each in self._references if name is None else [name]:
            if PHASES[self.phase_of(each)].ends_calls:
                events += self._uncross(sequence, each)
            self.phase = self.phase_of(each)
            events += self._protected(self._run_stops(each))
        return events
