"""What coordinating a response costs: microseconds per request, bytes per request that waits."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc

from bench.report import Figure, heading, show
from exchange.base.clock import SystemClock
from exchange.base.eager_task import EagerTask
from exchange.config import CoordinationConfig
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.answers import OrderAnswer
from exchange.pipeline.responses import OrderResponseService, PendingRequest, Wait

REQUESTS = 20_000
WAITING = 5_000


def _service() -> OrderResponseService:
    config = CoordinationConfig(max_pending_requests=1_000_000, max_pending_per_team=1_000_000)
    return OrderResponseService(config, SystemClock(), get_logger("bench"), Metrics())


def _register(service: OrderResponseService, number: int) -> PendingRequest:
    pending = service.register(f"r{number}", 1, Wait.VALIDATION)
    assert isinstance(pending, PendingRequest)
    return pending


async def _wait(service: OrderResponseService, pending: PendingRequest) -> None:
    await service.wait_for_completion(pending)


def _raise(error: Exception) -> None:
    raise error


async def _microseconds() -> float:
    service, answer = _service(), OrderAnswer(1, 0, "X")
    gc.collect()
    waiting: set[EagerTask] = set()
    started = time.perf_counter()
    for number in range(REQUESTS):
        pending = _register(service, number)
        EagerTask(_wait(service, pending), waiting, _raise)
        service.complete(pending, answer)
        await asyncio.sleep(0)
    return (time.perf_counter() - started) / REQUESTS * 1e6


async def _bytes_waiting() -> float:
    service = _service()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    pendings = [_register(service, number) for number in range(WAITING)]
    waiting: set[EagerTask] = set()
    for pending in pendings:
        EagerTask(_wait(service, pending), waiting, _raise)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for pending in pendings:
        service.complete(pending, OrderAnswer(1, 0, "X"))
    await asyncio.sleep(0)
    if waiting:
        raise RuntimeError(f"{len(waiting)} were not answered")
    return (after - before) / WAITING


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    heading("Response coordination", "register, wait with a timeout in a task of its own, resolve, clean up")
    microseconds = min(asyncio.run(_microseconds()) for _ in range(3))
    print(f"  {microseconds:.1f} us per request, the waiting task included")
    kib = asyncio.run(_bytes_waiting()) / 1024
    show(Figure("KiB per waiting request, its task included", [kib], at_most=2.5))


if __name__ == "__main__":
    main()
