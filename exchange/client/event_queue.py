"""What was received and not yet read: bounded, one reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from exchange.base.bounds import CLIENT_EVENTS

T = TypeVar("T")


class EventQueue(Generic[T]):
    """Refuses when full, and calls ``drained`` when, after a refusal, half of it has been read.

    A mark always finds room, because there is at most one of its type.
    """

    def __init__(self, drained: Callable[[], None] = lambda: None, capacity: int = CLIENT_EVENTS) -> None:
        self._drained = drained
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._marks: set[type] = set()
        self._refused = False
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, *items: T) -> bool:
        """Enter all of ``items``, or none and False when there is no room for them."""
        if len(self._items) + len(items) > self._capacity or self._ended:
            self._refused = True
            return False
        self._items.extend(items)
        self._wake()
        return True

    def mark(self, mark: T) -> None:
        """Enter ``mark`` unless one of its type is waiting already."""
        if type(mark) not in self._marks and not self._ended:
            self._marks.add(type(mark))
            self._items.append(mark)
            self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more will come: the reader gets what is left, then ``error`` or StopAsyncIteration."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    async def get(self) -> T:
        """The oldest; waits for one. Raises StopAsyncIteration or the error after the end."""
        while not self._items:
            if self._ended:
                raise self._error or StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("events have one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        self._marks.discard(type(item))
        if self._refused and len(self._items) * 2 <= self._capacity:
            self._refused = False
            self._drained()
        return item

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
