"""The last stage: tell clients. Nothing is encoded that nobody listens to, nothing is awaited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.commands import RotateKey, SetPhase
from exchange.model.events import AnyPrivateEvent, PhaseChanged
from exchange.pipeline.channel import Channel
from exchange.pipeline.hub import LOGGED_OUT, Hub
from exchange.pipeline.market_feeds import Markets
from exchange.pipeline.messages import Outgoing
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
)
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.events import AnyEvent, PositionSnapshot


class PublisherStatistics(msgspec.Struct, frozen=True):
    """Counts since the start. A failure is an item or a message that could not be kept or told."""

    items: int
    failures: int


class Publisher:
    """Keeps the streams and tells the hub's sockets what is new on them.

    ``private`` are the streams a replay restored, ``markets`` and ``phase`` stand where it ended.
    ``snapshot`` gives a team's positions and orders as settle knows them now, which may be ahead of what was
    published.
    """

    def __init__(
        self,
        hub: Hub,
        private: PrivateStreams,
        markets: Markets,
        *,
        writer: PrivateEventWriter,
        snapshot: Callable[[int], PositionSnapshot],
        phase: PhaseFeed,
        log: Logger,
    ) -> None:
        self._hub = hub
        self._private = private
        self._writer = writer
        self._snapshot = snapshot
        self._log = log
        self._private_feeds: dict[int, PrivateFeed] = {}
        self._phase = phase
        self._markets = markets
        self._public: Mapping[str, PublicFeed] = {
            feed.name: feed for feed in (*reversed([*markets.channels()]), phase)
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
        private: dict[int, list[AnyPrivateEvent]] = {}
        for item in batch:
            self._items += 1
            try:
                self._keep(item, private)
            except Exception:
                self._failures += 1
                self._log.exception("publish failed", sequence=item.record.sequence)
        self._hub.begin_round()
        for account, events in private.items():
            feed = self._private_feeds[account]
            if feed.live:
                self._tell(feed, partial(map, self._writer.message, events))
        timestamp_us = batch[-1].record.timestamp_us if batch else 0
        for public in (self._phase, *self._markets.turn()):
            self._tell(public, partial(public.news, timestamp_us))
        self._hub.end_round()

    def statistics(self) -> PublisherStatistics:
        """For metrics and for ``/admin/status``."""
        return PublisherStatistics(self._items, self._failures)

    def _keep(self, item: Outgoing, private: dict[int, list[AnyPrivateEvent]]) -> None:
        record = item.record
        feeds = self._private_feeds
        for told in item.private:
            self._keep_private(told)
            if told.account in feeds:
                private.setdefault(told.account, []).append(told)
        if isinstance(record.command, SetPhase):
            for event in item.events:
                if isinstance(event, PhaseChanged):
                    self._phase.change(event, record.timestamp_us)
        self._markets.take(record, item.events)
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

    def _tell(self, feed: Feed, make: Callable[[], Iterable[AnyEvent]]) -> None:
        try:
            told = list(make())
            if not told:
                return
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
        websocket_queue: Channel[Outgoing],
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
