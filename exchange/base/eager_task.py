"""A coroutine that begins at once, for requests: many, short, and mostly waiting for one future."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Awaited: TypeAlias = "asyncio.Future[Any]"


class EagerTask:
    """Runs ``coroutine`` up to its first wait before it returns, and on whenever what it waits for is done.

    An ``asyncio.Task`` begins a turn of the loop later and costs more. asyncio has eager ones from 3.12
    on, but a game takes the same turns on every version. What runs here may await futures and tasks; timeouts
    and task groups need ``asyncio.current_task()``, which it is not. It is in ``running`` until it ends; an
    exception that escapes it is given to ``failed``.
    """

    __slots__ = ("_coroutine", "_failed", "_running", "_waits_for")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        running: set[Any],
        failed: Callable[[Exception], None],
    ) -> None:
        self._coroutine = coroutine
        self._running = running
        self._failed = failed
        self._waits_for: Awaited | None = None
        running.add(self)
        self._step()

    def cancel(self, msg: object = None) -> bool:
        """As a task's: CancelledError where it waits."""
        return self._waits_for is not None and self._waits_for.cancel(msg)

    def _step(self, done: Awaited | None = None) -> None:
        try:
            waits_for = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            self._running.discard(self)
        except Exception as error:
            self._running.discard(self)
            self._failed(error)
        else:
            self._wait(waits_for)

    def _wait(self, future: Awaited | None) -> None:
        self._waits_for = future
        if future is None:
            asyncio.get_running_loop().call_soon(self._step)
        else:
            # What a future sets when it is awaited, so that a task can tell it from one that is yielded.
            future._asyncio_future_blocking = False
            future.add_done_callback(self._step)
