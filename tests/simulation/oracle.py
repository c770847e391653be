"""The naive venue of tests/oracle with what it leaves out: an instrument that is halted on its own."""

from __future__ import annotations

from exchange.model.commands import AmendOrder, NewOrder, Record, SetPhase
from exchange.model.events import AnyVenueEvent, PhaseChanged
from exchange.model.phases import PHASES
from exchange.model.types import CancelReason, Phase, SelfTradePrevention
from tests.oracle.book import OracleVenue


class Oracle(OracleVenue):
    """``market`` is the phase of the whole market, ``own`` those of single instruments."""

    def __init__(self, prevention: SelfTradePrevention) -> None:
        super().__init__(prevention)
        self.market = Phase.CONTINUOUS
        self.own: dict[str, Phase] = {}

    def phase_of(self, instrument_id: str) -> Phase:
        """Its own phase, unless nothing is traded at all."""
        if self.market in (Phase.HALTED, Phase.CLOSED):
            return self.market
        return self.own.get(instrument_id, self.market)

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """The events of one command."""
        command = record.command
        if isinstance(command, NewOrder | AmendOrder):
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
        closed = command.phase is Phase.CLOSED
        events += self._cancel_where(CancelReason.MARKET_CLOSE, lambda _: closed)
        for each in self._references if name is None else [name]:
            if PHASES[self.phase_of(each)].ends_calls:
                events += self._uncross(sequence, each)
            self.phase = self.phase_of(each)
            events += self._run_stops(each)
        return events
