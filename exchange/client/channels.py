"""What a client knows of one channel, and what it makes of each message: no input or output here."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Final

from exchange.client.order_book import OrderBook
from exchange.client.order_queues import OrderQueues
from exchange.wire.events import AnyEvent, BookSnapshot, BookUpdate, OrdersSnapshot, OrdersUpdate
from exchange.wire.socket import ChannelState

PRIVATE: Final = "private"
PHASE: Final = "phase"
BOOK_PREFIX: Final = "book."
ORDERS_PREFIX: Final = "orders."
TRADES_PREFIX: Final = "trades."


class Verdict(Enum):
    """What to do with a message."""

    TAKE = auto()
    IGNORE = auto()
    """Known already, or the channel stands still until it is subscribed again."""
    GAP = auto()
    """Something before it is missing."""


class Channel:
    """One subscription that outlives its sockets.

    ``last_seq`` is None until the first message: then everything begins with a snapshot, or for a channel
    without one at ``first_seq``. ``is_held``: messages are ignored until the exchange has answered a
    ``subscribe``. ``is_behind``: it stays held until the reader of events has caught up. With
    ``conflate_ms`` the exchange leaves out what is overtaken.
    """

    def __init__(self, name: str, conflate_ms: int | None = None) -> None:
        self.name = name
        self.conflate_ms = conflate_ms
        self.epoch: str | None = None
        self.last_seq: int | None = None
        self.first_seq = 0
        self.is_held = True
        self.is_behind = False
        self.reset_reason: str | None = None
        self.book = OrderBook(name.removeprefix(BOOK_PREFIX)) if name.startswith(BOOK_PREFIX) else None
        self.queues = (
            OrderQueues(name.removeprefix(ORDERS_PREFIX)) if name.startswith(ORDERS_PREFIX) else None
        )
        self._has_entered = asyncio.Event()
        self._refusal: Exception | None = None
        self._replica = self.book or self.queues
        self._has_snapshot = self._replica is not None or name == PRIVATE

    async def wait_entered(self) -> None:
        """Until the exchange has entered it for the first time; raises why it never will."""
        await self._has_entered.wait()
        if self._refusal is not None:
            raise self._refusal

    def refuse(self, error: Exception) -> None:
        """It will not be entered."""
        self._refusal = error
        self._has_entered.set()

    def resume_from(self, epoch: str) -> int | None:
        """Where to go on under ``epoch``; None to begin anew. Only a private stream survives a new epoch."""
        if self.last_seq is None or self.reset_reason is not None:
            return None
        if self.name != PRIVATE and self.epoch != epoch:
            self.reset_reason = "new_epoch"
            return None
        return self.last_seq

    def lost(self, state: ChannelState) -> str | None:
        """Why what was known is void; None when the channel goes on, or only now begins."""
        if state.resumed or self.last_seq is None:
            return None
        if self.reset_reason is not None:
            return self.reset_reason
        return "not_resumed" if state.error is None else state.error.code.lower()

    def enter(self, state: ChannelState, epoch: str) -> None:
        """The exchange has answered: messages follow."""
        if not state.resumed:
            # Trades follow at once; what comes first elsewhere says itself how far it goes.
            self.last_seq = state.seq if self.name.startswith(TRADES_PREFIX) else None
            self.first_seq = state.seq
        self.epoch = epoch
        self.reset_reason = None
        self.is_held = False
        self.is_behind = False
        self._has_entered.set()
        if self._replica is not None and state.resumed:
            self._replica.resume()

    def hold(self) -> None:
        """Messages are ignored from here on."""
        self.is_held = True
        if self._replica is not None:
            self._replica.lose()

    def judge(self, seq: int, *, is_snapshot: bool, prev_seq: int | None = None) -> Verdict:
        """What to do with message ``seq``, which goes on from ``prev_seq``, else from the one before it."""
        if self.is_held:
            return Verdict.IGNORE
        last_seq = self.last_seq
        if last_seq is None:
            return self._judge_first(seq, is_snapshot)
        if seq <= last_seq:
            return Verdict.IGNORE
        if seq == last_seq + 1 or prev_seq == last_seq or is_snapshot:
            return Verdict.TAKE
        return Verdict.GAP

    def apply(self, event: AnyEvent) -> None:
        """Take in an event that was to be taken; raises ChecksumMismatch."""
        self.last_seq = event.seq
        if isinstance(event, BookSnapshot | BookUpdate):
            if self.book is not None:
                self.book.apply(event)
        elif isinstance(event, OrdersSnapshot | OrdersUpdate) and self.queues is not None:
            self.queues.apply(event)
            if not self.queues.is_synced:
                # Nobody can go on from one part of a snapshot.
                self.last_seq = None

    def _judge_first(self, seq: int, is_snapshot: bool) -> Verdict:
        if self._has_snapshot:
            return Verdict.TAKE if is_snapshot else Verdict.GAP
        # What has no snapshot of its own begins with its last message told again, which says all.
        return Verdict.TAKE if seq >= self.first_seq else Verdict.GAP
