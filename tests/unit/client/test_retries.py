"""Delays double, are spread at random, are bounded, and honour what the exchange asks for."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from exchange.base.bounds import MAX_RETRY_AFTER_S
from exchange.client import Backoff


@given(failures=st.integers(1, 10_000), seed=st.integers(0, 2**32), asked=st.none() | st.floats(0, 1e6))
def test_delay_stays_within_its_bounds(failures: int, seed: int, asked: float | None) -> None:
    """Between half and all of the doubled delay, never above the largest, at least what was asked for."""
    delay_s = Backoff(first_s=0.1, max_s=3.0).delay_s(failures, Random(seed), asked)
    full = min(3.0, 0.1 * 2.0 ** min(failures - 1, 30))
    least = min(asked or 0.0, MAX_RETRY_AFTER_S)
    assert max(full / 2, least) <= delay_s <= max(full, least)


def test_delays_of_two_clients_differ() -> None:
    """Clients that lost the same exchange at the same moment do not return at the same moment."""
    assert Backoff().delay_s(5, Random(1)) != Backoff().delay_s(5, Random(2))
