"""The last stage: tell clients. Nothing is encoded that nobody listens to, nothing is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from exchange.engine.depth import BOOK_EVENTS, BookEvent
from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.commands import Record, RotateKey
from exchange.model.events import AnyPrivateEvent, PhaseChanged, Traded
from exchange.pipeline.book_feed import BookFeed
from exchange.pipeline.hub import LOGGED_OUT, Hub
from exchange.pipeline.messages import Outgoing, WebsocketItem
from exchange.pipeline.stage import Stage
from exchange.pipeline.streams import (
    PHASE_CHANNEL,
    PRIVATE_CHANNEL,
    Feed,
    PhaseFeed,
    PrivateFeed,
    PrivateStreams,
    PublicFeed,
    StreamGap,
    TradesFeed,
)
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.events import AnyEvent, PhaseChange, PositionSnapshot, TradeEvent
from exchange.wire.ids import auction_id_text, trade_id_text
from exchange.wire.orders import PriceGrids
from exchange.wire.times import time_text


class PublisherStatistics(msgspec.Struct, frozen=True):
    """Counts since the start. A failure is an item or a message that could not be kept or told."""

    items: int
    failures: int


class _Round:
    """What one batch has for each stream."""

    __slots__ = ("books", "private", "public", "timestamp_us")

    def __init__(self) -> None:
        self.private: dict[int, list[AnyPrivateEvent]] = {}
        self.books: dict[BookFeed, None] = {}
        self.public: dict[PublicFeed, list[AnyEvent]] = {}
        self.timestamp_us = 0


class Publisher:
    """Keeps the streams and tells the hub's sockets what is new on them.

    ``private`` are the streams a replay restored, ``books`` and ``phase`` stand where it ended. ``snapshot``
    gives a team's positions and orders as settle knows them now, which may be ahead of what was published.
    """

    def __init__(
        self,
        hub: Hub,
        private: PrivateStreams,
        books: Iterable[BookFeed],
        *,
        writer: PrivateEventWriter,
        grids: PriceGrids,
        snapshot: Callable[[int], PositionSnapshot],
        phase: PhaseFeed,
        log: Logger,
    ) -> None:
        self._hub = hub
        self._private = private
        self._writer = writer
        self._grids = grids
        self._snapshot = snapshot
        self._log = log
        self._private_feeds: dict[int, PrivateFeed] = {}
        self._phase = phase
        self._books = {book.instrument_id: book for book in books}
        self._trades = {each: TradesFeed(each) for each in grids}
        self._public: Mapping[str, PublicFeed] = {
            feed.name: feed for feed in (phase, *self._books.values(), *self._trades.values())
        }
        self._items = self._failures = 0

    @property
    def public_channels(self) -> Iterable[str]:
        """Names of all streams that anyone may have."""
        return self._public.keys()

    def feed(self, channel: str, account: int | None) -> Feed | None:
        """The stream called ``channel``, of that team where it is private; None for an unknown one."""
        if channel != PRIVATE_CHANNEL:
            return self._public.get(channel)
        return None if account is None else self._private_feed(account)

    def private_seq(self, account: int) -> int:
        """Sequence of the last private event published to the team."""
        return self._private.of(account).last_seq

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Keep and tell everything in ``batch``. What fails is logged and counted; the rest goes on."""
        news = _Round()
        for item in batch:
            self._items += 1
            try:
                self._keep(item, news)
            except Exception:
                self._failures += 1
                self._log.exception("publish failed", sequence=item.record.sequence)
        self._hub.begin_round()
        for account, events in news.private.items():
            feed = self._private_feeds.get(account)
            if feed is not None and feed.live:
                self._tell(feed, partial(map, self._writer.message, events))
        for book in news.books:
            self._tell(book, partial(book.update, news.timestamp_us))
        for public, messages in news.public.items():
            self._tell(public, partial(iter, messages))

    def statistics(self) -> PublisherStatistics:
        """For metrics and for ``/admin/status``."""
        return PublisherStatistics(self._items, self._failures)

    def _keep(self, item: Outgoing, news: _Round) -> None:
        record = item.record
        news.timestamp_us = record.timestamp_us
        for told in item.private:
            self._keep_private(told)
            news.private.setdefault(told.account, []).append(told)
        by_instrument: dict[str, list[BookEvent]] = {}
        for event in item.events:
            if isinstance(event, BOOK_EVENTS):
                by_instrument.setdefault(event.instrument_id, []).append(event)
                if isinstance(event, Traded):
                    self._keep_trade(event, record, news)
            elif isinstance(event, PhaseChanged):
                self._keep_phase(event, record, news)
        for instrument_id, events in by_instrument.items():
            book = self._books[instrument_id]
            book.take(events)
            news.books[book] = None
        if isinstance(record.command, RotateKey):
            self._hub.close_team(record.command.account, LOGGED_OUT, "the key was replaced")

    def _private_feed(self, account: int) -> PrivateFeed:
        feed = self._private_feeds.get(account)
        if feed is None:
            feed = self._private_feeds[account] = PrivateFeed(
                account, self._private.of(account), self._writer.message, self._snapshot
            )
        return feed

    def _keep_private(self, event: AnyPrivateEvent) -> None:
        try:
            self._private.append(event)
        except StreamGap:
            # Something before it was lost here: who listens has to come back and is given a snapshot.
            self._failures += 1
            self._log.exception("gap in a private stream", account=event.account)
            self._hub.break_off(self._private_feed(event.account))
            ring = self._private.of(event.account)
            ring.skip_to(event.seq - 1)
            ring.append(event.seq, event)

    def _keep_trade(self, event: Traded, record: Record, news: _Round) -> None:
        feed = self._trades[event.instrument_id]
        if not feed.is_kept:
            feed.pass_over()
            return
        message = TradeEvent(
            seq=feed.last_seq + 1,
            timestamp=time_text(record.timestamp_us),
            channel=feed.name,
            trade_id=trade_id_text(event.trade_id),
            price=self._grids[event.instrument_id].decimal(event.price_ticks),
            quantity=event.quantity,
            side=event.taker_side,
            auction_id=auction_id_text(event.auction_id),
        )
        feed.keep(message)
        news.public.setdefault(feed, []).append(message)

    def _keep_phase(self, event: PhaseChanged, record: Record, news: _Round) -> None:
        feed = self._phase
        message = PhaseChange(
            seq=feed.last_seq + 1,
            timestamp=time_text(record.timestamp_us),
            channel=feed.name,
            phase=event.phase,
            reason=event.reason,
            instrument_id=event.instrument_id,
        )
        feed.keep(message)
        news.public.setdefault(feed, []).append(message)

    def _tell(self, feed: Feed, make: Callable[[], Iterable[AnyEvent]]) -> None:
        try:
            told = list(make())
            self._hub.tell(feed, told)
            if feed.name == PHASE_CHANNEL:
                self._hub.tell_others(feed, told)
        except Exception:
            self._failures += 1
            self._log.exception("publish failed", channel=feed.name)
            self._hub.break_off(feed)


class PublishStage(Stage[Outgoing]):
    """Takes from ``websocket_queue``; nothing follows it."""

    def __init__(
        self,
        websocket_queue: asyncio.Queue[WebsocketItem],
        publisher: Publisher,
        *,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        super().__init__(websocket_queue, metrics.stage("publish"))
        self._publisher = publisher
        self._log = log

    async def _process(self, batch: list[Outgoing]) -> None:
        with self._meter.batch(len(batch)):
            self._publisher.publish(batch)

    async def _pass_sentinel(self) -> None:
        self._log.info("everything accepted is settled and published")
