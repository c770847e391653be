"""The first stage: admit, make durable, answer, pass on."""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

from exchange.base.clock import Clock
from exchange.journal.protocol import Journal, JournalError
from exchange.journal.records import encode_batch
from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.answers import OrderAnswer, QuoteAnswer
from exchange.model.commands import AnyCommand, NewOrder, Quote, Record
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.channel import Channel, OrderQueue
from exchange.pipeline.health import Health, failed_refusal
from exchange.pipeline.messages import Sequenced, Submission
from exchange.pipeline.responses import OrderResponseService, PendingRequest, ResponseStatus, Wait
from exchange.pipeline.stage import Stage

_FAILED: Final = Refusal(Category.INTERNAL, Code.INTERNAL_ERROR, "the request could not be validated")
_EXPIRED: Final = Refusal(
    Category.TIMEOUT, Code.REQUEST_EXPIRED, "expired before it was sequenced", {"accepted": False}
)

Verdict: TypeAlias = Record | OrderAnswer | Refusal
QuoteVerdict: TypeAlias = tuple[tuple[Record, ...], QuoteAnswer] | Refusal
"""The records of a quote belong together: one batch of the journal, and nothing comes between them."""


class Admits(Protocol):
    """The one service this stage calls."""

    def admit(self, command: AnyCommand, now_us: int) -> Verdict: ...
    def admit_quote(self, quote: Quote, now_us: int) -> QuoteVerdict: ...


class ValidateStage(Stage[Submission]):
    """Takes a batch off ``order_queue``; what is accepted goes to the journal in one write, then to match.

    One write is under way at a time, so the next batch gathers meanwhile: group commit without a timer.
    After a failed write nothing is acknowledged any more: every request is refused until the server stops.
    """

    def __init__(
        self,
        orders: OrderQueue,
        match_queue: Channel[Sequenced],
        *,
        admission: Admits,
        journal: Journal,
        responses: OrderResponseService,
        health: Health,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        super().__init__(orders.queue, metrics.stage("validate"))
        self._orders = orders
        self._match_queue = match_queue
        self._admission = admission
        self._journal = journal
        self._responses = responses
        self._health = health
        self._clock = clock
        self._log = log
        self._metrics = metrics

    async def _process(self, batch: list[Submission]) -> None:
        with self._meter.batch(len(batch)):
            accepted, resent = self._admit_batch(batch)
        durable = not accepted or await self._write(accepted)
        for pending, answer in resent:
            # The order it repeats may be in this very batch: told only when that is durable.
            self._responses.complete(pending, answer if durable else failed_refusal())
        if durable:
            await self._match_queue.put_all(accepted)

    async def _pass_sentinel(self) -> None:
        await self._match_queue.put(None)

    def _admit_batch(
        self, batch: list[Submission]
    ) -> tuple[list[Sequenced], list[tuple[PendingRequest, OrderAnswer]]]:
        accepted: list[Sequenced] = []
        resent: list[tuple[PendingRequest, OrderAnswer]] = []
        for submission in batch:
            self._orders.taken(submission)
            pending = submission.pending
            verdict = self._verdict(submission.command, pending)
            if isinstance(verdict, Record):
                accepted.append(Sequenced(verdict, pending))
            elif isinstance(verdict, tuple):
                records, answer = verdict
                accepted += [Sequenced(record, None) for record in records[:-1]]
                accepted.append(Sequenced(records[-1], pending, answer))
            elif pending is None:
                self._log.warning("system command refused", command=repr(submission.command), why=verdict)
            elif isinstance(verdict, OrderAnswer):
                pending.sequence = verdict.order_id
                resent.append((pending, verdict))
            else:
                self._metrics.rejections.labels(verdict.code).inc()
                self._responses.complete(pending, verdict)
        return accepted, resent

    def _verdict(self, command: AnyCommand | Quote, pending: PendingRequest | None) -> Verdict | QuoteVerdict:
        refusal = self._health.refusal_in_flight()
        if refusal is not None:
            return refusal
        if pending is not None:
            if self._responses.has_expired(pending):
                return _EXPIRED
            pending.status = ResponseStatus.VALIDATING
        try:
            verdict = self._admit(command)
        except Exception:
            self._meter.failures.inc()
            self._log.exception("validate failed", command=repr(command))
            return _FAILED
        if pending is not None and isinstance(verdict, (Record, tuple)):
            pending.sequence = (verdict if isinstance(verdict, Record) else verdict[0][-1]).sequence
            if isinstance(command, NewOrder):
                pending.order_id = pending.sequence
            pending.validated_ns = self._clock.monotonic_ns()
        return verdict

    def _admit(self, command: AnyCommand | Quote) -> Verdict | QuoteVerdict:
        now_us = self._clock.now_us()
        if isinstance(command, Quote):
            return self._admission.admit_quote(command, now_us)
        return self._admission.admit(command, now_us)

    async def _write(self, accepted: list[Sequenced]) -> bool:
        try:
            await self._journal.append(encode_batch([item.record for item in accepted]))
        except JournalError as error:
            self._log.critical(
                "journal failed, stopping", sequence=accepted[0].record.sequence, error=str(error)
            )
            self._health.fail(f"journal failed at sequence {accepted[0].record.sequence}: {error}")
            for item in accepted:
                if item.pending is not None:
                    self._responses.complete(item.pending, failed_refusal())
            return False
        self._tell_durable(accepted)
        return True

    def _tell_durable(self, accepted: list[Sequenced]) -> None:
        now_ns = self._clock.monotonic_ns()
        for item in accepted:
            pending = item.pending
            if pending is None:
                continue
            pending.durable = True
            if pending.answer is not None:
                continue
            pending.written_ns = now_ns
            pending.status = ResponseStatus.MATCHING
            record = item.record
            command = record.command
            if item.answer is not None:
                self._responses.complete(pending, item.answer)
            elif pending.wait is Wait.VALIDATION and isinstance(command, NewOrder):
                answer = OrderAnswer(
                    record.sequence, record.timestamp_us, command.instrument_id, command.client_order_id
                )
                self._responses.complete(pending, answer)
