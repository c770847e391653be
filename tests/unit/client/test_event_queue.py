"""The queue of received events is bounded and has one reader."""

import asyncio

import pytest

from exchange.client.event_queue import EventQueue


async def test_get_returns_in_order_and_waits() -> None:
    """First in, first out; an empty queue makes its reader wait."""
    queue = EventQueue[str]()
    reader = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert queue.offer("a", "b")
    assert [await reader, await queue.get()] == ["a", "b"]


async def test_offer_enters_all_or_nothing() -> None:
    """Without room for all of them none is entered."""
    queue = EventQueue[str](capacity=2)
    assert queue.offer("a")
    assert not queue.offer("b", "c")
    assert len(queue) == 1


async def test_drained_is_called_once_after_a_refusal() -> None:
    """When half has been read after a refusal, and not without one."""
    called: list[int] = []
    queue = EventQueue[int](lambda: called.append(len(queue)), capacity=4)
    queue.offer(1)
    await queue.get()
    assert called == []
    queue.offer(1, 2, 3, 4)
    assert not queue.offer(5)
    for _ in range(4):
        await queue.get()
    assert called == [2]


async def test_mark_finds_room_once_for_each_type() -> None:
    """A mark enters a full queue, a second of its type only after the first was read."""
    queue = EventQueue[object](capacity=1)
    queue.offer(1)
    queue.mark("lost")
    queue.mark("lost again")
    queue.mark(2.5)
    assert [await queue.get() for _ in range(3)] == [1, "lost", 2.5]
    queue.mark("lost")
    assert await queue.get() == "lost"


async def test_end_comes_after_what_is_left() -> None:
    """The reader gets everything, then the error, each time it asks."""
    queue = EventQueue[int]()
    queue.offer(1)
    queue.end(ValueError("over"))
    queue.end()
    assert not queue.offer(2)
    assert await queue.get() == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="over"):
            await queue.get()


async def test_end_wakes_the_reader() -> None:
    """Who waits is told; without an error iteration just stops."""
    queue = EventQueue[int]()

    async def read() -> bool:
        try:
            await queue.get()
        except StopAsyncIteration:
            return True
        return False

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    queue.end()
    assert await reader


async def test_second_reader_is_refused() -> None:
    """Two readers would each get a part."""
    queue = EventQueue[int]()
    reader = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await queue.get()
    reader.cancel()
    await asyncio.wait((reader,))
    queue.offer(1)
    assert await queue.get() == 1
