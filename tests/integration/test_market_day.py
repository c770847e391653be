"""A market day on a whole exchange, by a clock that the test moves; and restarts at every point of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from exchange.app import Exchange, build_core
from exchange.base.clock import ManualClock
from exchange.base.entropy import SeededEntropy
from exchange.config import Config, GameConfig, JournalConfig, MarketConfig
from exchange.journal.memory import MemoryJournal
from exchange.model.types import Phase
from exchange.pipeline.recovery import recover

ADMIN_KEY = "itg_admin_key_of_the_tests"
TUESDAY = "2026-11-24"
DAY = (
    ("08:00:00", Phase.PRE_OPEN),
    ("09:29:30", Phase.OPENING_AUCTION),
    ("09:30:00", Phase.CONTINUOUS),
    ("15:00:00", Phase.CLOSED),
)


def at_us(time: str, day: str = TUESDAY) -> int:
    """Microseconds of a time in Chicago."""
    local = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=ZoneInfo("America/Chicago"))
    return round(local.timestamp() * 1_000_000)


class Market:
    """A running exchange, its clock and two teams, through any number of restarts."""

    def __init__(self, preset: str = "competition", grace_s: float = 0.0) -> None:
        self.clock = ManualClock(at_us("07:00:00"))
        self.journal = MemoryJournal(random.Random(1))
        # The test looks at the clock itself.
        self.config = Config(
            game=GameConfig(preset=preset),
            journal=JournalConfig(restart_grace_s=grace_s),
            market=MarketConfig(check_interval_s=3_600),
        )
        self.keys: dict[str, str] = {}
        self.exchange: Exchange
        self._client: httpx.AsyncClient

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Market]:
        """Until the end of the block, with a clean stop."""
        self.exchange = Exchange(
            self.config,
            self.journal,
            clock=self.clock,
            entropy=SeededEntropy(self.journal.last_sequence),
            admin_key=ADMIN_KEY,
        )
        await self.exchange.start()
        running = asyncio.create_task(self.exchange.run())
        transport = httpx.ASGITransport(app=self.exchange.api)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://exchange.test") as client:
                self._client = client
                yield self
        finally:
            self.exchange.stop()
            await running

    async def move_to(self, time: str, day: str = TUESDAY) -> None:
        """Set the clock, have it looked at, and wait until what came of it is settled."""
        self.clock.advance((at_us(time, day) - self.clock.now_us()) / 1e6)
        self.exchange.market_clock.check()
        await self.settled()

    async def settled(self) -> None:
        """An act of the operator is settled behind everything before it."""
        answer = await self.send(
            "POST", "/admin/teams", ADMIN_KEY, {"name": f"T{self.sequence}", "role": "retail"}
        )
        assert answer.status_code == 200, answer.text

    @property
    def sequence(self) -> int:
        return self.exchange.core.admission.last_sequence

    def phase(self) -> Phase:
        """That of admission, which the venue has come to."""
        assert self.exchange.core.venue.phase is self.exchange.core.admission.phase
        return self.exchange.core.admission.phase

    async def send(
        self, method: str, path: str, key: str | None = None, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        headers = {} if key is None else {"X-API-Key": key}
        return await self._client.request(method, path, headers=headers, json=body)

    async def teams(self, *names: str, role: str = "hedge_fund") -> None:
        for name in names:
            answer = await self.send("POST", "/admin/teams", ADMIN_KEY, {"name": name, "role": role})
            self.keys[name] = answer.json()["data"]["api_key"]

    async def order(
        self, team: str, side: str, price: float | None, quantity: int = 10, instrument_id: str = "SPX"
    ) -> httpx.Response:
        body = {"instrument_id": instrument_id, "side": side, "quantity": quantity}
        body |= {} if price is None else {"price": price}
        return await self.send("POST", "/exchange/orders?wait=settlement", self.keys[team], body)

    async def data(self, path: str, team: str | None = None) -> Any:
        answer = await self.send("GET", path, None if team is None else self.keys[team])
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def set_phase(self, **body: str) -> httpx.Response:
        return await self.send("POST", "/admin/phase", ADMIN_KEY, body)

    def replayed(self) -> str:
        """The state hash of a replay of the journal."""
        return recover(self.journal, self.exchange.core.rules, build_core).core.state_hash()


async def test_competition_day() -> None:
    """Pre-open, auction at one price, continuous trading, close: by the clock alone."""
    market = Market()
    async with market.running():
        await market.teams("A", "B")
        assert market.phase() == Phase.CLOSED
        assert (await market.order("A", "buy", 4400)).json()["error"]["code"] == "MARKET_CLOSED"
        await market.move_to("08:00:00")
        assert market.phase() == Phase.PRE_OPEN
        assert (await market.order("A", "buy", 4401)).json()["data"]["status"] == "open"
        assert (await market.order("B", "sell", 4400, 4)).json()["data"]["status"] == "open"
        assert (await market.order("B", "sell", None, 2)).json()["data"]["status"] == "open"
        book = await market.data("/exchange/orderbook/SPX")
        assert (book["bids"], book["asks"]) == ([[4401.0, 10]], [[4400.0, 4]])
        assert (book["phase"], book["indicative_price"]) == ("pre_open", 4401.0)
        assert (book["indicative_volume"], book["imbalance"]) == (6, 4)
        await market.move_to("09:29:30")
        assert market.phase() == Phase.OPENING_AUCTION
        executions = (await market.data("/exchange/executions", "B"))["executions"]
        assert [(each["price"], each["quantity"], each["liquidity_type"]) for each in executions] == [
            (4401.0, 2, "auction"),
            (4401.0, 4, "auction"),
        ]
        assert [each["fees"] for each in executions] == [0.0, 0.0]
        assert len({each["auction_id"] for each in executions}) == 1
        orders = (await market.data("/exchange/orders", "A"))["orders"]
        assert (
            await market.send("DELETE", f"/exchange/orders/{orders[0]['order_id']}", market.keys["A"])
        ).json()["error"]["code"] == "MARKET_CLOSED"
        await market.move_to("09:30:00")
        assert market.phase() == Phase.CONTINUOUS
        assert (await market.order("B", "sell", 4401, 1)).json()["data"]["status"] == "filled"
        await market.move_to("14:59:59")
        assert market.phase() == Phase.CONTINUOUS
        await market.move_to("15:00:00")
        assert market.phase() == Phase.CLOSED
        ended = await market.data(f"/exchange/orders/{orders[0]['order_id']}", "A")
        assert (ended["status"], ended["cancel_reason"]) == ("cancelled", "market_close")
        assert market.exchange.core.venue.statistics().live_orders == 0
        hashed = market.exchange.core.state_hash()
    assert market.replayed() == hashed


async def test_nothing_is_journaled_while_nothing_changes() -> None:
    """A check that changes nothing leaves no record, however often."""
    market = Market()
    async with market.running():
        await market.move_to("10:00:00")
        before = market.sequence
        for _ in range(50):
            market.exchange.market_clock.check()
        await market.settled()
        assert market.sequence == before + 1


@pytest.mark.parametrize("down_at", ["07:30:00", "08:30:00", "09:29:40", "10:00:00", "15:30:00"])
@pytest.mark.parametrize(
    ("up_at", "day", "expected"),
    [
        ("08:45:00", TUESDAY, Phase.PRE_OPEN),
        ("09:29:45", TUESDAY, Phase.OPENING_AUCTION),
        ("12:00:00", TUESDAY, Phase.CONTINUOUS),
        ("20:00:00", TUESDAY, Phase.CLOSED),
        ("09:00:00", "2026-12-03", Phase.PRE_OPEN),
        ("12:00:00", "2026-12-03", Phase.CONTINUOUS),
    ],
)
async def test_restart_ends_in_the_phase_of_the_clock(
    down_at: str, up_at: str, day: str, expected: Phase
) -> None:
    """In the middle of any phase, any number of changes missed: what was due to match or end did so once."""
    if day == TUESDAY and up_at < down_at:
        up_at, day, expected = "12:00:00", "2026-11-26", Phase.CONTINUOUS
    market = Market()
    async with market.running():
        await market.teams("A", "B")
        for time, _ in DAY:
            if time <= down_at:
                await market.move_to(time)
            if time == "08:00:00" and time <= down_at:
                await market.order("A", "buy", 4401)
                await market.order("B", "sell", 4400, 4)
        await market.move_to(down_at)
        was_called = market.phase() is not Phase.CLOSED or down_at > "15:00"
    market.clock.advance((at_us(up_at, day) - market.clock.now_us()) / 1e6)
    async with market.running():
        await market.settled()
        assert market.phase() == expected
        positions = (
            market.exchange.core.exposure.position(1, "SPX"),
            market.exchange.core.exposure.position(2, "SPX"),
        )
        is_still_called = day == TUESDAY and up_at < "09:29:30"
        assert positions == ((4, -4) if was_called and not is_still_called else (0, 0))
        left = (2 if is_still_called else 1) if was_called and day == TUESDAY and up_at < "15:00" else 0
        assert market.exchange.core.venue.statistics().live_orders == left
        hashed = market.exchange.core.state_hash()
    assert market.replayed() == hashed


async def test_operator_halts_and_reopens_the_market() -> None:
    """Orders are refused and cancels pass; trading goes on after the reopening, with an uncross."""
    market = Market("small")
    async with market.running():
        await market.teams("A", "B")
        assert (await market.set_phase(phase="halted", reason="lunch")).status_code == 200
        assert (await market.order("A", "buy", 4400)).status_code == 409
        refused = await market.set_phase(phase="continuous")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "PHASE_NOT_ALLOWED")
        await market.set_phase(phase="reopening")
        await market.order("A", "buy", 4401)
        await market.order("B", "sell", 4400)
        market.clock.advance(59.9)
        market.exchange.market_clock.check()
        await market.settled()
        assert market.phase() == Phase.REOPENING
        market.clock.advance(0.1)
        market.exchange.market_clock.check()
        await market.settled()
        assert market.phase() == Phase.CONTINUOUS
        (trade,) = (await market.data("/exchange/trades/SPX"))["trades"]
        assert (trade["price"], trade["quantity"], "auction_id" in trade) == (4400.5, 10, True)
        assert (await market.data("/game/status"))["phase"] == "continuous"


async def test_operator_halts_one_instrument() -> None:
    """The others trade on; back through a reopening of its own."""
    market = Market("small")
    async with market.running():
        await market.teams("A", "B")
        done = await market.set_phase(phase="halted", reason="odd", instrument_id="SPX")
        assert done.json()["data"]["phase"] == "halted"
        refused = (await market.order("A", "buy", 4400)).json()["error"]
        assert (refused["code"], refused["details"]["instrument_id"]) == ("MARKET_CLOSED", "SPX")
        body = {"instrument_id": "SPY", "side": "buy", "quantity": 1, "price": 440.0}
        assert (await market.send("POST", "/exchange/orders", market.keys["A"], body)).status_code == 200
        assert (await market.set_phase(phase="reopening", instrument_id="NONE")).status_code == 404
        await market.set_phase(phase="reopening", instrument_id="SPX")
        await market.order("A", "buy", 4400)
        await market.order("B", "sell", 4400)
        market.clock.advance(60)
        market.exchange.market_clock.check()
        await market.settled()
        assert market.exchange.core.admission.phases.is_plain
        assert len((await market.data("/exchange/trades/SPX"))["trades"]) == 1
        hashed = market.exchange.core.state_hash()
    assert market.replayed() == hashed


async def test_uncross_in_several_slices_is_replayed_exactly() -> None:
    """More trades than one slice has: everything is filled once, told in order, and the replay agrees."""
    market = Market("flow")
    async with market.running():
        await market.teams("A", "B", role="player")
        await market.set_phase(phase="pre_open")
        for number in range(300):
            for team, side, price in (("A", "buy", 170.0 + number * 0.005), ("B", "sell", 170.0)):
                await market.order(team, side, price, 1, "FLOW")
        await market.set_phase(phase="opening_auction")
        core = market.exchange.core
        assert [core.exposure.position(account, "FLOW") for account in (1, 2)] == [300, -300]
        assert core.venue.statistics().live_orders == 0
        trades = core.settlement.history.trades("FLOW", 1_000).rows
        assert [trade.trade_id for trade in trades] == list(range(1, 301))
        assert len({(trade.price_ticks, trade.timestamp_us, trade.auction_id) for trade in trades}) == 1
        hashed = core.state_hash()
    assert market.replayed() == hashed


async def test_only_the_operator_sets_phases() -> None:
    """A team's key does not."""
    market = Market("small")
    async with market.running():
        await market.teams("A")
        assert (
            await market.send("POST", "/admin/phase", market.keys["A"], {"phase": "halted"})
        ).status_code == 403
        assert market.phase() == Phase.CONTINUOUS


# --- after a crash --------------------------------------------------------------------------------------


async def crash(market: Market) -> None:
    """The next start finds what is durable, and no clean stop."""
    market.journal = MemoryJournal(random.Random(2), batches=market.journal.crash(), clean=False)


async def later(market: Market, seconds: float) -> Phase:
    """The phase after ``seconds``."""
    market.clock.advance(seconds)
    market.exchange.market_clock.check()
    await market.settled()
    return market.phase()


async def test_crash_while_trading_halts_then_reopens() -> None:
    """Ten seconds of grace, a minute of reopening, and an uncross; with another crash it begins anew."""
    market = Market(grace_s=10)
    async with market.running():
        await market.teams("A", "B")
        await market.move_to("10:00:00")
    for _ in range(2):
        await crash(market)
        async with market.running():
            await market.settled()
            assert market.phase() == Phase.HALTED
            assert await later(market, 9.9) == Phase.HALTED
    await crash(market)
    async with market.running():
        await market.settled()
        assert await later(market, 10) == Phase.REOPENING
        await market.order("A", "buy", 4400)
        await market.order("B", "sell", 4400)
    async with market.running():
        assert await later(market, 59.9) == Phase.REOPENING
        assert await later(market, 0.1) == Phase.CONTINUOUS
        assert market.exchange.core.exposure.position(1, "SPX") == 10
        hashed = market.exchange.core.state_hash()
    assert market.replayed() == hashed


async def test_crash_before_the_opening_that_was_missed() -> None:
    """The auction takes place, and then the market halts for its teams to come back."""
    market = Market(grace_s=10)
    async with market.running():
        await market.teams("A", "B")
        await market.move_to("09:00:00")
        await market.order("A", "buy", 4400)
        await market.order("B", "sell", 4400)
    await crash(market)
    market.clock.advance(3_600)
    async with market.running():
        await market.settled()
        assert market.phase() == Phase.HALTED
        assert market.exchange.core.exposure.position(1, "SPX") == 10


@pytest.mark.parametrize(("time", "phase"), [("09:00:00", Phase.PRE_OPEN), ("20:00:00", Phase.CLOSED)])
async def test_crash_while_nothing_trades_changes_nothing(time: str, phase: Phase) -> None:
    """There is nothing to halt."""
    market = Market(grace_s=10)
    async with market.running():
        await market.move_to(time)
    await crash(market)
    async with market.running():
        await market.settled()
        assert market.phase() == phase
