"""The order path in one place: four queues, four stages, in order."""

from __future__ import annotations

from typing import Any

import anyio

from exchange.base.bounds import STAGE_QUEUE_CAPACITY
from exchange.base.clock import Clock
from exchange.config import CoordinationConfig
from exchange.journal.protocol import Journal
from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.commands import AnyCommand
from exchange.pipeline.channel import Channel, OrderQueue, system_key
from exchange.pipeline.core import Core
from exchange.pipeline.health import Health
from exchange.pipeline.intake import Intake
from exchange.pipeline.match import MatchStage
from exchange.pipeline.messages import Matched, Outgoing, Sequenced
from exchange.pipeline.publish import Publisher, PublishStage
from exchange.pipeline.responses import OrderResponseService
from exchange.pipeline.settle import SettleStage
from exchange.pipeline.supervisor import every, restarted, watch_loop_lag
from exchange.pipeline.validate import ValidateStage


class OrderPath:
    """intake ─► order_queue ─► validate ─► match_queue ─► match ─► trade_queue ─► settle ─►
    websocket_queue ─► publish
    """

    def __init__(
        self,
        core: Core,
        journal: Journal,
        publisher: Publisher,
        *,
        config: CoordinationConfig,
        health: Health,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self.order_queue = OrderQueue()
        self.match_queue: Channel[Sequenced] = Channel(STAGE_QUEUE_CAPACITY)
        self.trade_queue: Channel[Matched] = Channel(STAGE_QUEUE_CAPACITY)
        self.websocket_queue: Channel[Outgoing] = Channel(STAGE_QUEUE_CAPACITY)
        self.responses = OrderResponseService(config, clock, log, metrics)
        self.intake = Intake(self.order_queue, self.responses, health)
        self._core = core
        self._config = config
        self._log = log
        self._metrics = metrics
        self._closed = False
        self._validate = ValidateStage(
            self.order_queue,
            self.match_queue,
            admission=core.admission,
            journal=journal,
            responses=self.responses,
            health=health,
            clock=clock,
            log=log,
            metrics=metrics,
        )
        self._match = MatchStage(
            self.match_queue,
            self.trade_queue,
            venue=core.venue,
            previews=core.settlement,
            responses=self.responses,
            health=health,
            clock=clock,
            log=log,
            metrics=metrics,
        )
        self._settle = SettleStage(
            self.trade_queue,
            self.websocket_queue,
            settlement=core.settlement,
            orders=self.order_queue,
            responses=self.responses,
            health=health,
            log=log,
            metrics=metrics,
        )
        self._publish = PublishStage(self.websocket_queue, publisher, log=log, metrics=metrics)
        self._observe()

    async def run(self) -> None:
        """Until :meth:`close` was called and everything accepted before it is settled and published."""
        async with anyio.create_task_group() as background:
            background.start_soon(watch_loop_lag, self._metrics)
            background.start_soon(every, self._config.cleanup_interval_seconds, self.responses.clean_up)
            await self._run_stages()
            while not self.order_queue.queue.empty():
                # Settle asked for system commands while the stages drained: they are part of what happened.
                self.order_queue.close()
                await self._run_stages()
            background.cancel_scope.cancel()

    async def _run_stages(self) -> None:
        async with anyio.create_task_group() as stages:
            for stage in (self._validate, self._match, self._settle):
                stages.start_soon(stage.run)
            stages.start_soon(restarted, "publish", self._publish.run, self._log, self._metrics)

    def close(self) -> None:
        """Put the sentinel, once: the stages drain in order. Intake must refuse by then."""
        if not self._closed:
            self._closed = True
            self.order_queue.close()

    def submit_system(self, command: AnyCommand) -> bool:
        """Enter a system command by the reserved lane; False when the same one waits already."""
        return self.order_queue.put_system(system_key(command), command)

    def submit_distinct(self, command: AnyCommand) -> None:
        """Enter a system command also where one like it waits: that one comes before what happened since."""
        self.order_queue.put_system(object(), command)

    def depths(self) -> dict[str, int]:
        """Items waiting on each queue."""
        return {name: queue.qsize() for name, queue in self._queues().items()}

    def _queues(self) -> dict[str, Channel[Any]]:
        return {
            "order_queue": self.order_queue.queue,
            "match_queue": self.match_queue,
            "trade_queue": self.trade_queue,
            "websocket_queue": self.websocket_queue,
        }

    def _observe(self) -> None:
        queues = self._queues()
        self._metrics.gauges(
            "queue_depth", "Items waiting", "queue", [(name, queue.qsize) for name, queue in queues.items()]
        )
        self._metrics.gauge(
            "pending_requests", "Requests that wait", lambda: self.responses.statistics().pending
        )
