"""What clients ask of one exchange after another, what they were answered, and what they may rely on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from exchange.app import Exchange
from exchange.journal.memory import MemoryJournal
from exchange.model.answers import (
    Answer,
    Done,
    OrderAnswer,
    OrderReport,
    OrdersCancelled,
    QuoteAnswer,
    TeamAnswer,
)
from exchange.model.commands import CancelOrder, NewOrder, Quote, Record, RegisterTeam
from exchange.model.phases import PHASES
from exchange.model.reasons import Code, Refusal
from exchange.pipeline.health import State
from exchange.pipeline.responses import PendingRequest, Wait
from tests.simulation.checker import Checker
from tests.simulation.generator import Asked, Generator
from tests.simulation.quotes import QuoteAudit
from tests.simulation.report import Report

NEVER = frozenset({Code.INTERNAL_ERROR, Code.VENUE_HALTED, Code.UNKNOWN_TEAM, Code.UNKNOWN_INSTRUMENT})
"""Refusals that nothing in a simulation calls for."""

EXCUSED = frozenset(
    {
        Code.JOURNAL_FAILED,
        Code.VENUE_HALTED,
        Code.RESPONSE_TIMEOUT,
        Code.REQUEST_EXPIRED,
        Code.MARKET_CLOSED,
    }
)
"""Refusals of a lone request that are the weather: the disk, or the clock."""


@dataclass
class Life:
    """One run of the exchange on what the run before it left."""

    exchange: Exchange
    journal: MemoryJournal
    tasks: list[asyncio.Task[None]]
    began_us: int
    under_way: list[tuple[Asked, PendingRequest]] = field(default_factory=list)
    is_stopping: bool = False

    @property
    def has_failed(self) -> bool:
        return self.exchange.health.state is State.FAILED


class Clients:
    """All teams together. A step is one request of theirs."""

    def __init__(self, chance: Random, make: Generator, checker: Checker, report: Report) -> None:
        self._chance = chance
        self._make = make
        self._checker = checker
        self._report = report
        self._acknowledged: dict[int, NewOrder] = {}
        self._first_answers: set[int] = set()
        self._by_client_id: dict[tuple[int, str], int] = {}
        self._reports: list[tuple[int, OrderReport]] = []
        self._quotes = QuoteAudit()

    def submit(self, life: Life, asked: Asked) -> None:
        self._report.steps += 1
        if isinstance(asked.command, Quote):
            self._quotes.asked(asked.command)
        wait = self._chance.choice(tuple(Wait))
        pending = life.exchange.path.intake.submit(
            asked.command, f"s{self._report.steps}", asked.account, wait
        )
        if isinstance(pending, Refusal):
            self._report.answers[pending.code] += 1
            self._refused(life, pending)
            return
        if self._chance.random() < 0.1:
            asyncio.ensure_future(life.exchange.path.responses.wait_for_completion(pending))  # noqa: RUF006
        life.under_way.append((asked, pending))

    def look(self, life: Life) -> None:
        """Hear every answer that is there by now."""
        if self._checker.failure is not None:
            raise self._checker.failure
        assert life.exchange.health.state is not State.HALTED, life.exchange.health.cause
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
        self._report.answers[answer.code if isinstance(answer, Refusal) else type(answer).__name__] += 1
        if isinstance(command, Quote) and isinstance(answer, QuoteAnswer | Refusal):
            self._quotes.answered(command, answer)
        if isinstance(answer, OrderAnswer) and answer.report is not None and not answer.duplicate:
            assert pending.sequence is not None
            self._reports.append((pending.sequence, answer.report))
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
        order_id = answer.order_id
        # The answer to a resend may come before that to the first request.
        assert answer.duplicate or order_id not in self._first_answers, f"{order_id} was taken twice"
        if not answer.duplicate:
            self._first_answers.add(order_id)
        if command.client_order_id is not None:
            known = self._by_client_id.setdefault((command.account, command.client_order_id), order_id)
            assert known == order_id, f"{command.client_order_id} is {known} and {order_id}"
        if order_id not in self._acknowledged:
            self._acknowledged[order_id] = command
            self._make.entered.append((order_id, command))

    def _refused(self, life: Life, refusal: Refusal) -> None:
        # What is durable when the disk fails is not settled any more either.
        is_end = life.has_failed and refusal.code == Code.VENUE_HALTED
        assert is_end or refusal.code not in NEVER, refusal
        details = refusal.details or {}
        if details.get("accepted") and "order_number" in details:
            assert details["order_number"] <= life.journal.last_sequence, refusal

    def check_reports(self) -> None:
        """What was told after matching, before anything was booked, is what came to be."""
        for sequence, report in self._reports:
            settled = self._checker.reports.get(sequence, report)
            assert report == settled, f"{sequence} was told {report} and is {settled}"
        self._reports.clear()

    async def ask_alone(self, life: Life) -> None:
        """With nothing else under way the answer is known: a resend repeats, a live order is cancelled."""
        if not self._make.entered:
            return
        order_id, order = self._chance.choice(self._make.entered)
        live = self._checker.books.live[order.account]
        if order.client_order_id is not None and self._chance.random() < 0.5:
            answer = await self._ask(life, Asked(order, order.account))
            _must_be_of(order_id, answer)
            assert not isinstance(answer, OrderAnswer) or answer.duplicate
        elif live and PHASES[self._checker.oracle.market].cancel:
            cancelled = next(iter(live))
            command = CancelOrder(order.account, cancelled, "", f"r{self._make.number()}")
            _must_be_of(cancelled, await self._ask(life, Asked(command, order.account)))

    async def _ask(self, life: Life, asked: Asked) -> Answer | None:
        """The answer, or None where the journal or the clock came between."""
        self._report.steps += 1
        answer = await life.exchange.path.intake.execute(
            asked.command, f"s{self._report.steps}", asked.account, Wait.SETTLEMENT
        )
        if isinstance(answer, Refusal):
            self._refused(life, answer)
            if answer.code in EXCUSED:
                return None
        return answer

    def audit(self, records: Iterable[Record]) -> None:
        """Every order that was acknowledged is in the journal, as it was sent, once; no quote by half."""
        records = list(records)
        self._quotes.audit(records)
        commands = {record.sequence: record.command for record in records}
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
