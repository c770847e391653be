"""A bot is a class with handlers: override those you need, then ``await bot.run()``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from exchange.client import (
    BookSnapshot,
    BookUpdate,
    ClientEvent,
    Disconnected,
    EventStream,
    ExchangeClient,
    ExecutionReport,
    NewOrderAck,
    OpenOrder,
    OrderAmended,
    OrderBook,
    OrderCancelled,
    OrderTriggered,
    Phase,
    PhaseChange,
    PositionUpdate,
    Reconnected,
    TradeEvent,
)

_LOG: Final = logging.getLogger("exchange.bots")

_BOOK: Final = "book."
_TRADES: Final = "trades."


class Bot:
    """Follows ``instruments`` and its own orders; ``on_timer`` is called every ``timer_s`` seconds.

    Handlers run one after the other, never two at a time, so nothing changes under them except while they
    await. Positions, orders and books are as of now; events tell how they came to be. What a handler raises
    goes to :meth:`on_error`, and the bot lives on.
    """

    instruments: Sequence[str] = ()
    timer_s: float | None = None

    def __init__(self, client: ExchangeClient) -> None:
        self.client = client
        self.phase: Phase | None = None
        self.is_connected = True
        self.is_stopping = False
        self._events: EventStream | None = None
        self._told: dict[str, int] = {}
        self._handlers: dict[type, Callable[[Any], Awaitable[None]]] = {
            BookSnapshot: self._book_begins,
            BookUpdate: self._book_changed,
            TradeEvent: self._traded,
            ExecutionReport: self.on_fill,
            NewOrderAck: self.on_ack,
            OrderTriggered: self.on_trigger,
            OrderAmended: self.on_amend,
            OrderCancelled: self.on_cancel,
            PositionUpdate: self.on_position,
            PhaseChange: self._phase_changed,
            Disconnected: self._disconnected,
            Reconnected: self._reconnected,
        }

    # --- handlers to override -------------------------------------------------------------------

    async def on_start(self) -> None:
        """Positions, open orders and books are known; nothing was handled yet."""

    async def on_book(self, book: OrderBook) -> None:
        """A book changed; several changes that came at once are told as one."""

    async def on_trade(self, instrument_id: str, trade: TradeEvent) -> None:
        """Somebody traded in an instrument the bot follows."""

    async def on_fill(self, fill: ExecutionReport) -> None:
        """An order of the team traded."""

    async def on_ack(self, ack: NewOrderAck) -> None:
        """An order of the team is in the market, or a stop waits for its price."""

    async def on_trigger(self, triggered: OrderTriggered) -> None:
        """A stop of the team entered the market."""

    async def on_amend(self, amended: OrderAmended) -> None:
        """An order of the team was changed."""

    async def on_cancel(self, cancelled: OrderCancelled) -> None:
        """An order of the team ended without being filled; ``reason`` says why."""

    async def on_position(self, position: PositionUpdate) -> None:
        """A position changed; comes after each fill."""

    async def on_phase(self, change: PhaseChange) -> None:
        """The market day moved on; also told once at the start."""

    async def on_timer(self) -> None:
        """``timer_s`` have passed."""

    async def on_disconnect(self) -> None:
        """Events stopped; the client is trying to get a connection again."""

    async def on_reconnect(self) -> None:
        """Events go on, without a gap unless the bot was away too long; the state is that of now."""

    async def on_error(self, error: Exception) -> None:
        """A handler failed. Raising from here ends the bot: ``run`` raises it."""
        _LOG.error("%s: a handler failed", type(self).__name__, exc_info=error)

    async def on_stop(self) -> None:
        """The bot is about to end, still connected: the place to cancel what is open."""

    # --- what the bot knows ---------------------------------------------------------------------

    @property
    def positions(self) -> Mapping[str, int]:
        """Net lots by instrument."""
        return self.client.account.positions

    def position(self, instrument_id: str) -> int:
        """Net lots in one instrument."""
        return self.client.account.position(instrument_id)

    def open_orders(self, instrument_id: str | None = None) -> list[OpenOrder]:
        """Orders of the team that may still trade, oldest first, those just sent included."""
        return self.client.account.open_orders(instrument_id)

    @property
    def cash(self) -> float:
        """Money received less money paid, without fees."""
        return self.client.account.cash

    def book(self, instrument_id: str) -> OrderBook:
        """The book now; raises KeyError for an instrument the bot does not follow."""
        book = self.client.live_book(instrument_id)
        if book is None:
            raise KeyError(instrument_id)
        return book

    # --- life -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let :meth:`run` return after the handler under way."""
        self.is_stopping = True
        if self._events is not None:
            self._events.end()

    async def run(self) -> None:
        """Trade until :meth:`stop` or until the exchange is out of reach for good; closes the client."""
        async with self.client:
            channels = [f"{kind}{each}" for each in self.instruments for kind in (_BOOK, _TRADES)]
            self._events = self.client.events("private", "phase", *channels)
            await self._events.open()
            try:
                await self._call(self.on_start)
                await self._handle_events(self._events)
            finally:
                await self._call(self.on_stop)

    async def _handle_events(self, events: EventStream) -> None:
        loop = asyncio.get_running_loop()
        due = None if self.timer_s is None else loop.time() + self.timer_s
        while not self.is_stopping:
            left_s = None if due is None else due - loop.time()
            if left_s is not None and left_s <= 0:
                due = loop.time() + (self.timer_s or 0)
                await self._call(self.on_timer)
                continue
            try:
                event = await events.next(left_s)
            except StopAsyncIteration:
                return
            if event is not None:
                await self._handle(event)

    async def _handle(self, event: ClientEvent) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            await self._call(handler, event)

    async def _call(self, handler: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        try:
            await handler(*arguments)
        except Exception as error:
            await self.on_error(error)

    async def _book_begins(self, event: BookSnapshot) -> None:
        await self._tell_book(event.channel)

    async def _book_changed(self, event: BookUpdate) -> None:
        # The book has taken in everything received: later events of it have been told already.
        if event.seq > self._told.get(event.channel, -1):
            await self._tell_book(event.channel)

    async def _tell_book(self, channel: str) -> None:
        book = self.client.live_book(channel.removeprefix(_BOOK))
        if book is not None and book.is_synced:
            self._told[channel] = book.seq
            await self.on_book(book)

    async def _traded(self, event: TradeEvent) -> None:
        await self.on_trade(event.channel.removeprefix(_TRADES), event)

    async def _phase_changed(self, event: PhaseChange) -> None:
        if event.instrument_id is None:
            self.phase = event.phase
        await self.on_phase(event)

    async def _disconnected(self, event: Disconnected) -> None:
        self.is_connected = False
        await self.on_disconnect()

    async def _reconnected(self, event: Reconnected) -> None:
        self.is_connected = True
        await self.on_reconnect()
