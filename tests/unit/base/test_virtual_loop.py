"""Virtual time: jumps, never waits, never hangs."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest

from exchange.base.clock import LoopClock
from exchange.base.virtual_loop import Deadlock, Livelock, NotVirtual, VirtualLoop, run_virtual


def test_virtual_loop_jumps_to_the_next_timer() -> None:
    """A year of sleeping takes no time, and is a year."""

    async def sleep() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    started_s = time.monotonic()
    assert run_virtual(sleep()) == pytest.approx(365 * 86_400)
    assert time.monotonic() - started_s < 5


def test_virtual_loop_wakes_timers_in_the_order_of_their_times() -> None:
    """Whatever the order in which they were set."""

    async def wake() -> list[int]:
        woken: list[int] = []

        async def sleep(seconds: int) -> None:
            await asyncio.sleep(seconds)
            woken.append(seconds)

        await asyncio.gather(*map(sleep, (3, 1, 2)))
        return woken

    assert run_virtual(wake()) == [1, 2, 3]


def test_virtual_loop_runs_what_is_ready_before_time_passes() -> None:
    """A task that never sleeps sees no time pass, however much it does."""

    async def work() -> float:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def fill() -> None:
            for number in range(1_000):
                await queue.put(number)

        filling = asyncio.create_task(fill())
        for _ in range(1_000):
            await queue.get()
        await filling
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) == 0


def test_virtual_loop_raises_where_real_time_would_hang() -> None:
    """A future that nobody will ever resolve is a deadlock, told at once."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_virtual(wait())


def test_virtual_loop_raises_where_real_time_would_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is always ready keeps time from passing; but not one that sleeps now and then."""
    monkeypatch.setattr("exchange.base.bounds.TURNS_AT_ONE_MOMENT", 100)

    async def spin(sleeps_s: float) -> None:
        for turn in range(1_000):
            await asyncio.sleep(sleeps_s if turn % 50 == 0 else 0)

    with pytest.raises(Livelock):
        run_virtual(spin(0))
    run_virtual(spin(0.001))


def test_virtual_loop_times_out_what_waits_for_nothing() -> None:
    """A deadline is a timer: with one there is no deadlock."""

    async def wait() -> None:
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        run_virtual(wait())


def test_virtual_loop_has_no_threads() -> None:
    """A thread would take real time, and come back at any moment."""

    async def ask() -> None:
        await asyncio.to_thread(time.monotonic)

    with pytest.raises(NotVirtual):
        run_virtual(ask())


def test_virtual_loop_bears_anyio() -> None:
    """Task groups, sleeps and deadlines of anyio, which the server's supervisor uses."""

    async def group() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            with anyio.move_on_after(2):
                await anyio.sleep_forever()
        return asyncio.get_running_loop().time()

    assert run_virtual(group()) == pytest.approx(5)


@pytest.mark.parametrize(("place", "expected"), [(0.0, "xab"), (0.5, "axb"), (1.0, "abx")])
def test_virtual_loop_calls_between_what_is_ready(place: float, expected: str) -> None:
    """Also before what became ready earlier: any await can be the last before a crash."""
    loop = VirtualLoop()
    order: list[str] = []
    loop.call_soon(order.append, "a")
    loop.call_soon(order.append, "b")
    loop.call_between(place, lambda: order.append("x"))
    loop.call_later(1, loop.stop)
    loop.run_forever()
    loop.close()
    assert "".join(order) == expected


def test_loop_clock_follows_the_loop() -> None:
    """Wall clock and monotonic clock pass alike; the wall clock begins where it is told."""

    async def read() -> tuple[int, int]:
        clock = LoopClock(asyncio.get_running_loop().time, start_us=1_000)
        await asyncio.sleep(1.5)
        return clock.now_us(), clock.monotonic_ns()

    assert run_virtual(read()) == (1_501_000, 1_500_000_000)
