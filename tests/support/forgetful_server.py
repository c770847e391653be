"""``exchange`` with a planted fault: acknowledges first, writes a moment later. A control of crash tests."""

from __future__ import annotations

import asyncio
from collections import deque

import exchange.serve
from exchange.cli import main
from exchange.journal.batch import Batch
from exchange.journal.sqlite import SqliteJournal

LATE_S = 0.05


class ForgetfulJournal(SqliteJournal):
    """Says durable at once."""

    _late: deque[Batch]
    _writer: asyncio.Task[None] | None = None

    def append(self, batch: Batch) -> asyncio.Future[None]:
        if self._writer is None:
            self._late = deque()
            self._writer = asyncio.get_running_loop().create_task(self._write_late())
        self._late.append(batch)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def close(self, *, clean: bool = True) -> None:
        if self._writer is not None:
            self._writer.cancel()
            while self._late:
                await super().append(self._late.popleft())
        await super().close(clean=clean)

    async def _write_late(self) -> None:
        while True:
            await asyncio.sleep(LATE_S)
            while self._late:
                await super().append(self._late[0])
                self._late.popleft()


if __name__ == "__main__":
    setattr(exchange.serve, "SqliteJournal", ForgetfulJournal)  # noqa: B010  # the planted fault
    main()
