"""Ends orders that are good till a date: looks at the clock, and enters a system command when one is due."""

from __future__ import annotations

from collections.abc import Callable

from exchange.base.clock import Clock
from exchange.model.commands import ExpireOrders


class ExpiryClock:
    """``next_us`` is when the next order ends, None while there is none."""

    def __init__(
        self, next_us: Callable[[], int | None], *, clock: Clock, submit: Callable[[ExpireOrders], object]
    ) -> None:
        self._next_us = next_us
        self._clock = clock
        self._submit = submit

    def check(self) -> None:
        """Enter the command that ends what has run out."""
        next_us, now_us = self._next_us(), self._clock.now_us()
        if next_us is not None and next_us <= now_us:
            self._submit(ExpireOrders(now_us))
