"""A state that is replayed record by record, snapshot and loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exchange.app import build_core
from exchange.model.commands import Record
from exchange.model.events import AnyPrivateEvent
from exchange.model.rules import GameRules
from exchange.pipeline.recovery import empty_tapes
from exchange.pipeline.state import encode_state, load_state
from exchange.pipeline.streams import PrivateStreams
from tests.support.sameness import Comparison

DERIVED: Final = {
    ("FeeSchedule", "_fees"): "a cache: fees by account, from the role",
    ("PortfolioWatch", "_limits"): "a cache: limits by account, from the role",
    ("RateWindow", "_passed"): "a restart forgets it",
    ("Settlement", "_ended"): "of the command in hand",
    ("BookSide", "heap"): "without the dead entries, so in another order",
    ("BookSide", "dead"): "as above",
    ("BookSide", "_surfaced"): "as above",
    ("StopBook", "_buys"): "without the dead entries, so in another order",
    ("StopBook", "_sells"): "as above",
    ("StopBook", "_reached"): "as above",
    ("Expiries", "_heap"): "without the dead entries, so in another order",
    ("Expiries", "_sweep_at"): "as above",
}


class Replayed:
    """A state that goes on, record by record."""

    def __init__(self, rules: GameRules) -> None:
        self.rules = rules
        self.core = build_core(rules)
        self.streams = PrivateStreams()
        self.tapes = empty_tapes(rules)

    def apply(self, record: Record) -> list[AnyPrivateEvent]:
        """The private events of one more record."""
        private = list(self.core.replay(record, self.tapes.take).private)
        self.streams.restore(private)
        return private

    def reloaded(self) -> Replayed:
        """What its snapshot is loaded to."""
        other = Replayed(self.rules)
        payload = encode_state(self.core, self.streams, self.tapes)
        load_state(payload, other.core, other.streams, other.tapes)
        return other

    def differences(self, other: Replayed) -> Iterator[str]:
        """From another state, private attributes included."""
        comparison = Comparison(DERIVED)
        yield from comparison.differences(self.core, other.core)
        yield from comparison.differences(self.streams, other.streams, "streams")
        yield from comparison.differences(self.tapes, other.tapes, "tapes")
