from datetime import date

import pytest

from exchange.model.defaults import (
    default_instruments,
    default_roles,
    expiry_date,
    option_price_ticks,
)
from exchange.model.roles import OrderRate, OrderSize, PortfolioLimit, PositionLimit, Role
from exchange.model.types import InstrumentKind, OptionKind

CALL, PUT = OptionKind.CALL, OptionKind.PUT


def test_default_instruments_are_182_in_full() -> None:
    """Two underlyings and 15 strikes, calls and puts, at three expiries of each."""
    instruments = default_instruments()
    options = [each for each in instruments if each.kind is InstrumentKind.OPTION]
    assert len(instruments) == len({each.instrument_id for each in instruments}) == 182
    assert len(options) == 180
    assert sorted({each.expiry for each in options if each.expiry}) == [
        "2024-03-15",
        "2024-03-22",
        "2024-04-05",
    ]


def test_default_instruments_are_22_when_small() -> None:
    """Five strikes and one expiry, each of them also in the full chain."""
    small = default_instruments(small=True)
    assert len(small) == 22
    assert set(small) <= set(default_instruments())


def test_default_instruments_begin_with_the_underlyings() -> None:
    """First price, tick and multiplier as the rules of the game say."""
    spx, spy = default_instruments()[:2]
    assert (spx.instrument_id, spx.kind, spx.first_price_ticks) == ("SPX", InstrumentKind.INDEX, 440_000)
    assert (spy.instrument_id, spy.kind, spy.first_price_ticks) == ("SPY", InstrumentKind.ETF, 44_000)
    assert {(each.tick_size, each.multiplier) for each in default_instruments()} == {("0.01", 100)}


@pytest.mark.parametrize(
    ("underlying", "strikes"),
    [
        (
            "SPX",
            [3100, 3300, 3500, 3750, 3950, 4200, 4300, 4400, 4500, 4600, 4850, 5050, 5300, 5500, 5700],
        ),
        ("SPY", [310, 330, 350, 375, 395, 420, 430, 440, 450, 460, 485, 505, 530, 550, 570]),
    ],
)
def test_default_instruments_round_strikes(underlying: str, strikes: list[int]) -> None:
    """To 50 for SPX and 5 for SPY."""
    listed = {
        each.strike_ticks
        for each in default_instruments()
        if each.underlying_id == underlying and each.strike_ticks is not None
    }
    assert sorted(listed) == [100 * strike for strike in strikes]


def test_default_instruments_are_named_by_what_they_are() -> None:
    """Underlying, right, strike and expiry."""
    option = next(each for each in default_instruments() if each.instrument_id == "SPX_CALL_4500_20240315")
    assert (option.underlying_id, option.option_kind, option.strike_ticks, option.expiry) == (
        "SPX",
        CALL,
        450_000,
        "2024-03-15",
    )


def test_default_instruments_follow_their_arguments() -> None:
    """Another day, first price, strikes and expiries; strikes that round to one are one."""
    names = [
        each.instrument_id
        for each in default_instruments(
            first_price_ticks={"SPY": 10_000}, strikes=(995, 1000, 1050), expiries=(2,), day=date(2025, 1, 1)
        )
    ]
    assert names == [
        "SPY",
        "SPY_CALL_100_20250110",
        "SPY_PUT_100_20250110",
        "SPY_CALL_105_20250110",
        "SPY_PUT_105_20250110",
    ]


@pytest.mark.parametrize(
    ("day", "weeks", "expiry"),
    [
        (date(2024, 3, 11), 1, date(2024, 3, 15)),
        (date(2024, 3, 14), 1, date(2024, 3, 15)),
        (date(2024, 3, 15), 1, date(2024, 3, 22)),
        (date(2024, 3, 16), 1, date(2024, 3, 22)),
        (date(2024, 3, 15), 4, date(2024, 4, 12)),
    ],
)
def test_expiry_date_is_a_friday_ahead(day: date, weeks: int, expiry: date) -> None:
    """A Friday itself is over: its options expire that day."""
    assert expiry_date(day, weeks) == expiry


@pytest.mark.parametrize(
    ("kind", "spot", "strike", "years", "ticks"),
    [
        # 100 at the money for a year at 20 %: 7.9656, the value tables give.
        (CALL, 10_000, 10_000, 1.0, 797),
        (PUT, 10_000, 10_000, 1.0, 797),
        (CALL, 10_000, 11_000, 1.0, 429),
        (PUT, 10_000, 11_000, 1.0, 1429),
        (CALL, 440_000, 310_000, 7 / 365, 130_000),
        (PUT, 440_000, 310_000, 7 / 365, 1),
        (CALL, 440_000, 570_000, 7 / 365, 1),
    ],
)
def test_option_price_ticks(kind: OptionKind, spot: int, strike: int, years: float, ticks: int) -> None:
    """Black-Scholes without interest, in whole ticks, never below one."""
    assert option_price_ticks(kind, spot, strike, years) == ticks


def test_default_option_prices_keep_put_call_parity() -> None:
    """Call less put is spot less strike, but for the lowest price of one tick."""
    by_strike: dict[tuple[str | None, str | None, int], dict[OptionKind | None, int]] = {}
    for each in default_instruments():
        if each.strike_ticks is not None:
            key = (each.underlying_id, each.expiry, each.strike_ticks)
            by_strike.setdefault(key, {})[each.option_kind] = each.first_price_ticks
    spot = {"SPX": 440_000, "SPY": 44_000}
    for (underlying, _, strike), prices in by_strike.items():
        assert underlying is not None
        assert abs(prices[CALL] - prices[PUT] - (spot[underlying] - strike)) <= 1


def row(role: Role) -> tuple[object, ...]:
    """A role as its row in the rules of the game: fees, positions, portfolio, size, rate."""
    kinds = {type(each): each for each in role.constraints}
    size, rate, portfolio = kinds[OrderSize], kinds[OrderRate], kinds[PortfolioLimit]
    assert isinstance(size, OrderSize)
    assert isinstance(rate, OrderRate)
    assert isinstance(portfolio, PortfolioLimit)
    positions = {
        each.kinds: each.max_position for each in role.constraints if isinstance(each, PositionLimit)
    }
    return (
        role.fees.maker,
        role.fees.taker,
        positions,
        portfolio.max_total_position,
        (size.min_size, size.max_size),
        rate.max_orders_per_second,
    )


def test_default_roles_are_the_table_of_the_game() -> None:
    """Fees in 1/10,000, a rebate positive; auctions cost nothing."""
    option, cash = ("option",), ("index", "etf")
    roles = {role.name: role for role in default_roles()}
    assert {name: row(role) for name, role in roles.items()} == {
        "market_maker": (200, -100, {option: 50}, 200, (1, 100), 100),
        "hedge_fund": (100, -200, {option: 150, cash: 200}, 500, (1, 500), 5),
        "arbitrage": (100, -200, {None: 100}, 300, (1, 500), 7),
        "retail": (-100, -300, {None: 50}, 50, (1, 50), 1),
    }
    assert {role.fees.auction for role in roles.values()} == {0}
    assert roles["arbitrage"].aliases == ("arbitrage_desk",)
    assert [role.name for role in roles.values() if not role.open] == ["retail"]


def test_default_roles_keep_hedge_funds_one_sided() -> None:
    """The only duty that is enforced by refusal."""
    one_sided = {
        role.name
        for role in default_roles()
        for each in role.constraints
        if type(each).__name__ == "NoTwoSided"
    }
    assert one_sided == {"hedge_fund"}


def test_default_roles_count_before_they_judge() -> None:
    """The rate counts what a later constraint refuses, so it comes first."""
    assert all(isinstance(role.constraints[0], OrderRate) for role in default_roles())
