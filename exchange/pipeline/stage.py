"""What every stage does the same way: wait, take a batch, work, pass the sentinel on."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from exchange.base.bounds import STAGE_BATCH
from exchange.metrics import StageMeter
from exchange.pipeline.channel import Channel

Item = TypeVar("Item")


class Stage(ABC, Generic[Item]):
    """One task that drains one bounded queue."""

    def __init__(self, source: Channel[Item], meter: StageMeter) -> None:
        self._source = source
        self._meter = meter
        # Kept here, because a stage that failed on its last batch is run again and has to know.
        self._stopping = False

    async def run(self) -> None:
        """Until the sentinel, which is passed on."""
        while not self._stopping:
            batch, self._stopping = await self._source.get_batch()
            await self._process(batch)
            if len(batch) >= STAGE_BATCH:
                # Neither ``get`` nor ``put`` suspends while there is work: let the others have their turn.
                await asyncio.sleep(0)
        self._stopping = False
        await self._pass_sentinel()

    @abstractmethod
    async def _process(self, batch: list[Item]) -> None:
        """Work on ``batch`` (empty when the sentinel came alone) and put what comes of it."""

    @abstractmethod
    async def _pass_sentinel(self) -> None:
        """Tell the next stage that nothing follows."""
