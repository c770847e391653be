"""Numbered streams: what clients are told, in order, kept for a while so that a client can resume.

A stream has a sequence of its own, from 1 without gaps. ``resume_from`` N means "I have everything up to N".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from exchange.base.bounds import PRIVATE_STREAM_EVENTS, PUBLIC_STREAM_EVENTS
from exchange.model.events import AnyPrivateEvent, PhaseChanged, Traded
from exchange.wire.events import AnyEvent, PhaseChange, PositionSnapshot, TradeEvent
from exchange.wire.ids import auction_id_text, trade_id_text
from exchange.wire.prices import PriceGrid
from exchange.wire.times import time_text

if TYPE_CHECKING:
    from exchange.pipeline.connection import Subscription

PHASE_CHANNEL = "phase"
PRIVATE_CHANNEL = "private"

T = TypeVar("T")


class RingSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The private stream of one team: what is kept of it, and the sequence of the newest."""

    last_seq: int
    events: list[AnyPrivateEvent]


StreamsSnapshot: TypeAlias = dict[int, RingSnapshot]


class StreamGap(Exception):
    """A bug: an event came that does not follow the one before it."""


class Ring(Generic[T]):
    """The last ``size`` items of a stream; the newest has the sequence ``last_seq``."""

    __slots__ = ("_items", "last_seq")

    def __init__(self, size: int, last_seq: int = 0) -> None:
        self._items: deque[T] = deque(maxlen=size)
        self.last_seq = last_seq

    def append(self, seq: int, item: T) -> None:
        """Keep ``item``; raises :class:`StreamGap` unless ``seq`` follows ``last_seq``."""
        if seq != self.last_seq + 1:
            raise StreamGap(f"{seq} after {self.last_seq}")
        self._items.append(item)
        self.last_seq = seq

    def items(self) -> list[T]:
        """Everything that is kept, oldest first."""
        return list(self._items)

    def load(self, items: Iterable[T], last_seq: int) -> None:
        """Begin with what another ring kept."""
        self._items.extend(items)
        self.last_seq = last_seq

    def skip_to(self, seq: int) -> None:
        """Go on from ``seq`` with nothing kept: whoever resumes from before it gets a snapshot."""
        self._items.clear()
        self.last_seq = seq

    @property
    def oldest_resume(self) -> int:
        """The smallest sequence after which everything is still here."""
        return self.last_seq - len(self._items)

    def after(self, seq: int, limit: int) -> list[T]:
        """The items that follow ``seq``, at most ``limit``; ``seq`` is not below ``oldest_resume``."""
        items = self._items
        start = len(items) - (self.last_seq - seq)
        return list(islice(items, start, start + limit))


class PrivateStreams:
    """What every team was told. Settle numbered the events; here they are only kept."""

    def __init__(self, size: int = PRIVATE_STREAM_EVENTS) -> None:
        self._size = size
        self._rings: dict[int, Ring[AnyPrivateEvent]] = {}

    def of(self, account: int) -> Ring[AnyPrivateEvent]:
        """The stream of one team."""
        ring = self._rings.get(account)
        if ring is None:
            ring = self._rings[account] = Ring(self._size)
        return ring

    def append(self, event: AnyPrivateEvent) -> None:
        """Keep one event; raises :class:`StreamGap`."""
        ring = self._rings.get(event.account) or self.of(event.account)
        ring.append(event.seq, event)

    def restore(self, private: Iterable[AnyPrivateEvent]) -> None:
        """Keep what a replay tells again; nothing is sent."""
        for event in private:
            self.append(event)

    def snapshot(self) -> StreamsSnapshot:
        """Everything."""
        return {account: RingSnapshot(ring.last_seq, ring.items()) for account, ring in self._rings.items()}

    def load(self, snapshot: StreamsSnapshot) -> None:
        """Take over a snapshot."""
        for account, saved in snapshot.items():
            self.of(account).load(saved.events, saved.last_seq)


class Feed(ABC):
    """One stream as sockets see it. ``live`` holds the subscriptions that have everything up to now.

    ``is_kept`` says whether somebody listens or did: what nobody can resume from is neither made nor kept.
    """

    def __init__(self, name: str, *, is_kept: bool) -> None:
        self.name = name
        self.is_kept = is_kept
        self.live: dict[Subscription, None] = {}

    def light(self) -> None:
        """Somebody listens: from now on everything is kept."""
        self.is_kept = True

    @property
    @abstractmethod
    def last_seq(self) -> int:
        """Sequence of the newest message."""

    @property
    @abstractmethod
    def oldest_resume(self) -> int:
        """The smallest sequence one can resume from."""

    @property
    def newest_resume(self) -> int:
        """The largest sequence a client can have seen."""
        return self.last_seq

    @abstractmethod
    def after(self, seq: int, limit: int) -> list[AnyEvent]:
        """The messages that follow ``seq``, oldest first, at most ``limit``; ``seq`` >= ``oldest_resume``."""

    @abstractmethod
    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        """What a subscriber that does not resume gets first, and the sequence up to which that tells all.

        The messages may be made as they are taken; they tell of the moment of the call.
        """


class PrivateFeed(Feed):
    """The private stream of one team."""

    def __init__(
        self,
        account: int,
        ring: Ring[AnyPrivateEvent],
        message: Callable[[AnyPrivateEvent], AnyEvent],
        snapshot: Callable[[int], PositionSnapshot],
    ) -> None:
        super().__init__(PRIVATE_CHANNEL, is_kept=True)
        self._account = account
        self._ring = ring
        self._message = message
        self._snapshot = snapshot

    @property
    def last_seq(self) -> int:
        return self._ring.last_seq

    @property
    def oldest_resume(self) -> int:
        return self._ring.oldest_resume

    def after(self, seq: int, limit: int) -> list[AnyEvent]:
        return [self._message(event) for event in self._ring.after(seq, limit)]

    @property
    def newest_resume(self) -> int:
        """A snapshot may have told a client of what is not published yet."""
        return max(self.last_seq, self._snapshot(self._account).seq)

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        snapshot = self._snapshot(self._account)
        return iter((snapshot,)), snapshot.seq


class PublicFeed(Feed):
    """A public channel. Its sequence starts anew with the server, and so does its ``epoch``."""

    def __init__(self, name: str, *, is_kept: bool = False, size: int = PUBLIC_STREAM_EVENTS) -> None:
        super().__init__(name, is_kept=is_kept)
        self._ring: Ring[AnyEvent] = Ring(size)
        self.on_lit: Callable[[PublicFeed], None] = _nothing
        """Called when somebody listens for the first time."""

    def light(self) -> None:
        if not self.is_kept:
            super().light()
            self.on_lit(self)

    @property
    def last_seq(self) -> int:
        return self._ring.last_seq

    @property
    def oldest_resume(self) -> int:
        return self._ring.oldest_resume

    def after(self, seq: int, limit: int) -> list[AnyEvent]:
        return self._ring.after(seq, limit)

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        return iter(()), self.last_seq

    @abstractmethod
    def news(self, timestamp_us: int) -> list[AnyEvent]:
        """What one turn of the loop has for this channel, kept; empty when nothing that is seen changed."""

    def keep(self, message: AnyEvent) -> None:
        """Add the next message."""
        self._ring.append(message.seq, message)

    def pass_over(self) -> None:
        """Count what was not made, once: nobody can resume from before it."""
        self._ring.skip_to(self.last_seq + 1)


def _nothing(feed: PublicFeed) -> None:
    pass


class ConflatedFeed(PublicFeed):
    """One that tells where something stands: of what a reader missed only the outcome matters."""

    @abstractmethod
    def outcome(self, seq: int) -> list[AnyEvent] | None:
        """What takes a client from ``seq`` to now, in few messages; None where it has to begin anew."""


class StateFeed(ConflatedFeed):
    """Each message is all there is to know, so that the last one is enough. Begins with it told again."""

    def __init__(self, name: str, now_us: int) -> None:
        super().__init__(name)
        self._timestamp_us = now_us
        self._told: object = None

    def light(self) -> None:
        if not self.is_kept:
            self._told = self.figures()
        super().light()

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        figures = self.figures()
        if figures == self._told:
            return []
        self._told, self._timestamp_us = figures, timestamp_us
        message = self.state(self.last_seq + 1, timestamp_us)
        self.keep(message)
        return [message]

    @abstractmethod
    def figures(self) -> object:
        """What the message would tell, as cheaply as it can be compared."""

    @abstractmethod
    def state(self, seq: int, timestamp_us: int, prev_seq: int | None = None) -> AnyEvent:
        """The message of now."""

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        return iter((self.state(self.last_seq, self._timestamp_us),)), self.last_seq

    def outcome(self, seq: int) -> list[AnyEvent]:
        return [self.state(self.last_seq, self._timestamp_us, seq)]


class PhaseFeed(PublicFeed):
    """The market day. It begins with where the day is now: the last change of the whole market told again."""

    def __init__(self, now: PhaseChange) -> None:
        super().__init__(PHASE_CHANNEL, is_kept=True)
        self._now = now
        self._news: list[AnyEvent] = []

    def change(self, event: PhaseChanged, timestamp_us: int) -> None:
        """The day moved on."""
        message = PhaseChange(
            seq=self.last_seq + 1,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            phase=event.phase,
            reason=event.reason,
            instrument_id=event.instrument_id,
        )
        self.keep(message)
        self._news.append(message)
        if message.instrument_id is None:
            self._now = message

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        news, self._news = self._news, []
        return news

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        return iter((self._now,)), self.last_seq


class TradesFeed(PublicFeed):
    """The trades of one instrument. No snapshot: ``GET /exchange/trades/{id}`` has those of before."""

    def __init__(self, grid: PriceGrid) -> None:
        super().__init__(f"trades.{grid.instrument_id}")
        self._grid = grid
        self._news: list[AnyEvent] = []

    def add(self, event: Traded, timestamp_us: int) -> None:
        """One more trade."""
        message = TradeEvent(
            seq=self.last_seq + 1,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            trade_id=trade_id_text(event.trade_id),
            price=self._grid.decimal(event.price_ticks),
            quantity=event.quantity,
            side=event.taker_side,
            auction_id=auction_id_text(event.auction_id),
        )
        self.keep(message)
        self._news.append(message)

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        news, self._news = self._news, []
        return news
