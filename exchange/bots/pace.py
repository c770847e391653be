"""How fast a bot may go, so that it never meets its role's limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

WINDOW_S: Final = 1.0
"""The exchange's own window; see ``order_rate``."""
MARGIN: Final = 0.8
"""Share of a role's limit a bot uses: what it sends evenly may arrive in bursts."""


class Pace:
    """At most ``per_second`` orders, or sides of quotes, within any second, none while it rests."""

    def __init__(self, now_s: Callable[[], float], per_second: int) -> None:
        self._now_s = now_s
        self._sent: deque[float] = deque(maxlen=max(1, per_second))
        self._rests_until = -inf

    def limit(self, role_limit: int) -> None:
        """Stay below what the role allows."""
        per_second = max(1, int(role_limit * MARGIN))
        if per_second < (self._sent.maxlen or 1):
            self._sent = deque(self._sent, maxlen=per_second)

    def take(self, orders: int = 1) -> bool:
        """Whether so many more may be sent now; they count as sent."""
        now_s, sent = self._now_s(), self._sent
        most = sent.maxlen or 1
        if now_s < self._rests_until or orders > most:
            return False
        excess = len(sent) + orders - most
        if excess > 0 and now_s - sent[excess - 1] <= WINDOW_S:
            return False
        sent.extend((now_s,) * orders)
        return True

    def rest(self, seconds: float) -> None:
        """Send nothing for a while."""
        self._rests_until = max(self._rests_until, self._now_s() + seconds)
