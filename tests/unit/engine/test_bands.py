"""Price bands, in integers."""

import pytest

from exchange.base.bounds import MAX_PRICE_TICKS
from exchange.engine.bands import market_order_price, price_bands
from exchange.model.instrument import Instrument
from exchange.model.rules import Bands, GameRules
from exchange.model.types import InstrumentKind, OptionKind, Side


def _underlying(tick_size: str = "0.01") -> Instrument:
    return Instrument(
        instrument_id="SPX",
        kind=InstrumentKind.INDEX,
        tick_size=tick_size,
        multiplier=100,
        first_price_ticks=440_000,
    )


def _option(tick_size: str = "0.01", underlying_id: str = "SPX") -> Instrument:
    return Instrument(
        instrument_id="CALL",
        kind=InstrumentKind.OPTION,
        tick_size=tick_size,
        multiplier=100,
        first_price_ticks=5_000,
        underlying_id=underlying_id,
        option_kind=OptionKind.CALL,
        strike_ticks=450_000,
        expiry="2024-03-15",
    )


def _rules(*instruments: Instrument, bands: Bands | None = None) -> GameRules:
    return GameRules(preset="test", instruments=instruments, roles=(), bands=bands or Bands())


@pytest.mark.parametrize(
    ("reference", "low", "high"),
    [
        (440_000, 352_000, 528_000),
        (7, 6, 8),  # 20 % of 7 is one whole tick: 5.6 and 8.4 are further away than 20 %
        (4, 4, 4),
        (1, 1, 1),
        (MAX_PRICE_TICKS, MAX_PRICE_TICKS - 429_496_729, MAX_PRICE_TICKS),
    ],
)
def test_underlying_band(reference: int, low: int, high: int) -> None:
    """An underlying may be 20 % away from its reference, and never past the largest price."""
    band = price_bands(_rules(_underlying()))["SPX"]
    assert band.around(reference) == (low, high)


@pytest.mark.parametrize(
    ("reference", "underlying", "low", "high"),
    [
        (100_000, 440_000, 80_000, 120_000),  # 20 % of the option
        (5_000, 440_000, 1, 13_800),  # 2 % of the underlying: 8,800
        (10_000, 440_049, 1_200, 18_800),  # 8,800.98 is 8,800 whole ticks
        (50, 100, 40, 60),  # 10 ticks
        (3, 100, 1, 13),
    ],
)
def test_option_band(reference: int, underlying: int, low: int, high: int) -> None:
    """An option may move by the largest of three distances, and never below one tick."""
    band = price_bands(_rules(_underlying(), _option()))["CALL"]
    assert band.around(reference, underlying) == (low, high)


@pytest.mark.parametrize(
    ("underlying_tick", "option_tick", "high"),
    [("0.01", "0.05", 1_000 + 1_760), ("0.05", "0.01", 1_000 + 44_000), ("0.03", "0.02", 1_000 + 13_200)],
)
def test_option_band_converts_ticks(underlying_tick: str, option_tick: str, high: int) -> None:
    """2 % of the underlying is counted in ticks of the option: the tick sizes need not be equal."""
    band = price_bands(_rules(_underlying(underlying_tick), _option(option_tick)))["CALL"]
    assert band.around(1_000, 440_000)[1] == high


def test_disabled_bands_are_none() -> None:
    """Without bands there is nothing to be within."""
    assert price_bands(_rules(_underlying(), bands=Bands(enabled=False))) == {}


def test_option_without_its_underlying_is_an_error() -> None:
    """Rules that name an underlying must have it."""
    with pytest.raises(ValueError, match="CALL: no underlying SPY"):
        price_bands(_rules(_underlying(), _option(underlying_id="SPY")))


def test_market_orders_are_priced_at_the_far_edge() -> None:
    """A buy may pay up to the top of the band, a sell go down to its bottom; without one, any price."""
    assert market_order_price(Side.BUY, (90, 110)) == 110
    assert market_order_price(Side.SELL, (90, 110)) == 90
    assert market_order_price(Side.BUY, None) == MAX_PRICE_TICKS
    assert market_order_price(Side.SELL, None) == 1
