"""The third stage: book what happened, tell the one who waits, ask for what follows."""

from __future__ import annotations

from typing import Protocol

from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.commands import NewOrder, Record
from exchange.model.events import AnyVenueEvent, Traded
from exchange.pipeline.channel import Channel, OrderQueue, system_key
from exchange.pipeline.health import Health, halted_refusal
from exchange.pipeline.messages import Matched, Outgoing
from exchange.pipeline.responses import OrderResponseService, PendingRequest
from exchange.pipeline.stage import Stage
from exchange.services.settlement.settlement import Settled


class Settles(Protocol):
    """The one service this stage calls."""

    def settle(self, record: Record, events: list[AnyVenueEvent], *, answers: bool) -> Settled: ...


class SettleStage(Stage[Matched]):
    """Takes every event of match, in order; the only producer of private events.

    An exception halts the venue by failure, as in match.
    """

    def __init__(
        self,
        trade_queue: Channel[Matched],
        websocket_queue: Channel[Outgoing],
        *,
        settlement: Settles,
        orders: OrderQueue,
        responses: OrderResponseService,
        health: Health,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        super().__init__(trade_queue, metrics.stage("settle"))
        self._websocket_queue = websocket_queue
        self._settlement = settlement
        self._orders = orders
        self._responses = responses
        self._health = health
        self._log = log
        self._metrics = metrics

    async def _process(self, batch: list[Matched]) -> None:
        with self._meter.batch(len(batch)):
            results = [result for item in batch if (result := self._settle(item)) is not None]
        self._count(results)
        await self._websocket_queue.put_all(results)

    async def _pass_sentinel(self) -> None:
        await self._websocket_queue.put(None)

    def _settle(self, item: Matched) -> Outgoing | None:
        record, pending = item.record, item.pending
        if self._health.is_stale:
            self._give_up(pending)
            return None
        try:
            waits = pending is not None and pending.answer is None
            settled = self._settlement.settle(record, item.events, answers=waits)
            for wish in settled.wishes:
                self._orders.put_system(system_key(wish), wish)
        except Exception as error:
            self._meter.failures.inc()
            self._log.exception("settle failed, venue halted", sequence=record.sequence)
            self._health.halt(f"settle failed at sequence {record.sequence}: {error!r}")
            self._give_up(pending)
            return None
        if pending is not None and settled.answer is not None:
            self._responses.complete(pending, settled.answer)
        return Outgoing(record, item.events, settled.private)

    def _count(self, results: list[Outgoing]) -> None:
        orders = trades = 0
        for result in results:
            orders += type(result.record.command) is NewOrder
            for event in result.events:
                trades += type(event) is Traded
        self._metrics.orders.inc(orders)
        self._metrics.trades.inc(trades)

    def _give_up(self, pending: PendingRequest | None) -> None:
        if pending is not None:
            self._responses.complete(pending, halted_refusal(pending.order_id))
