"""What a ``subscribe`` asks for: judged as a whole before the first channel is entered."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from exchange.base.bounds import MAX_SUBSCRIPTIONS
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.pipeline.publish import Publisher
from exchange.pipeline.streams import PRIVATE_CHANNEL, ConflatedFeed, Feed
from exchange.wire.envelope import ApiError
from exchange.wire.socket import ChannelState, Subscribed, SubscribeParams, Unsubscribed, UnsubscribeParams

_TOO_MANY: Final = Refusal(
    Category.CONFLICT,
    Code.TOO_MANY_SUBSCRIPTIONS,
    f"A socket has at most {MAX_SUBSCRIPTIONS} channels",
    {"limit": MAX_SUBSCRIPTIONS},
)


class Entry(NamedTuple):
    """One channel to enter. ``error`` says why it cannot go on from where the client was."""

    feed: Feed
    resume_from: int | None
    error: ApiError | None
    conflate_ms: int | None


Plan: TypeAlias = list[Entry]


class Subscriptions:
    """Channels of all sockets, by the names that clients give."""

    def __init__(self, hub: Hub, publisher: Publisher, epoch: str) -> None:
        self._hub = hub
        self._publisher = publisher
        self._epoch = epoch

    def plan(self, connection: Connection, params: SubscribeParams) -> Plan | Refusal:
        """Every channel of ``params``, or the first reason to enter none of them."""
        channels = params.channels
        if len(connection.subscriptions) + len(channels) > MAX_SUBSCRIPTIONS:
            return _TOO_MANY
        if len(set(channels)) != len(channels):
            return _invalid("A channel is given twice", {"field": "channels"})
        stray = sorted(params.resume_from.keys() - set(channels))
        if stray:
            return _invalid("resume_from names a channel that is not asked for", {"channel": stray[0]})
        entries: Plan = []
        for channel in channels:
            entry = self._entry(connection, channel, params)
            if isinstance(entry, Refusal):
                return entry
            entries.append(entry)
        return entries

    def enter(self, connection: Connection, plan: Plan) -> Subscribed:
        """Enter what was planned; the hub's ``advance`` sends it, after the answer."""
        states = []
        for feed, resume_from, error, conflate_ms in plan:
            self._hub.subscribe(connection, feed, resume_from, conflate_ms)
            states.append(
                ChannelState(
                    channel=feed.name, seq=feed.last_seq, resumed=resume_from is not None, error=error
                )
            )
        return Subscribed(epoch=self._epoch, channels=states)

    def leave(self, connection: Connection, params: UnsubscribeParams) -> Unsubscribed | Refusal:
        """Leave every channel of ``params``, or none."""
        for channel in params.channels:
            if channel not in connection.subscriptions:
                return Refusal(
                    Category.CONFLICT,
                    Code.NOT_SUBSCRIBED,
                    "This socket is not subscribed to that channel",
                    {"channel": channel},
                )
        for channel in params.channels:
            self._hub.unsubscribe(connection, channel)
        return Unsubscribed(channels=params.channels)

    def _entry(self, connection: Connection, channel: str, params: SubscribeParams) -> Entry | Refusal:
        if channel in connection.subscriptions:
            return Refusal(
                Category.CONFLICT,
                Code.ALREADY_SUBSCRIBED,
                "This socket is subscribed to that channel",
                {"channel": channel},
            )
        feed = self._publisher.feed(channel, connection.account)
        if feed is None:
            return Refusal(
                Category.UNKNOWN, Code.UNKNOWN_CHANNEL, "There is no such channel", {"channel": channel}
            )
        conflate_ms = params.conflate_ms
        if conflate_ms is not None and not isinstance(feed, ConflatedFeed):
            return _invalid(
                "Every message of this channel counts: it cannot be conflated", {"channel": channel}
            )
        resume_from, error = self._resumption(feed, params)
        if isinstance(error, Refusal):
            return error
        return Entry(feed, resume_from, error, conflate_ms)

    def _resumption(
        self, feed: Feed, params: SubscribeParams
    ) -> tuple[int | None, ApiError | Refusal | None]:
        channel = feed.name
        resume_from = params.resume_from.get(channel)
        if resume_from is None:
            return None, None
        if channel != PRIVATE_CHANNEL and params.epoch != self._epoch:
            return None, _new_epoch(self._epoch)
        if resume_from > feed.last_seq and resume_from > feed.newest_resume:
            return None, _invalid(
                "resume_from lies in the future",
                {"channel": channel, "resume_from": resume_from, "last_seq": feed.newest_resume},
            )
        if resume_from < feed.oldest_resume:
            return None, _too_old(resume_from, feed)
        return resume_from, None


def _invalid(message: str, details: dict[str, object]) -> Refusal:
    return Refusal(Category.INVALID, Code.INVALID_REQUEST, message, details)


def _too_old(resume_from: int, feed: Feed) -> ApiError:
    return ApiError(
        Code.RESUME_TOO_OLD,
        "What followed is no longer kept; the channel begins anew",
        {"resume_from": resume_from, "oldest": feed.oldest_resume},
    )


def _new_epoch(epoch: str) -> ApiError:
    return ApiError(
        Code.RESUME_TOO_OLD,
        "The sequence is not one of this epoch; the channel begins anew",
        {"epoch": epoch},
    )
