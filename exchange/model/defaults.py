"""The instruments and roles an exchange starts with: the figures of the game's rules, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from math import erf, log, sqrt
from typing import Final, NamedTuple

from exchange.model.instrument import Instrument
from exchange.model.roles import (
    AnyConstraint,
    Fees,
    NoTwoSided,
    OrderRate,
    OrderSize,
    PortfolioLimit,
    PositionLimit,
    QuoteRules,
    Role,
)
from exchange.model.types import InstrumentKind, OptionKind

TICK_SIZE: Final = "0.01"
TICKS_PER_UNIT: Final = 100
MULTIPLIER: Final = 100
SIGMA: Final = 0.20
"""Annual volatility of the medium regime: what the first prices of options assume."""

FIRST_PRICE_TICKS: Final[Mapping[str, int]] = {"SPX": 440_000, "SPY": 44_000}
FIRST_DAY: Final = date(2024, 3, 11)

FULL_STRIKES: Final = (700, 750, 800, 850, 900, 950, 975, 1000, 1025, 1050, 1100, 1150, 1200, 1250, 1300)
SMALL_STRIKES: Final = (950, 975, 1000, 1025, 1050)
"""Thousandths of the first price."""
FULL_EXPIRIES: Final = (1, 2, 4)
SMALL_EXPIRIES: Final = (1,)
"""Fridays from now."""

_FRIDAY: Final = 4


class _Underlying(NamedTuple):
    kind: InstrumentKind
    strike_step: int


_UNDERLYINGS: Final = {
    "SPX": _Underlying(InstrumentKind.INDEX, 50),
    "SPY": _Underlying(InstrumentKind.ETF, 5),
}


# --- instruments ------------------------------------------------------------------------------------


def default_instruments(
    *,
    small: bool = False,
    first_price_ticks: Mapping[str, int] = FIRST_PRICE_TICKS,
    strikes: Iterable[int] | None = None,
    expiries: Iterable[int] | None = None,
    day: date = FIRST_DAY,
) -> tuple[Instrument, ...]:
    """Underlyings, then options by underlying, expiry, strike, call before put: 182 in all, ``small`` has 22.

    ``strikes`` in thousandths of the first price, rounded to the underlying's step (two that round to one are
    one); ``expiries`` in Fridays after ``day``. Raises KeyError for an underlying other than SPX and SPY.
    """
    strikes = tuple(strikes or (SMALL_STRIKES if small else FULL_STRIKES))
    expiries = tuple(expiries or (SMALL_EXPIRIES if small else FULL_EXPIRIES))
    underlyings = tuple(_underlying(name, ticks) for name, ticks in first_price_ticks.items())
    options = tuple(
        option
        for underlying in underlyings
        for weeks in expiries
        for strike in _strikes(underlying, strikes)
        for option in _pair(underlying, strike, day, expiry_date(day, weeks))
    )
    return underlyings + options


def expiry_date(day: date, weeks: int) -> date:
    """The ``weeks``-th Friday after ``day``, which does not count itself."""
    until_friday = (_FRIDAY - day.weekday()) % 7 or 7
    return day + timedelta(days=until_friday + 7 * (weeks - 1))


def option_price_ticks(kind: OptionKind, spot_ticks: int, strike_ticks: int, years: float) -> int:
    """Black and Scholes (1973) with rate 0 and :data:`SIGMA`, in whole ticks, at least one."""
    deviation = SIGMA * sqrt(years)
    d1 = log(spot_ticks / strike_ticks) / deviation + deviation / 2
    call = spot_ticks * _normal(d1) - strike_ticks * _normal(d1 - deviation)
    value = call if kind is OptionKind.CALL else call - spot_ticks + strike_ticks
    return max(1, round(value))


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def _underlying(name: str, first_price_ticks: int) -> Instrument:
    return Instrument(
        instrument_id=name,
        kind=_UNDERLYINGS[name].kind,
        tick_size=TICK_SIZE,
        multiplier=MULTIPLIER,
        first_price_ticks=first_price_ticks,
    )


def _strikes(underlying: Instrument, thousandths: tuple[int, ...]) -> list[int]:
    step_ticks = _UNDERLYINGS[underlying.instrument_id].strike_step * TICKS_PER_UNIT
    steps = {round(underlying.first_price_ticks * each / (1000 * step_ticks)) for each in thousandths}
    return [max(1, each) * step_ticks for each in sorted(steps)]


def _pair(underlying: Instrument, strike_ticks: int, day: date, expiry: date) -> list[Instrument]:
    years = (expiry - day).days / 365
    spot_ticks = underlying.first_price_ticks
    return [
        Instrument(
            instrument_id=_option_id(underlying.instrument_id, kind, strike_ticks, expiry),
            kind=InstrumentKind.OPTION,
            tick_size=TICK_SIZE,
            multiplier=MULTIPLIER,
            first_price_ticks=option_price_ticks(kind, spot_ticks, strike_ticks, years),
            underlying_id=underlying.instrument_id,
            option_kind=kind,
            strike_ticks=strike_ticks,
            expiry=expiry.isoformat(),
        )
        for kind in OptionKind
    ]


def _option_id(underlying_id: str, kind: OptionKind, strike_ticks: int, expiry: date) -> str:
    return f"{underlying_id}_{kind.name}_{strike_ticks // TICKS_PER_UNIT}_{expiry:%Y%m%d}"


# --- roles ------------------------------------------------------------------------------------------

_OPTIONS: Final = ("option",)
_CASH: Final = ("index", "etf")


def default_roles() -> tuple[Role, ...]:
    """The table of roles. The rate comes first: it counts whatever a later constraint refuses."""
    return (
        Role(
            name="market_maker",
            quotes=QuoteRules(),
            fees=Fees(maker=200, taker=-100),
            constraints=(
                *_pace_and_size(rate=100, size=100),
                PositionLimit(max_position=50, kinds=_OPTIONS),
                PortfolioLimit(max_total_position=200),
            ),
        ),
        Role(
            name="hedge_fund",
            fees=Fees(maker=100, taker=-200),
            constraints=(
                *_pace_and_size(rate=5, size=500),
                PositionLimit(max_position=150, kinds=_OPTIONS),
                PositionLimit(max_position=200, kinds=_CASH),
                PortfolioLimit(max_total_position=500),
                NoTwoSided(),
            ),
        ),
        Role(
            name="arbitrage",
            aliases=("arbitrage_desk",),
            fees=Fees(maker=100, taker=-200),
            constraints=(
                *_pace_and_size(rate=7, size=500),
                PositionLimit(max_position=100),
                PortfolioLimit(max_total_position=300),
            ),
        ),
        Role(
            name="retail",
            open=False,
            fees=Fees(maker=-100, taker=-300),
            constraints=(
                *_pace_and_size(rate=1, size=50),
                PositionLimit(max_position=50),
                PortfolioLimit(max_total_position=50),
            ),
        ),
    )


def _pace_and_size(rate: int, size: int) -> tuple[AnyConstraint, ...]:
    return OrderRate(max_orders_per_second=rate), OrderSize(max_size=size)
