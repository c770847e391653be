"""The order rate of each team: a sliding window, so that no second holds more than the limit."""

from __future__ import annotations

from collections import deque
from typing import Final

from exchange.base.bounds import MAX_ORDER_RATE
from exchange.model.reasons import Refusal
from exchange.model.roles import OrderRate
from exchange.services.validation.proposal import Proposal
from exchange.services.validation.replies import Reply

WINDOW_US: Final = 1_000_000


class RateWindow:
    """Admits at most ``max_orders_per_second`` within any one second.

    What it lets pass counts, also if a later constraint refuses it; what it refuses itself does not, so that
    a team that waits ``retry_after_ms`` gets through. So both sides of a quote pass together or not at all.
    What passed before a clock was set back counts as now.
    """

    def __init__(self, row: OrderRate) -> None:
        if not 1 <= row.max_orders_per_second <= MAX_ORDER_RATE:
            raise ValueError(f"order_rate: max_orders_per_second must be 1 to {MAX_ORDER_RATE}")
        self._limit = row.max_orders_per_second
        self._reply = Reply(row)
        self._passed: dict[int, deque[int]] = {}

    def count(self, proposal: Proposal) -> Refusal | None:
        """Judge, and remember what passes."""
        account, now_us, orders = proposal.order.account, proposal.now_us, proposal.orders
        passed = self._passed.get(account)
        if passed is None:
            passed = self._passed[account] = deque(maxlen=self._limit)
        elif passed and passed[-1] > now_us:
            for index, then_us in enumerate(passed):
                passed[index] = min(then_us, now_us)
        excess = len(passed) + orders - self._limit
        if excess > 0 and passed[excess - 1] > now_us - WINDOW_US:
            return self._refuse(passed[excess - 1] + WINDOW_US - now_us)
        if orders == 1:
            passed.append(now_us)
        else:
            passed.extend((now_us,) * orders)
        return None

    def peek(self, proposal: Proposal) -> Refusal | None:
        """Judge only."""
        passed = self._passed.get(proposal.order.account)
        if passed is None or len(passed) < self._limit:
            return None
        wait_us = min(passed[0], proposal.now_us) + WINDOW_US - proposal.now_us
        return self._refuse(wait_us) if wait_us > 0 else None

    def _refuse(self, wait_us: int) -> Refusal:
        return self._reply.refuse({"limit": self._limit}, retry_after_ms=-(-wait_us // 1000))
