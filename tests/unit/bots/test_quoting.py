"""Where a market maker puts its quotes."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.bots import Quoting

TICKS = st.integers(1, 1_000_000)
HELD = st.floats(-1, 1)


def on_grid(price: float, tick_size: float) -> bool:
    """Whether the price is a whole number of ticks, but for the noise of a float."""
    return abs(price / tick_size - round(price / tick_size)) < 1e-6


@given(anchor=TICKS, last=TICKS, held=HELD, tick_size=st.sampled_from([0.01, 0.005, 0.25]))
def test_quotes_are_on_the_grid_and_apart(anchor: int, last: int, held: float, tick_size: float) -> None:
    """The ask at least two ticks above the bid, both whole positive ticks; a bid below one tick is none."""
    bid, ask = Quoting().prices(anchor * tick_size, last * tick_size, held, tick_size)
    assert ask >= 2 * tick_size - 1e-9
    assert on_grid(ask, tick_size)
    if bid is not None:
        assert on_grid(bid, tick_size)
        assert bid >= tick_size - 1e-9
        assert ask - bid >= 2 * tick_size - 1e-9


@given(anchor=TICKS, last=TICKS, held=HELD)
def test_quotes_surround_the_fair_price_unless_skewed(anchor: int, last: int, held: float) -> None:
    """Flat, the fair price lies between; long, both are lower; short, both are higher."""
    quoting = Quoting()
    prices = [quoting.prices(anchor / 100, last / 100, each, 0.01) for each in (-abs(held), 0.0, abs(held))]
    (short_bid, short_ask), (bid, ask), (long_bid, long_ask) = prices
    fair = (anchor + last) / 200
    assert (bid or 0.0) <= fair <= ask
    assert (long_bid or 0.0) <= (bid or 0.0) <= (short_bid or 0.0)
    assert long_ask <= ask <= short_ask


@given(
    anchors=st.lists(st.integers(90_000, 110_000), min_size=1, max_size=4),
    trades=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(-1, 1)), max_size=300),
)
def test_makers_trading_with_one_another_do_not_drift(
    anchors: list[int], trades: list[tuple[int, bool, float]]
) -> None:
    """However often and one-sidedly quotes are hit, the price stays near where the makers began."""
    quoting = Quoting()
    prices = [anchor / 100 for anchor in anchors]
    last = prices[0]
    for maker, is_bought, held in trades:
        bid, ask = quoting.prices(prices[maker % len(prices)], last, held, 0.01)
        last = ask if is_bought or bid is None else bid
    # |last - anchor| <= (half + skew * half + rounding) / (1 - memory), beyond the outermost anchors.
    reach = (2 * quoting.half_width * max(prices) * 1.01 + 0.04) / (1 - quoting.memory)
    assert min(prices) - reach <= last <= max(prices) + reach


def test_quotes_of_an_example() -> None:
    """At 100 with a tenth of a percent each way: 99.90 and 100.10; full, both a half width lower."""
    quoting = Quoting(half_width=0.001, skew=1.0, memory=0.5)
    assert quoting.prices(100.0, 100.0, 0.0, 0.01) == (99.9, 100.1)
    assert quoting.prices(100.0, 100.0, 1.0, 0.01) == (99.8, 100.0)
    assert quoting.prices(100.0, 102.0, 0.0, 0.01) == (100.89, 101.11)
    assert quoting.prices(0.01, 0.01, 0.0, 0.01) == (None, 0.03)
