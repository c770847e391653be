"""One seed: an exchange that lives, crashes at any await, loses its disk and comes back, under random load.

A step is one command. Everything that happens is a function of the seed, so what fails once fails again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from exchange.app import Exchange
from exchange.base.clock import LoopClock
from exchange.base.entropy import SeededEntropy
from exchange.base.streams import random_stream
from exchange.base.virtual_loop import VirtualLoop
from exchange.journal.batch import Batch
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.journal.records import decode_batches
from exchange.model.commands import Record
from exchange.model.phases import PHASES
from tests.oracle.actions import INSTRUMENTS
from tests.simulation.checker import Checker
from tests.simulation.clients import Clients, Life
from tests.simulation.generator import Generator, register
from tests.simulation.listener import Listener
from tests.simulation.report import Report, SimulationFailed
from tests.simulation.rules import BATCH_MS, ORDER_QUEUE, TEAMS, choose_game, configure, disk, small_bounds
from tests.simulation.snapshots import SnapshotExchange

BURSTS = 3 * (1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12) + (40,)
"""Commands submitted in one turn of the loop; the largest is more than the queues hold."""
LISTENERS = 3
SNAPSHOTS = 0.3
"""Share of the starts that begin with a snapshot."""
REST_S = 5.0
"""Virtual seconds within which everything must come to rest."""


def simulate(
    seed: int, steps: int, plant: str | None = None, crash_at: tuple[int, float] | None = None
) -> Report:
    """Run one seed; raises SimulationFailed. ``plant`` is only told how to run it again.

    With ``crash_at`` the disk is quick, and each life ends so many turns of the loop after its last burst, at
    that place (0 to 1) between the steps that are ready in that turn.
    """
    world = World(seed, steps, crash_at)
    try:
        with small_bounds(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(world.run())
    except Exception as error:
        planted = "" if plant is None else f" --plant '{plant}'"
        raise SimulationFailed(
            f"python -m tests.simulation --seed {seed} --steps {steps}{planted}\n"
            f"at step {world.report.steps}, life {sum(world.report.lives.values()) + 1}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return world.report


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, steps: int, crash_at: tuple[int, float] | None = None) -> None:
        self.report = Report()
        self._crash_at = crash_at
        self._seed = seed
        self._steps = steps
        self._chance = random_stream(seed, "world")
        self._disk = random_stream(seed, "disk")
        game = choose_game(self._chance)
        self._config = configure(game)
        self._checker = Checker(game)
        self._make = Generator(random_stream(seed, "commands"), self._checker.books)
        self._make.disabled = self._checker.disabled
        self._batches: list[Batch] = []
        self._clean = True
        self._live_hash: str | None = None
        self._listeners: list[Listener] = []
        self._clients = Clients(self._chance, self._make, self._checker, self.report)
        self._is_dead = False

    async def run(self) -> None:
        """Lives, until there have been enough steps; then a last start, which finds everything."""
        while self.report.steps < self._steps:
            life = await self._begin()
            await self._live(life, self._chance.choice((30, 150, 400, 1_000)))
            await self._end(life)
        life = await self._begin()
        await self._rest(life)
        await asyncio.sleep(3 * BATCH_MS / 1_000)
        await self._rest(life)
        self._checker.no_batch_is_overdue(life.exchange)
        self.report.state_hash = life.exchange.core.state_hash()
        await self._stop(life)
        records = list(decode_batches(self._batches))
        self.report.records = len(records)
        self.report.commands = Counter(type(record.command).__name__ for record in records)
        self._clients.audit(records)
        self.report.ended = Counter({why.value: count for why, count in self._checker.books.ended.items()})
        for listener in self._listeners:
            self.report.closed += Counter(listener.closed)
            self.report.received += listener.received

    # --- a life -----------------------------------------------------------------------------------

    async def _begin(self) -> Life:
        faults = disk(self._disk) if self._crash_at is None else MemoryFaults()
        journal = MemoryJournal(self._disk, faults, batches=self._batches, clean=self._clean)
        exchange = SnapshotExchange(
            self._config,
            journal,
            self._chance.random() if self._chance.random() < SNAPSHOTS else None,
            clock=LoopClock(asyncio.get_running_loop().time),
            entropy=SeededEntropy(self._chance.getrandbits(64)),
            admin_key="simulation_admin",
        )
        recovered = await exchange.start()
        self.report.snapshots += recovered.snapshot > 0
        self._checker.recovered(recovered, exchange, self._news(journal))
        if self._live_hash is not None:
            assert recovered.core.state_hash() == self._live_hash, "a replay is not what was lived"
        self._checker.watch(exchange)
        self._checker.guards_are_due()
        exchange.path.order_queue._capacity = ORDER_QUEUE
        self._is_dead = False
        life = Life(exchange, journal, [asyncio.create_task(exchange.run())], exchange._clock.now_us())
        while len(self._make.accounts) < TEAMS and not life.has_failed:
            self._clients.submit(life, register(self._make))
            await self._rest(life)
        life.tasks += [asyncio.create_task(self._follow(each, exchange)) for each in self._audience()]
        return life

    async def _live(self, life: Life, steps: int) -> None:
        last = min(self.report.steps + steps, self._steps)
        while self.report.steps < last and not life.has_failed:
            self._make.phase = life.exchange.core.admission.phase
            self._make.now_us = life.exchange._clock.now_us()
            for _ in range(self._chance.choice(BURSTS)):
                is_calm = PHASES[self._make.phase].match.value == "continuous"
                is_tired = not is_calm and self._chance.random() < 0.3
                self._clients.submit(life, self._make.calm() if is_tired else self._make.next())
            await self._pause(life)
            self._clients.look(life)

    async def _pause(self, life: Life) -> None:
        kind = self._chance.random()
        if kind < 0.3:
            await asyncio.sleep(0)
        elif kind < 0.85:
            await asyncio.sleep(self._chance.random() * 0.003)
        elif kind < 0.87:
            await asyncio.sleep(0.06)
        elif kind < 0.9 and self._listeners:
            self._chance.choice(self._listeners).hang_up()
        else:
            await self._rest(life)
            if self._chance.random() < 0.5 and not life.has_failed:
                await self._clients.ask_alone(life)

    async def _end(self, life: Life) -> None:
        """Stop in order, or crash: by a failed disk, or at any await under load."""
        if not life.has_failed and self._chance.random() < 0.2:
            await self._rest(life)
        if not life.has_failed and self._chance.random() < 0.15 and self._crash_at is None:
            await self._stop(life)
            if not life.has_failed:
                self.report.lives["stopped"] += 1
                return
        self.report.lives["disk failed" if life.has_failed else "crashed"] += 1
        if not life.has_failed:
            for _ in range(self._chance.choice(BURSTS)):
                self._clients.submit(life, self._make.next())
        await self._crash(life)

    async def _stop(self, life: Life) -> None:
        life.exchange.stop()
        life.is_stopping = True
        await life.tasks[0]
        self._clients.look(life)
        await life.journal.close()
        self._is_dead = True
        if not life.has_failed:
            self._batches, self._clean = list(life.journal.read()), True
            self._live_hash = life.exchange.core.state_hash()
        await self._drop(life)

    async def _crash(self, life: Life) -> None:
        """Power is lost between two steps of any tasks: what the journal has is all there is."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        over = asyncio.Event()

        def crash() -> None:
            try:
                self._clients.look(life)
            except AssertionError as error:
                self._checker.failure = error
            self._batches, self._clean = life.journal.crash(), False
            self._is_dead = True
            over.set()

        def crash_between() -> None:
            assert isinstance(loop, VirtualLoop)
            loop.call_between(self._chance.random(), crash)

        if self._crash_at is not None:
            turns, place = self._crash_at
            await _turns(turns)
            loop.call_between(place, crash)
        elif self._chance.random() < 0.5:
            await _turns(self._chance.randrange(30))
            crash_between()
        else:
            loop.call_later(self._chance.random() * 0.004, crash_between)
        await over.wait()
        self._live_hash = None
        await self._drop(life)

    async def _drop(self, life: Life) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in sorted(rest, key=_number):
            task.cancel()
        await asyncio.gather(*rest, *life.tasks, return_exceptions=True)
        if self._checker.failure is not None:
            raise self._checker.failure

    # --- looking after it -------------------------------------------------------------------------

    async def _rest(self, life: Life) -> None:
        """Wait until nothing is under way, and compare everything."""
        loop, core = asyncio.get_running_loop(), life.exchange.core
        deadline_s = loop.time() + REST_S
        while not life.has_failed:
            await asyncio.sleep(0.002)
            self._clients.look(life)
            depths = life.exchange.path.depths()
            is_settled = self._checker.last_sequence == core.admission.last_sequence
            if is_settled and not any(depths.values()) and not life.under_way:
                break
            assert loop.time() < deadline_s, f"no rest: {depths}, {len(life.under_way)} requests under way"
        else:
            return
        self._checker.rest(life.exchange)
        self._checker.nothing_is_overdue(life.exchange._clock.now_us(), life.began_us)
        self._clients.check_reports()
        books = {name: core.venue.depth(name, 1_000) for name in INSTRUMENTS}
        feed = life.exchange.path._publish._publisher.feed
        for listener in self._listeners:
            listener.check_depth(books, feed)

    def _news(self, journal: MemoryJournal) -> Iterator[Record]:
        return decode_batches(journal.read(after=max(0, self._checker.last_sequence - 1)))

    def _audience(self) -> list[Listener]:
        for account in self._make.accounts[len(self._listeners) : LISTENERS]:
            stream = random_stream(self._seed, f"listener.{account}")
            key = self._make.keys[account]
            self._listeners.append(Listener(account, key, self._checker, stream))
        return self._listeners

    async def _follow(self, listener: Listener, exchange: Exchange) -> None:
        listener.begin(self._make.keys[listener.account])
        try:
            await listener.follow(exchange)
        except Exception as error:
            if not self._is_dead and self._checker.failure is None:
                self._checker.failure = AssertionError(f"listener of {listener.account}: {error!r}")


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _number(task: asyncio.Task[object]) -> int:
    return int(task.get_name().rpartition("-")[2]) if "-" in task.get_name() else 0
