"""The second stage: drive the venue with what is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from exchange.base.clock import Clock
from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.answers import OrderAnswer, OrderReport
from exchange.model.commands import IN_STEPS, NewOrder, Record
from exchange.model.events import AnyVenueEvent
from exchange.pipeline.channel import Channel
from exchange.pipeline.health import Health, halted_refusal
from exchange.pipeline.messages import Matched, Sequenced
from exchange.pipeline.responses import OrderResponseService, PendingRequest, ResponseStatus, Wait
from exchange.pipeline.stage import Stage


class Matches(Protocol):
    """The one service this stage calls."""

    def apply(self, record: Record) -> list[AnyVenueEvent]: ...
    def steps(self, record: Record) -> Iterator[list[AnyVenueEvent]]: ...


class Previews(Protocol):
    """What ``?wait=matching`` is told before anything is booked."""

    def preview(self, record: Record, events: list[AnyVenueEvent]) -> OrderReport | None: ...


class MatchStage(Stage[Sequenced]):
    """Takes from ``match_queue``, puts what the venue made of it on ``trade_queue``.

    After an exception the venue is halted by failure: half-applied state must not trade, so everything that
    follows is only answered. The journal has it; the next start replays it.
    """

    def __init__(
        self,
        match_queue: Channel[Sequenced],
        trade_queue: Channel[Matched],
        *,
        venue: Matches,
        previews: Previews,
        responses: OrderResponseService,
        health: Health,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        super().__init__(match_queue, metrics.stage("match"))
        self._trade_queue = trade_queue
        self._venue = venue
        self._previews = previews
        self._responses = responses
        self._health = health
        self._clock = clock
        self._log = log

    async def _process(self, batch: list[Sequenced]) -> None:
        for item in batch:
            if type(item.record.command) in IN_STEPS:
                await self._process_one_by_one(batch)
                return
        with self._meter.batch(len(batch)):
            results = [result for item in batch if (result := self._match(item)) is not None]
        await self._trade_queue.put_all(results)

    async def _process_one_by_one(self, batch: list[Sequenced]) -> None:
        for item in batch:
            if type(item.record.command) in IN_STEPS:
                await self._match_in_steps(item)
                continue
            with self._meter.batch(1):
                result = self._match(item)
            if result is not None:
                await self._trade_queue.put(result)

    async def _match_in_steps(self, item: Sequenced) -> None:
        """An uncross, a close, a mass cancel: between its slices the loop runs, no other command is taken.

        Each slice is settled as an item of its own; who waits is told by the last.
        """
        record, steps = item.record, self._venue.steps(item.record)
        before: list[AnyVenueEvent] | None = None
        while not self._health.is_stale:
            with self._meter.batch(0 if before else 1):
                try:
                    events = next(steps, None)
                except Exception as error:
                    self._fail(record, error)
                    break
            is_last = events is None
            if before is not None:
                if is_last and item.pending is not None:
                    self._tell_matched(record, before, item.pending)
                await self._trade_queue.put(Matched(record, before, item.pending if is_last else None))
            if is_last:
                return
            before = events
            await asyncio.sleep(0)
        self._give_up(item.pending)

    async def _pass_sentinel(self) -> None:
        await self._trade_queue.put(None)

    def _match(self, item: Sequenced) -> Matched | None:
        record, pending = item.record, item.pending
        if self._health.is_stale:
            self._give_up(pending)
            return None
        try:
            events = self._venue.apply(record)
            if pending is not None:
                self._tell_matched(record, events, pending)
        except Exception as error:
            self._fail(record, error)
            self._give_up(pending)
            return None
        return Matched(record, events, pending)

    def _fail(self, record: Record, error: Exception) -> None:
        self._meter.failures.inc()
        self._log.exception("match failed, venue halted", sequence=record.sequence)
        self._health.halt(f"match failed at sequence {record.sequence}: {error!r}")

    def _tell_matched(self, record: Record, events: list[AnyVenueEvent], pending: PendingRequest) -> None:
        pending.matched_ns = self._clock.monotonic_ns()
        if pending.answer is not None:
            return
        pending.status = ResponseStatus.SETTLING
        command = record.command
        if pending.wait is Wait.MATCHING and isinstance(command, NewOrder):
            report = self._previews.preview(record, events)
            if report is None:
                # Only settling them can say what the order came to.
                return
            answer = OrderAnswer(
                record.sequence,
                record.timestamp_us,
                command.instrument_id,
                command.client_order_id,
                report=report,
            )
            self._responses.complete(pending, answer)

    def _give_up(self, pending: PendingRequest | None) -> None:
        if pending is not None:
            self._responses.complete(pending, halted_refusal(pending.order_id))
