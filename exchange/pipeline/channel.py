"""The bounded queues between stages. A channel is an ``asyncio.Queue`` and how to drain it in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import TypeVar

from exchange.base.bounds import ORDER_QUEUE_CAPACITY, STAGE_BATCH, SYSTEM_LANE_CAPACITY
from exchange.model.commands import AnyCommand, CancelOrders, SetPhase, TriggerStops, Uncross
from exchange.pipeline.messages import OrderItem, Submission

T = TypeVar("T")


async def next_batch(queue: asyncio.Queue[T | None], limit: int = STAGE_BATCH) -> tuple[list[T], bool]:
    """Wait for one item, then take what is there, at most ``limit``; True when the sentinel was met.

    Nothing behind the sentinel is taken: whoever sends it sends nothing after.
    """
    item = await queue.get()
    batch: list[T] = []
    while item is not None:
        batch.append(item)
        if len(batch) >= limit or queue.empty():
            return batch, False
        item = queue.get_nowait()
    return batch, True


def system_key(command: AnyCommand) -> Hashable:
    """At most one system command per team and kind waits: what makes two of them the same."""
    if isinstance(command, CancelOrders):
        return CancelOrders, command.account, command.reason
    if isinstance(command, SetPhase):
        return SetPhase, command.instrument_id, command.phase, command.due_us
    if isinstance(command, TriggerStops | Uncross):
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
        self.queue: asyncio.Queue[OrderItem] = asyncio.Queue(capacity + reserved + 1)

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
        key = self._system_keys.pop(id(submission), None)
        if key is not None:
            self._waiting_keys.discard(key)

    def close(self) -> None:
        """Put the sentinel behind everything that was accepted."""
        self.queue.put_nowait(None)
