"""The queues: batches, the sentinel, the reserved lane and its coalescing."""

from __future__ import annotations

import asyncio

import pytest

from exchange.model.commands import CancelOrders, SetPhase
from exchange.model.types import CancelReason, Phase
from exchange.pipeline.channel import Channel, LaneOverflow, OrderQueue, system_key
from exchange.pipeline.messages import Submission
from tests.support.stages import order


async def test_get_batch_takes_what_is_there() -> None:
    """One wait, then everything that waits, in order."""
    queue: Channel[int] = Channel(10)
    for number in range(5):
        queue.put_nowait(number)
    assert await queue.get_batch() == ([0, 1, 2, 3, 4], False)


async def test_get_batch_stops_at_limit() -> None:
    """A batch is never larger than its limit."""
    queue: Channel[int] = Channel(10)
    for number in range(5):
        queue.put_nowait(number)
    assert await queue.get_batch(2) == ([0, 1], False)
    assert await queue.get_batch(2) == ([2, 3], False)


async def test_get_batch_stops_at_sentinel() -> None:
    """What came before the sentinel is still worked on."""
    queue: Channel[int] = Channel(10)
    queue.put_nowait(1)
    queue.put_nowait(None)
    assert await queue.get_batch() == ([1], True)


async def test_get_batch_blocks_on_empty() -> None:
    """An empty queue makes the taker wait."""
    queue: Channel[int] = Channel(10)
    taker = asyncio.create_task(queue.get_batch())
    await asyncio.sleep(0)
    assert not taker.done()
    queue.put_nowait(7)
    assert await taker == ([7], False)


async def test_put_all_wakes_the_consumer_once_for_what_fits() -> None:
    """Everything is there when it wakes, in order, and each item counts towards the bound."""
    queue: Channel[int] = Channel(10)
    taker = asyncio.create_task(queue.get_batch())
    await asyncio.sleep(0)
    await queue.put_all([1, 2, 3])
    assert queue.qsize() == 3
    assert await taker == ([1, 2, 3], False)
    await queue.put_all([])
    assert queue.empty()


async def test_put_all_waits_for_room() -> None:
    """What does not fit is put as the consumer makes room; nothing is lost, and the order is kept."""
    queue: Channel[int] = Channel(2)
    putter = asyncio.create_task(queue.put_all([1, 2, 3, 4, 5]))
    taken: list[int] = []
    while len(taken) < 5:
        await asyncio.sleep(0)
        assert queue.qsize() <= 2
        batch, _ = await queue.get_batch()
        taken += batch
    await putter
    assert taken == [1, 2, 3, 4, 5]


async def test_put_all_behind_a_full_queue_wakes_when_a_batch_is_taken() -> None:
    """One batch taken frees every place, and the producer fills them all."""
    queue: Channel[int] = Channel(3)
    await queue.put_all([1, 2, 3])
    putter = asyncio.create_task(queue.put_all([4, 5, 6]))
    await asyncio.sleep(0)
    assert not putter.done()
    assert await queue.get_batch() == ([1, 2, 3], False)
    await putter
    assert await queue.get_batch() == ([4, 5, 6], False)


def test_order_queue_refuses_clients_when_full() -> None:
    """A client beyond capacity is refused at once."""
    queue = OrderQueue(capacity=2, reserved=2)
    assert queue.offer(Submission(order(), None))
    assert queue.offer(Submission(order(), None))
    assert not queue.offer(Submission(order(), None))


def test_order_queue_lane_has_places_when_clients_have_none() -> None:
    """System commands enter a queue that is full for clients, behind what was there."""
    queue = OrderQueue(capacity=1, reserved=2)
    first = Submission(order(), None)
    assert queue.offer(first)
    assert queue.put_system("a", SetPhase(Phase.HALTED, "a"))
    assert queue.queue.get_nowait() is first
    item = queue.queue.get_nowait()
    assert item is not None
    assert item.command == SetPhase(Phase.HALTED, "a")


def test_order_queue_system_commands_do_not_take_clients_places() -> None:
    """The lane's commands leave the clients' capacity as it was."""
    queue = OrderQueue(capacity=1, reserved=2)
    queue.put_system("a", SetPhase(Phase.HALTED, "a"))
    assert queue.offer(Submission(order(), None))


def test_order_queue_coalesces_until_taken() -> None:
    """One system command per key waits; when validate has it the next may enter."""
    queue = OrderQueue()
    assert queue.put_system("a", SetPhase(Phase.HALTED, "a"))
    assert not queue.put_system("a", SetPhase(Phase.HALTED, "a"))
    item = queue.queue.get_nowait()
    assert item is not None
    queue.taken(item)
    assert queue.put_system("a", SetPhase(Phase.HALTED, "a"))


def test_order_queue_lane_is_bounded() -> None:
    """More keys than the lane has places is a bug that is reported."""
    queue = OrderQueue(capacity=1, reserved=1)
    queue.put_system("a", SetPhase(Phase.HALTED, "a"))
    with pytest.raises(LaneOverflow):
        queue.put_system("b", SetPhase(Phase.HALTED, "b"))


def test_system_key_tells_teams_and_kinds_apart() -> None:
    """Two teams, or two reasons, are two commands; the same team and reason is one."""
    first = CancelOrders(1, (), CancelReason.PORTFOLIO_LIMIT)
    assert system_key(first) == system_key(CancelOrders(1, (), CancelReason.PORTFOLIO_LIMIT))
    assert system_key(first) != system_key(CancelOrders(2, (), CancelReason.PORTFOLIO_LIMIT))
    assert system_key(first) != system_key(CancelOrders(1, (), CancelReason.TEAM_DISABLED))
