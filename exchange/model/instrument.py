"""What is traded, and the arithmetic of its prices."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from exchange.model.types import InstrumentKind, OptionKind

MONEY_PER_UNIT = 10_000
"""Money is kept in 1/10,000 of the currency."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tradable thing. ``tick_size`` is a decimal string, so that 0.005 is exactly 0.005.

    ``first_price_ticks`` is the reference price before any trade. ``multiplier`` turns a price into the
    value of one lot.
    """

    instrument_id: str
    kind: InstrumentKind
    tick_size: str
    multiplier: int
    first_price_ticks: int
    underlying_id: str | None = None
    option_kind: OptionKind | None = None
    strike_ticks: int | None = None
    expiry: str | None = None

    def __post_init__(self) -> None:
        value = Fraction(self.tick_size) * self.multiplier * MONEY_PER_UNIT
        if value.denominator != 1 or value <= 0:
            raise ValueError(f"{self.instrument_id}: tick_size * multiplier must be a multiple of 1/10,000")

    @property
    def tick_value(self) -> int:
        """Money (1/10,000) that one lot gains when the price rises by one tick."""
        return int(Fraction(self.tick_size) * self.multiplier * MONEY_PER_UNIT)

    @property
    def tick_ratio(self) -> tuple[int, int]:
        """Tick size as numerator and denominator."""
        fraction = Fraction(self.tick_size)
        return fraction.numerator, fraction.denominator
