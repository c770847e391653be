"""Handlers are called for what happens, one after the other, and a fault in one is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exchange.bots import Bot
from exchange.client import (
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderBook,
    OrderCancelled,
    OrderTriggered,
    Phase,
    PhaseChange,
    PositionUpdate,
    TradeEvent,
)
from tests.unit.client.fake_exchange import FakeExchange, fake_client, position_update, trade

ORDER = {
    "order_id": "ORD_1",
    "request_id": "r",
    "instrument_id": "SPX",
    "side": "buy",
    "client_order_id": "mine",
}
ACK = {
    "type": "new_order_ack",
    "order_type": "limit",
    "time_in_force": "gtc",
    "quantity": 3,
    "price": 1.0,
    **ORDER,
}
FILL = {
    "type": "execution_report",
    "exec_id": "EXE_1",
    "trade_id": "TRD_1",
    "price": 1.0,
    "quantity": 1,
    "liquidity_type": "maker",
    "fees": 0.02,
    "filled_quantity": 1,
    "remaining_quantity": 2,
    **ORDER,
}
TRIGGERED = {"type": "order_triggered", "quantity": 3, **ORDER}
AMENDED = {
    "type": "order_amended",
    "price": 1.0,
    "quantity": 2,
    "filled_quantity": 1,
    "remaining_quantity": 1,
    **ORDER,
}
CANCELLED = {
    "type": "order_cancelled",
    "cancelled_quantity": 1,
    "filled_quantity": 1,
    "reason": "requested",
    **ORDER,
}
PHASE = {"type": "phase_change", "channel": "phase", "phase": "halted", "reason": "test"}


class Diary(Bot):
    """Writes down what it is told."""

    instruments = ("SPX",)

    def __init__(self, exchange: FakeExchange) -> None:
        super().__init__(fake_client(exchange))
        self.pages: list[tuple[str, Any]] = []
        self.wrote = asyncio.Event()

    def write(self, what: str, about: Any = None) -> None:
        self.pages.append((what, about))
        self.wrote.set()

    async def until(self, *words: str) -> None:
        """Until each of these was written, in whatever order."""
        async with asyncio.timeout(10):
            while not set(words) <= {word for word, _ in self.pages}:
                self.wrote.clear()
                await self.wrote.wait()

    async def on_start(self) -> None:
        self.write("start")

    async def on_book(self, book: OrderBook) -> None:
        self.write("book", book.seq)

    async def on_trade(self, instrument_id: str, trade: TradeEvent) -> None:
        self.write("trade", (instrument_id, trade.price))

    async def on_fill(self, fill: ExecutionReport) -> None:
        self.write("fill", fill.exec_id)

    async def on_ack(self, ack: NewOrderAck) -> None:
        self.write("ack", ack.order_id)

    async def on_trigger(self, triggered: OrderTriggered) -> None:
        self.write("trigger", triggered.quantity)

    async def on_amend(self, amended: OrderAmended) -> None:
        self.write("amend", amended.quantity)

    async def on_cancel(self, cancelled: OrderCancelled) -> None:
        self.write("cancel", cancelled.reason.value)

    async def on_position(self, position: PositionUpdate) -> None:
        self.write("position", position.position)

    async def on_phase(self, change: PhaseChange) -> None:
        self.write("phase", change.phase)

    async def on_disconnect(self) -> None:
        self.write("disconnect")

    async def on_reconnect(self) -> None:
        self.write("reconnect")

    async def on_error(self, error: Exception) -> None:
        self.write("error", error)

    async def on_stop(self) -> None:
        self.write("stop")


async def test_each_handler_hears_of_its_event() -> None:
    """From the start to the end; what the bot knows is up to date."""
    exchange = FakeExchange()
    bot = Diary(exchange)
    running = asyncio.create_task(bot.run())
    await bot.until("start", "book")
    for event in (ACK, TRIGGERED, FILL, AMENDED, CANCELLED, position_update(4)):
        exchange.publish("private", event)
    exchange.publish("trades.SPX", trade(price=7.0))
    exchange.publish("phase", PHASE)
    await bot.until("position", "trade", "phase")
    assert [page for page in bot.pages if page[0] not in ("start", "book", "trade", "phase")] == [
        ("ack", "ORD_1"),
        ("trigger", 3),
        ("fill", "EXE_1"),
        ("amend", 2),
        ("cancel", "requested"),
        ("position", 4),
    ]
    assert ("trade", ("SPX", 7.0)) in bot.pages
    assert bot.phase is Phase.HALTED
    assert (bot.position("SPX"), dict(bot.positions), bot.cash) == (4, {"SPX": 4}, 4.0)
    assert bot.open_orders() == []
    assert bot.book("SPX").best_bid is not None
    with pytest.raises(KeyError):
        bot.book("SPY")
    bot.stop()
    await running
    assert bot.pages[-1] == ("stop", None)
    assert len(asyncio.all_tasks()) == 1


async def test_book_is_told_once_for_changes_that_came_together() -> None:
    """A slow bot sees the book as it is, not every step on the way."""
    exchange = FakeExchange()
    bot = Diary(exchange)
    running = asyncio.create_task(bot.run())
    await bot.until("book")
    for seq in range(1, 6):
        exchange.publish("book.SPX", {"type": "book_update", "channel": "book.SPX", "prev_seq": seq - 1,
                                      "bids": [[float(seq), 1]], "asks": []})  # fmt: skip
    exchange.publish("private", position_update(1))
    await bot.until("position")
    told = [seq for word, seq in bot.pages if word == "book"]
    assert told[0] == 0
    assert told[-1] == 5
    assert told == sorted(set(told))
    bot.stop()
    await running


async def test_break_and_return_are_told() -> None:
    """The bot knows whether it is connected; after a new epoch books begin anew."""
    exchange = FakeExchange()
    exchange.first_seq["book.SPX"] = 9
    bot = Diary(exchange)
    running = asyncio.create_task(bot.run())
    await bot.until("book")
    assert bot.is_connected
    exchange.first_seq.clear()
    exchange.restart("two")
    await bot.until("disconnect", "reconnect")
    exchange.publish("private", position_update(1))
    await bot.until("position")
    assert bot.is_connected
    assert [seq for word, seq in bot.pages if word == "book"] == [9, 0]
    bot.stop()
    await running


async def test_fault_of_a_handler_is_told_and_the_bot_lives_on() -> None:
    """on_error gets the exception; the next event is handled as ever."""

    class Clumsy(Diary):
        async def on_position(self, position: PositionUpdate) -> None:
            if position.position == 1:
                raise ZeroDivisionError
            await super().on_position(position)

    exchange = FakeExchange()
    bot = Clumsy(exchange)
    running = asyncio.create_task(bot.run())
    await bot.until("start", "book")
    exchange.publish("private", position_update(1))
    exchange.publish("private", position_update(2))
    await bot.until("position")
    assert [type(error) for word, error in bot.pages if word == "error"] == [ZeroDivisionError]
    bot.stop()
    await running


async def test_fault_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """A bot that does not override on_error does not fail in silence."""

    class Clumsy(Bot):
        async def on_start(self) -> None:
            self.stop()
            raise ZeroDivisionError("oh")

    await Clumsy(fake_client(FakeExchange())).run()
    (record,) = caplog.records
    assert "Clumsy" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_fault_that_is_raised_on_ends_the_bot() -> None:
    """Raising from on_error ends run with that error, after on_stop, with everything closed."""

    class Strict(Diary):
        async def on_start(self) -> None:
            raise ZeroDivisionError

        async def on_error(self, error: Exception) -> None:
            raise error

    bot = Strict(FakeExchange())
    with pytest.raises(ZeroDivisionError):
        await bot.run()
    assert bot.pages[-1] == ("stop", None)
    assert len(asyncio.all_tasks()) == 1


async def test_timer_ticks_between_events() -> None:
    """A stream of events does not starve the timer, nor the timer the events."""

    class Ticking(Diary):
        timer_s = 0.001

        async def on_timer(self) -> None:
            self.write("timer")
            exchange.publish("private", position_update(1))
            if len(self.pages) > 20:
                self.stop()

    exchange = FakeExchange()
    bot = Ticking(exchange)
    async with asyncio.timeout(10):
        await bot.run()
    assert {"timer", "position"} <= {word for word, _ in bot.pages}


async def test_closing_the_client_ends_the_bot() -> None:
    """Whoever closes it: run returns."""
    bot = Diary(FakeExchange())
    running = asyncio.create_task(bot.run())
    await bot.until("start")
    await bot.client.close()
    async with asyncio.timeout(10):
        await running
