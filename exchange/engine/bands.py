"""How far from its reference price an instrument may trade. Integers only."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from exchange.base.bounds import MAX_PRICE_TICKS
from exchange.model.instrument import Instrument
from exchange.model.rules import Bands, GameRules
from exchange.model.types import Side

MIN_PRICE_TICKS = 1
_MILLION = 1_000_000


class PriceBand(msgspec.Struct, frozen=True):
    """The band of one instrument: the largest of three distances to either side of its reference.

    ``ppm`` is a share of the reference, ``min_ticks`` a distance of its own. For an option the reference of
    its underlying times ``underlying_numerator / underlying_denominator`` is one in the option's ticks.
    """

    ppm: int
    min_ticks: int = 0
    underlying_id: str | None = None
    underlying_numerator: int = 0
    underlying_denominator: int = 1

    def around(self, reference_ticks: int, underlying_ticks: int = 0) -> tuple[int, int]:
        """Lowest and highest price allowed; the lowest is never below one tick."""
        width = max(
            reference_ticks * self.ppm // _MILLION,
            underlying_ticks * self.underlying_numerator // self.underlying_denominator,
            self.min_ticks,
        )
        return max(MIN_PRICE_TICKS, reference_ticks - width), min(MAX_PRICE_TICKS, reference_ticks + width)


def price_bands(rules: GameRules) -> dict[str, PriceBand]:
    """The band of each instrument; none if disabled. Raises ValueError for an option without underlying."""
    if not rules.bands.enabled:
        return {}
    instruments = {each.instrument_id: each for each in rules.instruments}
    return {each.instrument_id: _price_band(rules.bands, each, instruments) for each in rules.instruments}


def market_order_price(side: Side, band: tuple[int, int] | None) -> int:
    """A market order is a limit order at the far edge of the band, or of all prices where there is none."""
    low, high = band or (MIN_PRICE_TICKS, MAX_PRICE_TICKS)
    return high if side is Side.BUY else low


def _price_band(bands: Bands, instrument: Instrument, instruments: dict[str, Instrument]) -> PriceBand:
    if instrument.underlying_id is None:
        return PriceBand(bands.underlying_ppm)
    underlying = instruments.get(instrument.underlying_id)
    if underlying is None:
        raise ValueError(f"{instrument.instrument_id}: no underlying {instrument.underlying_id}")
    ticks = Fraction(*underlying.tick_ratio) / Fraction(*instrument.tick_ratio)
    share = ticks * bands.option_underlying_ppm / _MILLION
    return PriceBand(
        bands.option_ppm,
        bands.option_min_ticks,
        underlying.instrument_id,
        share.numerator,
        share.denominator,
    )
