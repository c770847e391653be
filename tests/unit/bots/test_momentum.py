"""Which way the trend goes."""

import pytest

from exchange.base.streams import random_stream
from exchange.bots import Momentum
from tests.unit.client.fake_exchange import FakeExchange, fake_client


@pytest.mark.parametrize(
    ("prices", "wanted"),
    [
        ([100.0, 100.0, 101.0, 101.0], 10),
        ([101.0, 101.0, 100.0, 100.0], -10),
        ([100.0, 101.0, 100.0, 101.0], 0),
        ([100.0, 100.0, 100.01, 100.0], 0),
    ],
)
def test_position_follows_the_newer_half(prices: list[float], wanted: int) -> None:
    """Up, down, neither, and too little to act on."""
    bot = Momentum(fake_client(FakeExchange()), random_stream(1, "bot"), ["SPX"], window=4)
    assert bot.wanted_position(prices) == wanted
