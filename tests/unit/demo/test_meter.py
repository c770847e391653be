import pytest

from exchange.base import bounds
from exchange.client import ExchangeClient, InProcessTransport, Rejected, WaitFor, register
from exchange.config import GameConfig
from exchange.demo.meter import Meter, MeteredClient, percentile
from tests.support.http_exchange import http_exchange


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, 0.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 3.0),
        ([float(each) for each in range(100)], 0.99, 99.0),
    ],
)
def test_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    """Nearest rank; nothing has 0."""
    assert percentile(values, share) == expected


def test_meter_takes_percentiles_of_the_last_latencies() -> None:
    """A slow beginning is forgotten, the number of orders is not."""
    meter = Meter()
    meter.answered(9.0)
    for _ in range(bounds.DEMO_LATENCIES):
        meter.answered(0.001)
    figures = meter.figures()
    assert (figures.p50_ms, figures.p99_ms) == (1.0, 1.0)
    assert figures.orders == bounds.DEMO_LATENCIES + 1


async def test_metered_client_counts_orders_quotes_refusals_and_trades() -> None:
    """A trade counts once, where its taker is told; a refusal has a latency too."""
    now_s = iter(range(1_000))
    meter = Meter()
    async with http_exchange(game=GameConfig(preset="small")) as running:
        app = running.exchange.api
        maker, taker = [
            MeteredClient(
                InProcessTransport(app, (await register(InProcessTransport(app), name, role)).api_key),
                meter,
                lambda: float(next(now_s)),
            )
            for name, role in (("maker", "market_maker"), ("taker", "hedge_fund"))
        ]
        async with maker, taker:
            for client in (maker, taker):
                await client.subscribe("private")
            await maker.sell("SPX", 5, price=4400.0, wait=WaitFor.SETTLEMENT)
            await maker.quote("SPX", bid=(4398.0, 4), ask=(4402.0, 4))
            await taker.buy("SPX", 4, price=4400.0, wait=WaitFor.SETTLEMENT)
            with pytest.raises(Rejected):
                await taker.buy("NONE", 1, price=1.0)
            await _until_told(maker, taker)
    figures = meter.figures()
    assert (figures.orders, figures.refused, figures.trades) == (4, 1, 1)
    assert (maker.sent, maker.filled, taker.sent, taker.filled) == (2, 1, 2, 1)
    assert figures.p50_ms == 1_000.0


async def _until_told(*clients: ExchangeClient) -> None:
    for client in clients:
        events = client.events("private")
        while not client.account.positions:
            assert await events.next(5.0) is not None
