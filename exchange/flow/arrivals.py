"""What the clients were told about one message, and what of it is still missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from exchange.client import (
    ClientEvent,
    ExecutionReport,
    NewOrderAck,
    OrderAmended,
    OrderCancelled,
    StreamReset,
)
from exchange.client.streams import EventListener
from exchange.flow.errors import FlowFailed
from exchange.model.types import Liquidity

OrderEvent: TypeAlias = NewOrderAck | ExecutionReport | OrderAmended | OrderCancelled


class Expected(msgspec.Struct, frozen=True):
    """What the answer to a message says must arrive about its order; ``filled`` in lots of this message."""

    name: str
    acknowledged: bool = False
    filled: int = 0
    cancelled: bool = False
    amended: bool = False


class Arrivals:
    """Private events of every client since :meth:`clear`. ``owner`` is the client of an order.

    ``fills`` are the aggressor's executions in their order, ``makers`` the other halves by trade.
    """

    def __init__(self, owner: Callable[[str], int]) -> None:
        self.acks: list[NewOrderAck] = []
        self.fills: list[ExecutionReport] = []
        self.makers: dict[str, ExecutionReport] = {}
        self.amends: list[OrderAmended] = []
        self.cancels: list[OrderCancelled] = []
        self._owner = owner
        self._failure: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._handlers: Final[dict[type, Callable[[Any], None]]] = {
            NewOrderAck: self.acks.append,
            ExecutionReport: self._fill,
            OrderAmended: self.amends.append,
            OrderCancelled: self.cancels.append,
            StreamReset: self._reset,
        }

    def listener(self, client: int) -> EventListener:
        """What client number ``client`` calls with every event."""

        def take(event: ClientEvent) -> None:
            handler = self._handlers.get(type(event))
            if handler is None:
                return
            name = getattr(event, "client_order_id", None)
            if not isinstance(event, StreamReset) and (name is None or self._owner(name) != client):
                self._failure = f"client {client} was told of order {name}, which is not its own"
            handler(event)
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

        return take

    def clear(self) -> None:
        """Before the next message."""
        self.acks.clear()
        self.fills.clear()
        self.makers.clear()
        self.amends.clear()
        self.cancels.clear()

    async def complete(self, expected: Expected, timeout_s: float) -> None:
        """Until everything has arrived; raises FlowFailed naming what has not, or what should not have."""
        if self._missing(expected) is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wait(expected)
            except TimeoutError:
                missing = self._missing(expected)
                raise FlowFailed(f"{missing} did not arrive within {timeout_s:g} s") from None
        surplus = self._failure or self._surplus(expected)
        if surplus is not None:
            raise FlowFailed(surplus)

    async def _wait(self, expected: Expected) -> None:
        while self._failure is None and self._missing(expected) is not None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _missing(self, expected: Expected) -> str | None:
        name = expected.name
        if expected.acknowledged and not self.acks:
            return f"the acknowledgement of order {name}"
        told = sum(fill.quantity for fill in self.fills)
        if told < expected.filled:
            return f"executions of order {name} ({told} of {expected.filled} lots came)"
        for fill in self.fills:
            if fill.trade_id not in self.makers:
                return f"the maker's execution of {fill.trade_id}"
        if expected.cancelled and not self.cancels:
            return f"the cancellation of order {name}"
        if expected.amended and not self.amends:
            return f"the amendment of order {name}"
        return None

    def _surplus(self, expected: Expected) -> str | None:
        told = sum(fill.quantity for fill in self.fills)
        counts = (
            ("acknowledgements", len(self.acks), int(expected.acknowledged)),
            ("cancellations", len(self.cancels), int(expected.cancelled)),
            ("amendments", len(self.amends), int(expected.amended)),
            ("lots executed by the aggressor", told, expected.filled),
            ("executions of makers", len(self.makers), len(self.fills)),
        )
        for what, came, due in counts:
            if came != due:
                return f"{came} {what} came about order {expected.name}, {due} were due"
        events: list[OrderEvent] = [*self.acks, *self.fills, *self.amends, *self.cancels]
        for event in events:
            if event.client_order_id != expected.name:
                return f"{event} came, but the message was about order {expected.name}"
        return None

    def _fill(self, event: ExecutionReport) -> None:
        if event.liquidity_type is Liquidity.TAKER:
            self.fills.append(event)
        elif event.liquidity_type is Liquidity.AUCTION or event.trade_id in self.makers:
            self._failure = f"an execution that has no place here: {event}"
        else:
            self.makers[event.trade_id] = event

    def _reset(self, event: StreamReset) -> None:
        self._failure = f"events of the channel {event.channel} were lost: {event.reason}"
