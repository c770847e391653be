"""Decimals outside, integers inside. Ticks are divided, never multiplied, so 12345 of 0.01 is 123.45."""

from __future__ import annotations

from exchange.model.instrument import MONEY_PER_UNIT, Instrument

MAX_DECIMALS = 12
TICK_TOLERANCE = 1e-6
"""How far, in ticks, a price may be off the grid: room for the rounding of a float, for nothing else."""


def money_decimal(money: int) -> float:
    """1/10,000 units as a decimal number of the currency."""
    return money / MONEY_PER_UNIT


class PriceGrid:
    """The tick grid of one instrument."""

    __slots__ = ("_denominator", "_numerator", "_scale", "decimals", "digits", "instrument_id")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument_id = instrument.instrument_id
        self._numerator, self._denominator = instrument.tick_ratio
        self._scale = self._denominator / self._numerator
        self.decimals = _decimals(self._denominator)
        """Decimals that every price can be written with; None where none are enough, as for 1/3."""
        self.digits = self._numerator * 10 ** (self.decimals or 0) // self._denominator
        """One tick in units of the last decimal."""

    def decimal(self, ticks: int) -> float:
        """The price of ``ticks`` as the nearest float."""
        return ticks * self._numerator / self._denominator

    def mean_decimal(self, value: int, quantity: int) -> float:
        """Average price of fills with ``value`` = sum of ticks * quantity; ``quantity`` is not 0."""
        return value * self._numerator / (self._denominator * quantity)

    def ticks(self, price: float) -> int | None:
        """The price in ticks, None when it is off the grid."""
        exact = price * self._scale
        ticks = round(exact)
        return ticks if abs(exact - ticks) <= TICK_TOLERANCE else None


def _decimals(denominator: int) -> int | None:
    return next((count for count in range(MAX_DECIMALS + 1) if 10**count % denominator == 0), None)
