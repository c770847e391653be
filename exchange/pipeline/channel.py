"""The bounded queues between stages: ``asyncio.Queue``, filled and drained in batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import TypeVar

from exchange.base.bounds import ORDER_QUEUE_CAPACITY, STAGE_BATCH, SYSTEM_LANE_CAPACITY
from exchange.model.commands import AnyCommand, CancelOrders, SetPhase, TriggerStops, Uncross
from exchange.pipeline.messages import Submission

T = TypeVar("T")


class Channel(asyncio.Queue[T | None]):
    """A queue between two stages: many items pass at the cost of one, each still counts towards its bound.

    One consumer, and where ``put_all`` is used one producer. Nobody joins it. Beside what is public and the
    methods that asyncio leaves to subclasses it uses how a getter is woken, the same since Python 3.4.
    """

    _queue: deque[T | None]
    _getters: deque[asyncio.Future[None]]

    def put_nowait(self, item: T | None) -> None:
        """Every order passes here: asyncio's own takes five calls for what two do where nobody joins."""
        if len(self._queue) >= self.maxsize:
            raise asyncio.QueueFull
        self._put(item)
        if self._getters:
            self._wakeup_next(self._getters)  # type: ignore[attr-defined]

    async def put_all(self, items: Sequence[T]) -> None:
        """Put in order, waiting while there is no room; the consumer wakes once for all that fits."""
        if not items:
            return
        if len(items) > self.maxsize - self.qsize():
            for item in items:
                await self.put(item)
            return
        self.put_nowait(items[0])
        put = self._put
        for item in islice(items, 1, None):
            put(item)

    async def get_batch(self, limit: int = STAGE_BATCH) -> tuple[list[T], bool]:
        """Wait for one item, then take what is there, at most ``limit``; True when the sentinel was met.

        Nothing behind the sentinel is taken: whoever sends it sends nothing after.
        """
        item = await self.get()
        batch: list[T] = []
        get = self._get
        # The producer was woken by the first that was taken; it goes on putting by itself.
        for left in range(self.qsize(), -1, -1):
            if item is None:
                return batch, True
            batch.append(item)
            if not left or len(batch) >= limit:
                break
            item = get()
        return batch, False


def system_key(command: AnyCommand) -> Hashable:
    """At most one system command per team and kind waits: what makes two of them the same."""
    if isinstance(command, CancelOrders):
        return CancelOrders, command.account, command.reason
    if isinstance(command, SetPhase):
        return SetPhase, command.instrument_id, command.phase, command.due_us
    if isinstance(command, (TriggerStops, Uncross)):
        return type(command), command.instrument_id
    return type(command)


class LaneOverflow(Exception):
    """A bug: coalescing should make the system lane's bound unreachable."""


class OrderQueue:
    """``order_queue``: one FIFO, with places that only system commands may take.

    The lane never awaits, so a stage downstream can ask for a command without any risk of a ring of full
    queues. At most one system command per key waits; a second one is coalesced with it.
    """

    def __init__(self, capacity: int = ORDER_QUEUE_CAPACITY, reserved: int = SYSTEM_LANE_CAPACITY) -> None:
        self._capacity = capacity
        self._reserved = reserved
        self._system_keys: dict[int, Hashable] = {}
        self._waiting_keys: set[Hashable] = set()
        self.queue: Channel[Submission] = Channel(capacity + reserved + 1)

    def offer(self, submission: Submission) -> bool:
        """Put a client's command; False when no place is left for clients."""
        if self.queue.qsize() - len(self._system_keys) >= self._capacity:
            return False
        self.queue.put_nowait(submission)
        return True

    def put_system(self, key: Hashable, command: AnyCommand) -> bool:
        """Put a system command; False when one of that key waits already."""
        if key in self._waiting_keys:
            return False
        if len(self._system_keys) >= self._reserved:
            raise LaneOverflow(f"{self._reserved} system commands wait")
        submission = Submission(command, None)
        self._waiting_keys.add(key)
        self._system_keys[id(submission)] = key
        self.queue.put_nowait(submission)
        return True

    def taken(self, submission: Submission) -> None:
        """Validate has it: its key may be asked for again."""
        if submission.pending is None:
            self._waiting_keys.discard(self._system_keys.pop(id(submission), None))

    def close(self) -> None:
        """Put the sentinel behind everything that was accepted."""
        self.queue.put_nowait(None)
