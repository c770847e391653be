"""What a client knows of one channel, and what it makes of each message: no input or output here."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Final

from exchange.client.order_book import OrderBook
from exchange.wire.socket import ChannelState

PRIVATE: Final = "private"
PHASE: Final = "phase"
BOOK_PREFIX: Final = "book."
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
    ``subscribe``. ``is_behind``: it stays held until the reader of events has caught up.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch: str | None = None
        self.last_seq: int | None = None
        self.first_seq = 0
        self.is_held = True
        self.is_behind = False
        self.reset_reason: str | None = None
        self.book = OrderBook(name.removeprefix(BOOK_PREFIX)) if name.startswith(BOOK_PREFIX) else None
        self._has_entered = asyncio.Event()
        self._refusal: Exception | None = None
        self._has_snapshot = self.book is not None or name == PRIVATE

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
        if self.book is not None and state.resumed:
            self.book.resume()

    def hold(self) -> None:
        """Messages are ignored from here on."""
        self.is_held = True
        if self.book is not None:
            self.book.lose()

    def judge(self, seq: int, *, is_snapshot: bool) -> Verdict:
        """What to do with message ``seq``."""
        if self.is_held:
            return Verdict.IGNORE
        last_seq = self.last_seq
        if last_seq is None:
            return self._judge_first(seq, is_snapshot)
        if seq == last_seq + 1:
            return Verdict.TAKE
        return Verdict.IGNORE if seq <= last_seq else Verdict.GAP

    def _judge_first(self, seq: int, is_snapshot: bool) -> Verdict:
        if self._has_snapshot:
            return Verdict.TAKE if is_snapshot else Verdict.GAP
        # The phase begins with its last change told again.
        return Verdict.TAKE if self.first_seq <= seq <= self.first_seq + 1 else Verdict.GAP
