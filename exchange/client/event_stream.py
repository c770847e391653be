"""Events as something to iterate over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self

from exchange.client.event_queue import EventQueue
from exchange.client.events import ClientEvent
from exchange.client.streams import Streams


class EventStream:
    """``async for event in client.events("private")``: subscribes when first read, ends with the client.

    Holds ``CLIENT_EVENTS`` events for its reader. A channel that this client had subscribed before goes on
    where it is; a new one begins with its snapshot. Raises what the subscription was refused with, and the
    error when the exchange cannot be reached any more.
    """

    def __init__(self, streams: Streams, channels: Iterable[str], conflate_ms: int | None = None) -> None:
        self._streams = streams
        self._conflate_ms = conflate_ms
        self._channels = tuple(channels)
        self._queue: EventQueue[ClientEvent] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClientEvent:
        return await (await self._opened()).get()

    async def next(self, timeout_s: float | None = None) -> ClientEvent | None:
        """The next event, None after ``timeout_s`` without one; raises StopAsyncIteration at the end."""
        queue = await self._opened()
        if len(queue):
            return await queue.get()
        try:
            async with asyncio.timeout(timeout_s):
                return await queue.get()
        except TimeoutError:
            return None

    async def open(self) -> None:
        """Subscribe now rather than with the first read."""
        await self._opened()

    def end(self) -> None:
        """The reader gets what has been received, then the end."""
        if self._queue is not None:
            self._queue.end()

    def close(self) -> None:
        """Stop collecting; the channels stay subscribed to."""
        if self._queue is not None:
            self._queue = None
            self._streams.drop_queue()

    async def _opened(self) -> EventQueue[ClientEvent]:
        if self._queue is None:
            self._queue = self._streams.queue()
            try:
                await self._streams.subscribe(self._channels, self._conflate_ms)
            except BaseException:
                self.close()
                raise
        return self._queue
