"""Starts from a snapshot in memory, which must come to what the whole journal comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from exchange.app import Exchange, build_core
from exchange.config import Config
from exchange.journal.memory import MemoryJournal
from exchange.journal.records import decode_batches
from exchange.model.rules import GameRules
from exchange.pipeline.recovery import Progress, Recovered, empty_tapes, recover
from exchange.pipeline.state import StateSnapshot, encode_state, load_state
from exchange.pipeline.streams import PrivateStreams

_DECODER = msgspec.json.Decoder(StateSnapshot)


class SnapshotExchange(Exchange):
    """``place`` is how far along the journal the snapshot was taken, 0 to 1; None for a whole replay."""

    def __init__(self, config: Config, journal: MemoryJournal, place: float | None, **rest: Any) -> None:
        super().__init__(config, journal, **rest)
        self._place = place

    def _recover(self, rules: GameRules, progress: Progress) -> Recovered:
        whole = super()._recover(rules, progress)
        batches = list(self._journal.read())
        if self._place is None or whole.failure is not None:
            return whole
        cut = batches[int(self._place * len(batches))].last_sequence
        before = recover(self._journal, rules, build_core, until=cut)
        payload = encode_state(before.core, before.streams, before.tapes)
        core, streams, tapes = build_core(rules), PrivateStreams(), empty_tapes(rules)
        load_state(payload, core, streams, tapes)
        again = encode_state(core, streams, tapes)
        assert _DECODER.decode(again) == _DECODER.decode(payload), f"a snapshot of {cut} loses something"
        for record in decode_batches(self._journal.read(cut)):
            streams.restore(core.replay(record, tapes.take).private)
        assert core.state_hash() == whole.core.state_hash(), f"a snapshot of {cut} leads elsewhere"
        return replace(whole, core=core, streams=streams, tapes=tapes, snapshot=cut)
