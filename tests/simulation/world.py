"""One seed: an exchange that lives, crashes at any await, loses its disk and comes back, under random load.

A step is one command. Everything that happens is a function of the seed, so what fails once fails again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from exchange.app import Exchange
from exchange.base.clock import LoopClock
from exchange.base.entropy import SeededEntropy
from exchange.base.streams import random_stream
from exchange.base.virtual_loop import VirtualLoop
from exchange.journal.batch import Batch
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.journal.records import decode_batches
from exchange.model.answers import Answer, Done, OrderAnswer, OrdersCancelled, TeamAnswer
from exchange.model.commands import CancelOrder, NewOrder, Record, RegisterTeam
from exchange.model.phases import PHASES
from exchange.model.reasons import Code, Refusal
from exchange.model.types import SelfTradePrevention
from exchange.pipeline.health import State
from exchange.pipeline.responses import PendingRequest, Wait
from tests.oracle.actions import INSTRUMENTS
from tests.simulation.checker import Checker
from tests.simulation.generator import Asked, Generator, register
from tests.simulation.listener import Listener
from tests.simulation.rules import ORDER_QUEUE, TEAMS, disk, game, small_bounds

BURSTS = (1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 40)
"""Commands submitted in one turn of the loop; the largest is more than the queues hold."""
LISTENERS = 3
REST_S = 5.0
"""Virtual seconds within which everything must come to rest."""
NEVER = frozenset({Code.INTERNAL_ERROR, Code.VENUE_HALTED, Code.UNKNOWN_TEAM, Code.UNKNOWN_INSTRUMENT})
"""Refusals that nothing in a simulation calls for."""

EXCUSED = frozenset({Code.JOURNAL_FAILED, Code.RESPONSE_TIMEOUT, Code.REQUEST_EXPIRED, Code.MARKET_CLOSED})
"""Refusals of a lone request that are the weather: the disk, or the clock."""


class SimulationFailed(AssertionError):
    """The exchange did what it must not; the message begins with how to see it again."""


@dataclass
class Report:
    """What a simulation did."""

    steps: int = 0
    records: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    """Sockets, by close code."""
    received: int = 0
    state_hash: str = ""
    """Of the last one."""

    def add(self, other: Report) -> None:
        self.steps += other.steps
        self.records += other.records
        self.lives += other.lives
        self.answers += other.answers
        self.commands += other.commands
        self.closed += other.closed
        self.received += other.received
        self.state_hash = other.state_hash


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


@dataclass
class Life:
    """One run of the exchange on what the run before it left."""

    exchange: Exchange
    journal: MemoryJournal
    tasks: list[asyncio.Task[None]]
    under_way: list[tuple[Asked, PendingRequest]] = field(default_factory=list)
    is_stopping: bool = False

    @property
    def has_failed(self) -> bool:
        return self.exchange.health.state is State.FAILED


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, steps: int, crash_at: tuple[int, float] | None = None) -> None:
        self.report = Report()
        self._crash_at = crash_at
        self._seed = seed
        self._steps = steps
        self._chance = random_stream(seed, "world")
        self._disk = random_stream(seed, "disk")
        prevention = self._chance.choice(tuple(SelfTradePrevention))
        self._config = game(prevention)
        self._checker = Checker(prevention)
        self._make = Generator(random_stream(seed, "commands"), self._checker.books)
        self._make.disabled = self._checker.disabled
        self._batches: list[Batch] = []
        self._clean = True
        self._live_hash: str | None = None
        self._listeners: list[Listener] = []
        self._acknowledged: dict[int, NewOrder] = {}
        self._by_client_id: dict[tuple[int, str], int] = {}
        self._checked = 0
        self._is_dead = False

    async def run(self) -> None:
        """Lives, until there have been enough steps; then a last start, which finds everything."""
        while self.report.steps < self._steps:
            life = await self._begin()
            await self._live(life, self._chance.choice((30, 150, 400, 1_000)))
            await self._end(life)
        life = await self._begin()
        await self._rest(life)
        self.report.state_hash = life.exchange.core.state_hash()
        await self._stop(life)
        self._audit()
        for listener in self._listeners:
            self.report.closed += Counter(listener.closed)
            self.report.received += listener.received

    # --- a life -----------------------------------------------------------------------------------

    async def _begin(self) -> Life:
        faults = disk(self._disk) if self._crash_at is None else MemoryFaults()
        journal = MemoryJournal(self._disk, faults, batches=self._batches, clean=self._clean)
        exchange = Exchange(
            self._config,
            journal,
            clock=LoopClock(asyncio.get_running_loop().time),
            entropy=SeededEntropy(self._chance.getrandbits(64)),
            admin_key="simulation_admin",
        )
        recovered = await exchange.start()
        self._checker.recovered(recovered, exchange, self._news(journal))
        if self._live_hash is not None:
            assert recovered.core.state_hash() == self._live_hash, "a replay is not what was lived"
        self._checker.watch(exchange)
        self._checker.guards_are_due()
        exchange.path.order_queue._capacity = ORDER_QUEUE
        self._is_dead = False
        life = Life(exchange, journal, [asyncio.create_task(exchange.run())])
        while len(self._make.accounts) < TEAMS and not life.has_failed:
            self._submit(life, register(self._make))
            await self._rest(life)
        life.tasks += [asyncio.create_task(self._follow(each, exchange)) for each in self._audience()]
        return life

    async def _live(self, life: Life, steps: int) -> None:
        last = min(self.report.steps + steps, self._steps)
        while self.report.steps < last and not life.has_failed:
            self._make.phase = life.exchange.core.admission.phase
            for _ in range(self._chance.choice(BURSTS)):
                is_calm = PHASES[self._make.phase].match.value == "continuous"
                is_tired = not is_calm and self._chance.random() < 0.3
                self._submit(life, self._make.calm() if is_tired else self._make.next())
            await self._pause(life)
            self._look(life)

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
                await self._alone(life)

    async def _alone(self, life: Life) -> None:
        """With nothing else under way the answer is known: a resend repeats, a live order is cancelled."""
        if not self._make.entered:
            return
        order_id, order = self._chance.choice(self._make.entered)
        if order.client_order_id is not None and self._chance.random() < 0.5:
            answer = await self._ask(life, Asked(order, order.account))
            _must_be_of(order_id, answer)
            assert not isinstance(answer, OrderAnswer) or answer.duplicate
            return
        live = self._checker.books.live[order.account]
        may_cancel = PHASES[self._checker.oracle.market].cancel
        if live and may_cancel:
            cancelled = next(iter(live))
            command = CancelOrder(order.account, cancelled, "", f"r{self._make.number()}")
            answer = await self._ask(life, Asked(command, order.account))
            assert answer is None or (isinstance(answer, OrderAnswer) and answer.order_id == cancelled), (
                answer
            )

    async def _ask(self, life: Life, asked: Asked) -> Answer | None:
        """The answer, or None where the journal or the clock came between."""
        self.report.steps += 1
        answer = await life.exchange.path.intake.execute(
            asked.command, f"s{self.report.steps}", asked.account, Wait.SETTLEMENT
        )
        if isinstance(answer, Refusal):
            self._refused(life, answer)
            if answer.code in EXCUSED:
                return None
        return answer

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
                self._submit(life, self._make.next())
        await self._crash(life)

    async def _stop(self, life: Life) -> None:
        life.exchange.stop()
        life.is_stopping = True
        await life.tasks[0]
        self._look(life)
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
            self._look(life)
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

    # --- what clients do --------------------------------------------------------------------------

    def _submit(self, life: Life, asked: Asked) -> None:
        self.report.steps += 1
        wait = self._chance.choice(tuple(Wait))
        pending = life.exchange.path.intake.submit(
            asked.command, f"s{self.report.steps}", asked.account, wait
        )
        if isinstance(pending, Refusal):
            self.report.answers[pending.code] += 1
            self._refused(life, pending)
            return
        if self._chance.random() < 0.1:
            asyncio.ensure_future(life.exchange.path.responses.wait_for_completion(pending))  # noqa: RUF006
        life.under_way.append((asked, pending))

    def _look(self, life: Life) -> None:
        """Hear every answer that is there by now."""
        if self._checker.failure is not None:
            raise self._checker.failure
        assert life.exchange.health.state is not State.HALTED, life.exchange.health.cause
        if self._is_dead:
            return
        run = life.tasks[0]
        assert life.is_stopping or not run.done(), f"the exchange ended: {run.exception()!r}"
        waiting = []
        for asked, pending in life.under_way:
            if pending.answer is None:
                waiting.append((asked, pending))
            else:
                self._answered(life, asked, pending)
        life.under_way = waiting

    def _answered(self, life: Life, asked: Asked, pending: PendingRequest) -> None:
        answer, command = pending.answer, asked.command
        self.report.answers[answer.code if isinstance(answer, Refusal) else type(answer).__name__] += 1
        if isinstance(answer, Refusal):
            self._refused(life, answer)
        elif isinstance(answer, OrderAnswer) and isinstance(command, NewOrder):
            self._take_order(answer, command)
        elif isinstance(answer, TeamAnswer) and isinstance(command, RegisterTeam):
            self._make.accounts.append(answer.account)
            self._make.keys[answer.account] = f"key{command.name.removeprefix('Team ')}"
        elif isinstance(answer, Done | OrdersCancelled):
            assert answer.sequence <= life.journal.last_sequence, "acknowledged before it was durable"

    def _take_order(self, answer: OrderAnswer, command: NewOrder) -> None:
        name = (command.account, command.client_order_id)
        known = self._by_client_id.get((name[0], name[1])) if name[1] is not None else None
        assert known is None or known == answer.order_id, f"{name} is {known} and {answer.order_id}"
        assert known is None or answer.duplicate, f"{name} was taken twice"
        if name[1] is not None:
            self._by_client_id[name[0], name[1]] = answer.order_id
        if answer.order_id not in self._acknowledged:
            self._acknowledged[answer.order_id] = command
            self._make.entered.append((answer.order_id, command))

    def _refused(self, life: Life, refusal: Refusal) -> None:
        assert refusal.code not in NEVER, refusal
        details = refusal.details or {}
        if details.get("accepted") and "order_number" in details:
            assert details["order_number"] <= life.journal.last_sequence, refusal

    # --- looking after it -------------------------------------------------------------------------

    async def _rest(self, life: Life) -> None:
        """Wait until nothing is under way, and compare everything."""
        loop, core = asyncio.get_running_loop(), life.exchange.core
        deadline_s = loop.time() + REST_S
        while not life.has_failed:
            await asyncio.sleep(0.002)
            self._look(life)
            depths = life.exchange.path.depths()
            is_settled = self._checker.last_sequence == core.admission.last_sequence
            if is_settled and not any(depths.values()) and not life.under_way:
                break
            assert loop.time() < deadline_s, f"no rest: {depths}, {len(life.under_way)} requests under way"
        else:
            return
        self._checker.rest(life.exchange)
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

    def _audit(self) -> None:
        """Every order that was ever acknowledged is in the journal, as it was sent, once."""
        commands = {record.sequence: record.command for record in decode_batches(self._batches)}
        self.report.records = len(commands)
        self.report.commands = Counter(type(command).__name__ for command in commands.values())
        for order_id, order in self._acknowledged.items():
            entered = commands.get(order_id)
            assert isinstance(entered, NewOrder), f"order {order_id} was acknowledged and is {entered}"
            assert entered.same_order(order), f"order {order_id} was {order} and is {entered}"
        names = Counter(
            (command.account, command.client_order_id)
            for command in commands.values()
            if isinstance(command, NewOrder) and command.client_order_id is not None
        )
        assert max(names.values(), default=1) == 1, names.most_common(1)


def _must_be_of(order_id: int, answer: Answer | None) -> None:
    assert answer is None or (isinstance(answer, OrderAnswer) and answer.order_id == order_id), answer


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _number(task: asyncio.Task[object]) -> int:
    return int(task.get_name().rpartition("-")[2]) if "-" in task.get_name() else 0
