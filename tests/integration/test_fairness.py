"""First come, first served: 50 HTTP and 5 WebSocket clients, whatever their speed."""

from __future__ import annotations

import asyncio
import itertools
import random
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from functools import partialmethod
from statistics import median

import pytest

import exchange.pipeline.path as path_module
from exchange.config import CoordinationConfig
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.model.commands import NewOrder
from exchange.pipeline.channel import Channel, OrderQueue
from exchange.pipeline.messages import Submission
from exchange.services.orders.register import OrderRegister
from tests.support.raw_client import Message, RawClient, request
from tests.support.ws_exchange import ws_exchange

POLITE_HTTP, POLITE_SOCKETS = 40, 2
FLOODING_HTTP, FLOODING_SOCKETS = 10, 3
CLIENTS = POLITE_HTTP + POLITE_SOCKETS + FLOODING_HTTP + FLOODING_SOCKETS
POLITE, LOUD = 1, 2
"""Quantities, so that a queue could tell them apart."""
IN_FLIGHT = 64
ROUNDS = 15
FLUSH_S = 0.001
BATCH = 16
"""So that the queue holds more than one turn of validate takes, and it matters who comes first."""


class Log:
    """Orders by the time at which the server's kernel had them, and by the numbers they were given."""

    def __init__(self) -> None:
        self._names = itertools.count()
        self.sent: dict[str, int] = {}
        self._polite: set[str] = set()
        self.submitted: list[str] = []
        self.numbers: dict[str, int] = {}

    def order(self, *, polite: bool) -> Message:
        """A new one."""
        name = f"c{next(self._names)}"
        quantity = POLITE if polite else LOUD
        if polite:
            self._polite.add(name)
        terms = {"instrument_id": "FLOW", "side": "buy", "price": 160.0}
        return terms | {"quantity": quantity, "client_order_id": name}

    def note_sent(self, order: Message) -> None:
        """Its last byte has just left."""
        self.sent[order["client_order_id"]] = len(self.sent)

    def listen(self, orders: OrderQueue) -> None:
        """Note what is put on ``orders`` from now on."""
        offer = orders.offer

        def noted(submission: Submission) -> bool:
            if isinstance(submission.command, NewOrder):
                self.submitted.append(submission.command.client_order_id or "")
            return offer(submission)

        orders.offer = noted  # type: ignore[method-assign]  # a spy

    def read(self, register: OrderRegister) -> None:
        """Which numbers the orders were given."""
        for name in self.sent:
            known = register.by_client_id(1, name)
            assert known is not None
            self.numbers[name] = known.order_id

    def overtaken(self) -> list[int]:
        """For each polite order: how many that arrived after it were sequenced before it."""
        seen: list[int] = []
        overtaken = []
        for name in sorted(self.numbers, key=self.numbers.__getitem__):
            place = self.sent[name]
            if name in self._polite:
                overtaken.append(len(seen) - bisect_left(seen, place))
            insort(seen, place)
        return overtaken


class Crowd:
    """All clients of one run. Polite ones send one order and wait; the others keep 64 under way.

    Everybody is connected before the first order: what a new connection waits for is not the order queue.
    """

    def __init__(self, log: Log, sockets: list[RawClient], https: list[RawClient]) -> None:
        self._log = log
        self._sockets = sockets
        self._https = https
        self._random = random.Random(11)
        self._polite_left = POLITE_HTTP + POLITE_SOCKETS

    async def run(self) -> None:
        """Until every polite client has sent all its orders."""
        flooding, polite = self._https[:FLOODING_HTTP], self._https[FLOODING_HTTP:]
        async with asyncio.TaskGroup() as tasks:
            for client in flooding:
                tasks.create_task(self._flood_http(client))
            for client in self._sockets[:FLOODING_SOCKETS]:
                tasks.create_task(self._flood_socket(client))
            for number, client in enumerate(polite):
                tasks.create_task(self._polite_http(client, slow=number % 4 == 0))
            for client in self._sockets[FLOODING_SOCKETS:]:
                tasks.create_task(self._polite_socket(client))

    async def _polite_http(self, client: RawClient, *, slow: bool) -> None:
        for _ in range(ROUNDS):
            await self._think(40 if slow else 4)
            order = self._log.order(polite=True)
            client.send(client.order(order))
            self._log.note_sent(order)
            await self._think(20 if slow else 0)
            assert (await client.answer())["success"]
        self._polite_left -= 1

    async def _polite_socket(self, client: RawClient) -> None:
        for number in range(ROUNDS):
            await self._think(4)
            order = self._log.order(polite=True)
            client.send(request(number, "order.new", **order))
            self._log.note_sent(order)
            assert "result" in await client.message()
        self._polite_left -= 1

    async def _flood_http(self, client: RawClient) -> None:
        """Pipelined; read late and in lumps."""
        while self._polite_left:
            orders = [self._log.order(polite=False) for _ in range(IN_FLIGHT)]
            client.send(b"".join(client.order(order) for order in orders))
            for order in orders:
                self._log.note_sent(order)
            await self._think(10)
            for _ in orders:
                assert (await client.answer())["success"]

    async def _flood_socket(self, client: RawClient) -> None:
        under_way = 0
        while self._polite_left or under_way:
            while self._polite_left and under_way < IN_FLIGHT:
                order = self._log.order(polite=False)
                client.send(request(0, "order.new", **order))
                self._log.note_sent(order)
                under_way += 1
            assert "result" in await client.message()
            under_way -= 1

    async def _think(self, turns: int) -> None:
        for _ in range(self._random.randint(0, turns)):
            await asyncio.sleep(0)


async def _connect(port: int, key: str) -> tuple[list[RawClient], list[RawClient]]:
    sockets = [RawClient(port, key) for _ in range(FLOODING_SOCKETS + POLITE_SOCKETS)]
    https = [RawClient(port, key) for _ in range(FLOODING_HTTP + POLITE_HTTP)]
    for client in sockets:
        await client.upgrade()
    for client in https:
        client.send(client.head("GET", "/health/live"))
        assert (await client.answer())["success"]
    return sockets, https


async def _run() -> Log:
    log = Log()
    journal = MemoryJournal(random.Random(1), MemoryFaults(latency_s=FLUSH_S))
    # An unfair queue may starve an order for longer than anybody would wait.
    patient = CoordinationConfig(default_timeout_seconds=60.0)
    async with ws_exchange("flow", journal, responses=patient) as exchange:
        key = await exchange.team("Alpha", "player")
        log.listen(exchange.exchange.path.order_queue)
        sockets, https = await _connect(exchange.port, key)
        await Crowd(log, sockets, https).run()
        for client in (*sockets, *https):
            client.leave(reset=False)
        log.read(exchange.exchange.core.register)
    return log


def _check_numbered_as_submitted(log: Log) -> None:
    assert [log.numbers[name] for name in log.submitted] == sorted(log.numbers.values())


def _check_nobody_is_passed_over(log: Log) -> None:
    overtaken = log.overtaken()
    assert len(overtaken) == ROUNDS * (POLITE_HTTP + POLITE_SOCKETS)
    assert median(overtaken) == 0
    assert max(overtaken) <= IN_FLIGHT * FLOODING_SOCKETS + CLIENTS


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "get_batch", partialmethod(Channel.get_batch, BATCH))


def test_orders_are_served_as_they_come_whatever_the_clients_do() -> None:
    """Numbers follow submission exactly, and arrival but for what one reading of each other socket brings.

    A polite order is typically overtaken by none that arrived after it, and never by more than every other
    connection may have under way: 64 of a flooding socket, one of any other, pipelined HTTP included.
    """
    log = asyncio.run(_run())
    # Enough to judge by; how many it becomes depends on the speed of the machine.
    assert len(log.numbers) == len(log.sent) > 2_000
    _check_numbered_as_submitted(log)
    _check_nobody_is_passed_over(log)


class LastFirst(Channel[Submission]):
    """Last come, first served; the sentinel stays behind everything."""

    def _put(self, item: Submission | None) -> None:
        waiting: deque[Submission | None] = self._queue
        if item is None:
            waiting.append(item)
        else:
            waiting.appendleft(item)


class LoudFirst(Channel[Submission]):
    """Serves the flooding clients before the others, but for every eighth place."""

    _turn = 0

    def _get(self) -> Submission | None:
        waiting: deque[Submission | None] = self._queue
        self._turn += 1
        for place, item in enumerate(waiting):
            loud = isinstance(item, Submission) and getattr(item.command, "quantity", 0) == LOUD
            if loud and self._turn % 8:
                del waiting[place]
                return item
        return waiting.popleft()


@pytest.mark.parametrize("unfair", [LastFirst, LoudFirst])
def test_fairness_control_finds_an_unfair_queue(
    monkeypatch: pytest.MonkeyPatch, unfair: Callable[[int], Channel[Submission]]
) -> None:
    """The controls: last come first served, or flooding clients first, and both checks fail."""

    def make() -> OrderQueue:
        orders = OrderQueue()
        orders.queue = unfair(orders.queue.maxsize)
        return orders

    monkeypatch.setattr(path_module, "OrderQueue", make)
    log = asyncio.run(_run())
    with pytest.raises(AssertionError):
        _check_numbered_as_submitted(log)
    with pytest.raises(AssertionError):
        _check_nobody_is_passed_over(log)
