from io import StringIO

from rich.console import Console

from exchange.bots import Bot
from exchange.client import InProcessTransport, register
from exchange.client.asgi import AsgiApp
from exchange.config import GameConfig
from exchange.demo.cast import CAST
from exchange.demo.meter import Meter, MeteredClient
from exchange.demo.screen import LINE_S, REFRESH_S, Screen
from exchange.demo.troupe import Member, Troupe
from tests.support.http_exchange import http_exchange


class _Time:
    """Moves when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _screen(*, terminal: bool) -> tuple[Screen, _Time, StringIO]:
    time, text = _Time(), StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    return Screen(console, Meter(), time), time, text


def test_screen_writes_plain_lines_where_there_is_no_terminal() -> None:
    """Orders a second are those of the last seconds, the summary's those of the whole time."""
    screen, time, text = _screen(terminal=False)
    troupe = Troupe("http://x", [], [])
    screen.announce("http://x", troupe)
    assert screen.interval_s == LINE_S
    for _ in range(20):
        screen.meter.answered(0.002)
    screen.meter.traded()
    time.now_s += 2
    with screen.running():
        screen.refresh(troupe)
        time.now_s += 20
        screen.refresh(troupe)
    screen.summary(0, "data removed")
    lines = text.getvalue().splitlines()
    assert lines[0] == "A market with 0 bots in 0 roles, on http://x"
    assert " 10 orders/s        1 trades  p50 2.0 ms" in lines[-3]
    assert " 0 orders/s        1 trades" in lines[-2]
    assert lines[-1] == (
        "demo: 22.0 s, 20 orders (1/s), 1 trades, p50 2.0 ms, p99 2.0 ms; 0 orders left open; data removed"
    )


async def test_screen_shows_every_bot_on_a_terminal() -> None:
    """What each has sent, holds and is worth: its positions at the middle of the book it follows."""
    async with http_exchange(game=GameConfig(preset="flow")) as running:
        screen, time, text = _screen(terminal=True)
        assert screen.interval_s == REFRESH_S
        seller, buyer = [await _member(running.exchange.api, name, screen, time) for name in "AB"]
        async with seller.client, buyer.client:
            await seller.client.sell("FLOW", 1, price=103.0)
            await seller.client.sell("FLOW", 5, price=100.0)
            await buyer.client.buy("FLOW", 5, price=100.0)
            await buyer.client.subscribe("private", "book.FLOW")
            events = buyer.client.events("private", "book.FLOW")
            await buyer.client.buy("FLOW", 1, price=99.0)
            while (book := buyer.client.live_book("FLOW")) is None or book.mid != 101.0:
                assert await events.next(5.0) is not None
            troupe = Troupe("http://x", [seller, buyer], await buyer.client.instruments())
            with screen.running():
                screen.refresh(troupe)
            assert (buyer.lots_held, buyer.equity(troupe.instruments)) == (5, 5.0)
    rows = [line.split("│") for line in text.getvalue().splitlines() if "Alder" in line]
    assert [cell.strip() for cell in rows[-1][1:-1]] == [
        *("Alder", "Bot", "market_maker", "WebSocket"),
        *("2", "0", "5", "5.00"),
    ]


async def _member(app: AsgiApp, name: str, screen: Screen, time: _Time) -> Member:
    team = await register(InProcessTransport(app), name, "player")
    client = MeteredClient(InProcessTransport(app, team.api_key), screen.meter, time)
    return Member(CAST[0], team.api_key, client, Bot(client))
