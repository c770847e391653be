"""The tutorial's programs and the README's bot run as they stand, against a server of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from exchange.client import EventStream, ExchangeClient, Level, TradeEvent, register
from tests.support.ws_exchange import WsExchange, ws_exchange

REPOSITORY = Path(__file__).resolve().parents[2]
TUTORIAL = (REPOSITORY / "docs" / "bot-tutorial.md").read_text()
README_BOT = REPOSITORY / "docs" / "snippets" / "readme_bot.py"
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TUTORIAL, re.DOTALL))
DEADLINE_S = 40


def address(running: WsExchange) -> str:
    """Host and port."""
    return f"127.0.0.1:{running.port}"


def write(folder: Path, name: str, program: str, running: WsExchange) -> Path:
    """Put a program into ``folder``, with the address of this server in place of the default one."""
    assert "127.0.0.1:8000" in program
    path = folder / name
    path.write_text(program.replace("127.0.0.1:8000", address(running)))
    return path


@asynccontextmanager
async def started(path: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program as a process of its own; interrupted on leaving if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        path,
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def output(path: Path) -> list[str]:
    """What the program prints until it ends by itself, without complaint."""
    async with started(path) as process:
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return out.decode().splitlines()


async def until(events: EventStream, condition: Callable[[], bool]) -> None:
    """Read events until ``condition`` holds after one of them."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await anext(events)


def book(client: ExchangeClient) -> tuple[list[Level], list[Level]]:
    """Bids and asks of SPX as the client knows them."""
    live = client.live_book("SPX")
    return ([], []) if live is None else (live.bids(), live.asks())


@asynccontextmanager
async def counterparty(running: WsExchange) -> AsyncIterator[ExchangeClient]:
    """Somebody to trade with."""
    team = await register(f"http://{address(running)}", "Counterparty", "arbitrage")
    async with ExchangeClient.connect(f"http://{address(running)}", team.api_key) as client:
        yield client


def test_tutorial_has_its_programs() -> None:
    """Every block of Python is a program with a name."""
    assert TUTORIAL.count("```python") == len(PROGRAMS)
    assert list(PROGRAMS) == ["register.py", "first_order.py", "watch.py", "two_sided.py", "company.py"]


async def test_tutorial_programs_do_what_they_say(tmp_path: Path) -> None:
    """One after the other, as a reader would: each prints what the page promises."""
    async with ws_exchange() as running:
        paths = {name: write(tmp_path, name, text, running) for name, text in PROGRAMS.items()}
        assert await output(paths["register.py"]) == ["TEAM_1 market_maker"]
        assert await output(paths["first_order.py"]) == [
            "placed ORD_3",
            "amended to 3",
            "cancelled cancelled",
            "market order filled 0",
            "refused PRICE_OUT_OF_BAND 3520.0",
        ]
        assert await output(paths["watch.py"]) == ["in the book at 4390.0", "cancelled: requested"]
        async with counterparty(running) as other, started(paths["two_sided.py"]) as process:
            events = other.events("book.SPX")
            await until(events, lambda: book(other) == ([(4399.0, 2)], [(4401.0, 2)]))
            await other.buy("SPX", 1)
            assert process.stdout is not None
            assert (await process.stdout.readline()).decode() == "traded sell 1 at 4401.0 position -1\n"


async def test_sample_bots_are_company(tmp_path: Path) -> None:
    """The last program makes a market: somebody quotes and somebody trades."""
    async with ws_exchange() as running:
        path = write(tmp_path, "company.py", PROGRAMS["company.py"], running)
        async with counterparty(running) as other, started(path):
            async with asyncio.timeout(DEADLINE_S):
                events = other.events("trades.SPX", "trades.SPY")
                assert isinstance(await anext(events), TradeEvent)


async def test_readme_bot_trades(tmp_path: Path) -> None:
    """The bot of the README joins the best bid and, once it was filled, the best ask."""
    async with ws_exchange() as running:
        url = f"http://{address(running)}"
        team = await register(url, "Patient", "hedge_fund")
        path = write(tmp_path, "bot.py", README_BOT.read_text(), running)
        async with counterparty(running) as other:
            events = other.events("book.SPX")
            bid = await other.buy("SPX", 1, price=4390.0)
            await other.sell("SPX", 1, price=4410.0)
            async with started(path, EXCHANGE_API_KEY=team.api_key):
                await until(events, lambda: book(other)[0] == [(4390.0, 2)])
                await other.cancel(bid.order_id)
                await other.sell("SPX", 1, price=4390.0)
                await other.buy("SPX", 1, price=4390.0)
                await until(events, lambda: book(other)[1] == [(4410.0, 2)])


def test_readme_bot_is_short() -> None:
    """A complete bot in at most 25 lines."""
    assert len(README_BOT.read_text().splitlines()) <= 25
