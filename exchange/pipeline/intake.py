"""Where a decoded, authenticated request becomes a submission."""

from __future__ import annotations

from exchange.model.answers import Answer
from exchange.model.commands import AnyCommand, Quote
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.channel import OrderQueue
from exchange.pipeline.health import Health
from exchange.pipeline.messages import Submission
from exchange.pipeline.responses import OrderResponseService, PendingRequest, Wait

_FULL = Refusal(Category.UNAVAILABLE, Code.OVERLOADED, "the order queue is full", None, 100)


class Intake:
    """Registers the response, then offers the command to ``order_queue``; refuses at once when it can't."""

    def __init__(self, orders: OrderQueue, responses: OrderResponseService, health: Health) -> None:
        self._orders = orders
        self._responses = responses
        self._health = health

    def submit(
        self, command: AnyCommand | Quote, request_id: str, account: int, wait: Wait = Wait.VALIDATION
    ) -> PendingRequest | Refusal:
        """A place for the answer, or the refusal to send now."""
        refusal = self._health.refusal()
        if refusal is not None:
            return refusal
        pending = self._responses.register(request_id, account, wait)
        if type(pending) is Refusal:
            return pending
        assert isinstance(pending, PendingRequest)
        if not self._orders.offer(Submission(command, pending)):
            self._responses.complete(pending, _FULL)
            return _FULL
        return pending

    async def execute(
        self, command: AnyCommand | Quote, request_id: str, account: int, wait: Wait = Wait.VALIDATION
    ) -> Answer:
        """Submit and wait for the answer."""
        pending = self.submit(command, request_id, account, wait)
        if isinstance(pending, Refusal):
            return pending
        return await self._responses.wait_for_completion(pending)
