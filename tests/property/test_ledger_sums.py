"""The sums of the ledger after every fill, whatever is traded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.types import Side
from exchange.services.positions.ledger import Ledger
from exchange.services.positions.pnl import account_pnl
from tests.support.settling import INSTRUMENTS, instrument

ACCOUNTS = range(1, 5)

trades = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(ACCOUNTS),
        st.sampled_from([each.instrument_id for each in INSTRUMENTS]),
        st.integers(1, 50),
        st.integers(0, 500),
        st.integers(-300, 300),
        st.integers(-300, 300),
    ),
    max_size=40,
)
fills = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 9), st.integers(1, 99)), max_size=30)


@given(trades)
def test_ledger_sums_to_nothing_after_every_trade(
    done: list[tuple[int, int, str, int, int, int, int]],
) -> None:
    """Positions per instrument and cash sum to 0, fees to minus the house's, for every sequence of trades."""
    ledger = Ledger(INSTRUMENTS)
    for maker, taker, instrument_id, quantity, price_ticks, maker_fee, taker_fee in done:
        ledger.book(maker, instrument_id, Side.SELL, quantity, price_ticks, maker_fee)
        ledger.book(taker, instrument_id, Side.BUY, quantity, price_ticks, taker_fee)
        held = [ledger.positions(account) for account in ACCOUNTS]
        for each in INSTRUMENTS:
            lines = [positions.get(each.instrument_id) for positions in held]
            assert sum(line.position for line in lines if line) == 0
        assert sum(ledger.cash(account) for account in ledger.accounts()) == 0
        assert sum(ledger.fees(account) for account in ACCOUNTS) == -ledger.fees(HOUSE_ACCOUNT)


@given(trades, st.integers(0, 1_000))
def test_ledger_accounts_for_every_unit(
    done: list[tuple[int, int, str, int, int, int, int]], half_ticks: int
) -> None:
    """cash = realised - cost, cash + value = realised + unrealised; cost has the sign of its position."""
    ledger = Ledger(INSTRUMENTS)
    for maker, taker, instrument_id, quantity, price_ticks, _, _ in done:
        ledger.book(maker, instrument_id, Side.SELL, quantity, price_ticks, 0)
        ledger.book(taker, instrument_id, Side.BUY, quantity, price_ticks, 0)
    for account in ACCOUNTS:
        lines = ledger.positions(account).values()
        assert ledger.cash(account) == sum(line.realised_pnl - line.cost for line in lines)
        assert all(line.cost * line.position >= 0 for line in lines)
        assert all(line.cost == 0 for line in lines if not line.position)
        pnl = account_pnl(ledger, account, lambda _: half_ticks)
        assert pnl.cash + pnl.value == pnl.realised_pnl + pnl.unrealised_pnl


@given(fills)
def test_ledger_of_a_short_mirrors_a_long(done: list[tuple[Side, int, int]]) -> None:
    """The same fills on the other side give every figure with the other sign, rounding included."""
    ledger = Ledger([instrument("U", "0.0001", 1)])
    for side, quantity, price_ticks in done:
        ledger.book(1, "U", side, quantity, price_ticks, 0)
        ledger.book(2, "U", side.opposite, quantity, price_ticks, 0)
        one, other = ledger.positions(1)["U"], ledger.positions(2)["U"]
        assert (one.position, one.cost, one.realised_pnl) == (
            -other.position,
            -other.cost,
            -other.realised_pnl,
        )
        assert ledger.cash(1) == -ledger.cash(2)


@given(fills)
def test_ledger_average_price_stays_within_the_prices_paid(done: list[tuple[Side, int, int]]) -> None:
    """Average cost never leaves the range of prices traded, but for the rounding of partial closes."""
    ledger = Ledger([instrument("U", "0.0001", 1)])
    seen: list[int] = []
    for side, quantity, price_ticks in done:
        ledger.book(1, "U", side, quantity, price_ticks, 0)
        seen.append(price_ticks)
        line = ledger.positions(1)["U"]
        # Each close rounds down by less than one unit, so what stays is at most one unit too dear per close.
        lowest, highest = min(seen) * abs(line.position), max(seen) * abs(line.position)
        assert lowest <= abs(line.cost) <= highest + len(seen)
