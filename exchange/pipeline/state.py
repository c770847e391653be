"""Everything that is a function of the journal, as bytes, and back.

The structs of the services are encoded as they are, so that a field they gain is in the next snapshot without
a word here. A snapshot that other code made is none: other rules could have led elsewhere.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from exchange import __version__
from exchange.engine.tape import Tapes, TapesSnapshot
from exchange.engine.venue import VenueSnapshot
from exchange.model.rules import GameRules
from exchange.pipeline.core import Core
from exchange.pipeline.streams import PrivateStreams, StreamsSnapshot
from exchange.services.game.teams import TeamsSnapshot
from exchange.services.orders.order import RegisterSnapshot
from exchange.services.positions.exposure import ExposureSnapshot
from exchange.services.positions.ledger import LedgerSnapshot
from exchange.services.settlement.settlement import SettlementSnapshot
from exchange.services.validation.admission import AdmissionSnapshot


class StateSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The core, the private streams, and what the trades have come to."""

    admission: AdmissionSnapshot
    teams: TeamsSnapshot
    register: RegisterSnapshot
    exposure: ExposureSnapshot
    ledger: LedgerSnapshot
    venue: VenueSnapshot
    settlement: SettlementSnapshot
    streams: StreamsSnapshot
    tapes: TapesSnapshot


_DIGEST_BYTES: Final = 16
_RULES: Final = (
    *("base/**/*.py", "model/**/*.py", "engine/**/*.py", "services/**/*.py"),
    *("pipeline/core.py", "pipeline/streams.py", "pipeline/state.py"),
)
# Not MessagePack: sums of money know no bound, and its integers end at 64 bits.
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(StateSnapshot)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


@cache
def code_digest() -> bytes:
    """Changes with the version, and with every source file that the state is a function of."""
    package = Path(__file__).resolve().parents[1]
    sources = [path for folder in _RULES for path in package.glob(folder)]
    texts = (path.read_bytes() for path in sorted(sources))
    return _digest(b"\0".join([__version__.encode(), *texts]))


def rules_digest(rules: GameRules) -> bytes:
    """Which game a snapshot belongs to."""
    return _digest(msgspec.json.encode(rules))


def encode_state(core: Core, streams: PrivateStreams, tapes: Tapes) -> bytes:
    """The whole state between two commands."""
    return _ENCODER.encode(
        StateSnapshot(
            core.admission.snapshot(),
            core.teams.snapshot(),
            core.register.snapshot(),
            core.exposure.snapshot(),
            core.ledger.snapshot(),
            core.venue.snapshot(),
            core.settlement.snapshot(),
            streams.snapshot(),
            tapes.snapshot(),
        )
    )


def load_state(payload: bytes, core: Core, streams: PrivateStreams, tapes: Tapes) -> None:
    """Bring an empty core, built with the same rules, to the state of ``payload``.

    Raises msgspec.DecodeError, and what a service raises for what it cannot be in.
    """
    state = _DECODER.decode(payload)
    core.admission.load(state.admission)
    core.teams.load(state.teams)
    core.register.load(state.register)
    core.exposure.load(state.exposure)
    core.ledger.load(state.ledger)
    core.venue.load(state.venue)
    core.settlement.load(state.settlement)
    streams.load(state.streams)
    tapes.load(state.tapes)
