"""The rules of one game: everything a replay needs to know besides the commands."""

from __future__ import annotations

from enum import Enum

import msgspec

from exchange.model.instrument import Instrument
from exchange.model.roles import Role
from exchange.model.schedule import Schedule
from exchange.model.types import SelfTradePrevention


class Bands(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far from the reference price an order may be. Shares of a price are parts per million.

    Underlyings: ``underlying_ppm`` of the reference. Options: the reference plus or minus the largest of
    ``option_ppm`` of it, ``option_underlying_ppm`` of the underlying's reference and ``option_min_ticks``.
    """

    enabled: bool = True
    underlying_ppm: int = 200_000
    option_ppm: int = 200_000
    option_underlying_ppm: int = 20_000
    option_min_ticks: int = 10


class ClosingCancels(Enum):
    """Which resting orders the close of the market cancels; ``day`` leaves GTC and GTD for the next day."""

    ALL = "all"
    DAY = "day"


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens at the close."""

    cancels: ClosingCancels = ClosingCancels.ALL


class BatchAuctions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frequent batch auctions: while the market is continuous these instruments gather orders, and trade in
    an uncross every ``interval_ms``. ``instruments`` None means all.
    """

    interval_ms: int
    instruments: tuple[str, ...] | None = None


class GameRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First record of every journal; an open game keeps the rules it began with."""

    preset: str
    instruments: tuple[Instrument, ...]
    roles: tuple[Role, ...]
    bands: Bands = Bands()
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.CANCEL_TAKER
    schedule: Schedule | None = None
    """None: continuous day and night, never closed."""
    closing: Closing = Closing()
    batch_auctions: BatchAuctions | None = None
    max_teams: int = 1_000
    seed: int = 1

    @property
    def cancels_all_at_close(self) -> bool:
        """Whether the market closes by the clock and no order outlasts that."""
        return self.schedule is not None and self.closing.cancels is ClosingCancels.ALL
