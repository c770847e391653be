"""What the routes stand on, handed over by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from exchange.api.past import HistoryReader
from exchange.api.rate_limits import RateLimits
from exchange.api.request_ids import RequestIds
from exchange.api.tally import AnswerTally
from exchange.base import bounds
from exchange.base.clock import Clock
from exchange.base.entropy import Entropy
from exchange.engine.venue import Venue
from exchange.log import Logger
from exchange.model.instrument import Instrument
from exchange.model.rules import GameRules
from exchange.model.types import TimeInForce
from exchange.pipeline.guards import Guards
from exchange.pipeline.health import Health
from exchange.pipeline.intake import Intake
from exchange.pipeline.market_feeds import Markets
from exchange.pipeline.responses import OrderResponseService
from exchange.services.game.teams import TeamRegistry
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settlement
from exchange.services.validation.admission import Admission
from exchange.storage.progress import ProjectionStatus
from exchange.wire.orders import PriceGrids, price_grids

API_VERSION: Final = "1"


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``admin_key_hash``: SHA-256 of the operator's key. Without ``invite_code`` anyone may register."""

    admin_key_hash: bytes
    invite_code: str | None = None
    max_body_bytes: int = bounds.MAX_BODY_BYTES
    api_version: str = API_VERSION


@dataclass(frozen=True)
class ApiContext:
    """Every service a route may ask. Routes read; what changes state goes through ``intake``."""

    rules: GameRules
    settings: ApiSettings
    intake: Intake
    responses: OrderResponseService
    health: Health
    admission: Admission
    register: OrderRegister
    exposure: Exposure
    ledger: Ledger
    settlement: Settlement
    teams: TeamRegistry
    venue: Venue
    markets: Markets
    guards: Guards
    limits: RateLimits
    clock: Clock
    entropy: Entropy
    request_ids: RequestIds
    log: Logger
    tally: AnswerTally
    state_hash: Callable[[], str]
    queue_depths: Callable[[], Mapping[str, int]]
    projection: Callable[[], ProjectionStatus]
    past: HistoryReader
    """What memory no longer keeps."""
    exposition: Callable[[], bytes]
    """The text that ``/metrics`` answers."""

    @cached_property
    def grids(self) -> PriceGrids:
        """The tick grid of every instrument."""
        return price_grids(self.rules.instruments)

    @cached_property
    def resting(self) -> TimeInForce:
        """The time in force of an order that names none and may rest."""
        return TimeInForce.DAY if self.rules.cancels_all_at_close else TimeInForce.GTC

    @cached_property
    def instruments(self) -> Mapping[str, Instrument]:
        """Every instrument, by its id."""
        return {each.instrument_id: each for each in self.rules.instruments}
