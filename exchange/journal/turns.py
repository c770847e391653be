"""Turns for the writer thread when a busy event loop leaves it none.

The loop gives up the interpreter lock for a moment after each callback and takes it back before a waiting
thread has woken. On a full loop one commit took seconds: docs/decisions/0010-journal-files.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

FIRST_LOOK_S: Final = 0.001
LAST_LOOK_S: Final = 0.016
TURN_S: Final = 0.000_05


class WriterTurns:
    """Gives an append that lasts the interpreter lock for TURN_S, then again at ever longer intervals.

    Where it is the disk that takes long, a tenth of the first milliseconds is lost to the loop, then less.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        in_flight: Callable[[], object | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._call_later = call_later
        self._in_flight = in_flight
        self._sleep = sleep
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """An append is in flight; one timer serves any number of them in a row."""
        if self._timer is None:
            self._look_again(FIRST_LOOK_S)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look_again(self, delay_s: float) -> None:
        self._timer = self._call_later(delay_s, partial(self._look, self._in_flight(), delay_s))

    def _look(self, before: object, delay_s: float) -> None:
        now = self._in_flight()
        if now is None:
            self._timer = None
        elif now is before:
            self._sleep(TURN_S)
            self._look_again(min(2 * delay_s, LAST_LOOK_S))
        else:
            self._look_again(FIRST_LOOK_S)
