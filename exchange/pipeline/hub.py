"""The sockets that listen, and what each of them has been told.

Nothing here awaits while it tells: a message is encoded once per encoding and the same bytes go to every
socket's bounded buffer. A socket that falls behind is closed and the others never notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from exchange.base.bounds import (
    BACKLOG_BUFFER_BYTES,
    CONNECTION_BUFFER_BYTES,
    CONNECTION_BUFFER_MESSAGES,
    RESUME_SLICE,
)
from exchange.pipeline.connection import Connection, FrameMaker, Outlet, Subscription
from exchange.pipeline.streams import ConflatedFeed, Feed
from exchange.wire.encode_events import ENCODERS, Encoding
from exchange.wire.events import AnyEvent

TOO_SLOW: Final = 4008
"""Close code of a socket with more unsent than its buffer may hold."""
TOO_FAST: Final = 4029
"""Close code of a socket that went on asking too fast although it was refused again and again."""
LOGGED_OUT: Final = 4003
"""Close code of a socket whose key is void."""
BROKEN: Final = 1011
"""Close code of a socket that could not be told something: a bug here; it may resume."""


class HubStatistics(msgspec.Struct, frozen=True):
    """Sockets now, and counts since the start."""

    connections: int
    opened: int
    too_slow: int
    client_gone: int
    messages: int


class Hub:
    """Every open socket and its subscriptions; single event loop, no locks.

    ``on_closed`` is told of each socket once, however it ended.
    """

    def __init__(
        self,
        framers: Mapping[Encoding, Callable[[bytes], bytes]],
        on_closed: Callable[[Connection], None] = lambda connection: None,
    ) -> None:
        self._on_closed = on_closed
        self.flush: Callable[[], None] = _nothing
        """Set by the server: what was told in a round leaves at its end, not a turn of the loop later."""
        self._frame_makers: Mapping[Encoding, FrameMaker] = {
            encoding: _frame_maker(ENCODERS[encoding], framers[encoding]) for encoding in Encoding
        }
        self._connections: dict[Connection, None] = {}
        self._conflated: dict[Subscription, None] = {}
        self.has_conflated = asyncio.Event()
        """Set while there are subscriptions for :meth:`tell_conflated`."""
        self._round = 0
        self._opened = self._too_slow = self._client_gone = self._messages = 0

    # --- the life of a socket -------------------------------------------------------------------

    def open(self, outlet: Outlet, encoding: Encoding) -> Connection:
        """Take up a socket; its owner calls :meth:`closed` when it is gone, whoever closed it."""
        connection = Connection(outlet, encoding, self._frame_makers[encoding])
        self._connections[connection] = None
        self._opened += 1
        return connection

    def closed(self, connection: Connection, *, lost: bool = False) -> None:
        """Forget a socket; harmless when it is forgotten already. ``lost``: the client just went away."""
        if not connection.is_open:
            return
        self._client_gone += lost
        connection.is_open = False
        del self._connections[connection]
        for subscription in connection.subscriptions.values():
            self._set_of(subscription).pop(subscription, None)
        connection.subscriptions.clear()
        connection.backlog.clear()
        self._on_closed(connection)

    def close(self, connection: Connection, code: int, reason: str) -> None:
        """Close a socket from this side and forget it."""
        if connection.is_open:
            self.closed(connection)
            connection.outlet.close(code, reason)

    def close_team(self, account: int, code: int, reason: str) -> None:
        """Close every socket of one team."""
        for connection in [each for each in self._connections if each.account == account]:
            self.close(connection, code, reason)

    def break_off(self, feed: Feed) -> None:
        """Close every socket that is live on ``feed``, which could not be told something."""
        conflated = [each for each in self._conflated if each.feed is feed]
        for subscription in [*feed.live, *conflated]:
            self.close(subscription.connection, BROKEN, "internal error")

    # --- subscriptions --------------------------------------------------------------------------

    def subscribe(
        self,
        connection: Connection,
        feed: Feed,
        resume_from: int | None,
        conflate_ms: int | None = None,
    ) -> None:
        """Enter a subscription; :meth:`advance` sends what it is owed, then it is live.

        ``resume_from`` lies within what the feed still has; None begins with the feed's snapshot. With
        ``conflate_ms``, which takes a :class:`ConflatedFeed`, :meth:`tell_conflated` tells it the outcome.
        """
        period_ns = None if conflate_ms is None else conflate_ms * 1_000_000
        subscription = Subscription(connection, feed, resume_from, period_ns)
        feed.light()
        connection.subscriptions[feed.name] = subscription
        connection.backlog.append(subscription)

    def unsubscribe(self, connection: Connection, channel: str) -> bool:
        """End a subscription; False when there is none."""
        subscription = connection.subscriptions.pop(channel, None)
        if subscription is None:
            return False
        current = self._set_of(subscription)
        if subscription in current:
            del current[subscription]
        else:
            connection.backlog.remove(subscription)
        return True

    def advance(self, connection: Connection) -> bool:
        """Send of the backlog what fits one turn of the loop and the socket; True when nothing is left."""
        backlog = connection.backlog
        room = BACKLOG_BUFFER_BYTES - connection.outlet.buffered_bytes()
        while backlog:
            if room <= 0:
                return False
            subscription = backlog[0]
            frames = self._owed(subscription)
            room -= sum(map(len, frames))
            if not self._write(connection, frames):
                return True
            if subscription.is_current:
                backlog.popleft()
                self._set_of(subscription)[subscription] = None
                if subscription.period_ns is not None:
                    self.has_conflated.set()
        return True

    async def catch_up(self, connection: Connection) -> None:
        """Send the whole backlog at the client's own pace."""
        while not self.advance(connection):
            await connection.outlet.drained()

    def _owed(self, subscription: Subscription) -> list[bytes]:
        """The next frames of its backlog; none where they have left the stream, which closes the socket."""
        feed, connection = subscription.feed, subscription.connection
        if subscription.cursor is not None and subscription.cursor < feed.oldest_resume:
            if not isinstance(feed, ConflatedFeed):
                self._close_slow(connection)
                return []
            # Its reader takes longer than the stream is kept, for a long beginning say: another one follows.
            subscription.cursor = None
        messages: Sequence[AnyEvent]
        if subscription.cursor is None:
            messages = _opening(subscription)
        else:
            messages = feed.after(subscription.cursor, RESUME_SLICE)
            subscription.cursor += len(messages)
        return [connection.frame(message) for message in messages]

    def _set_of(self, subscription: Subscription) -> dict[Subscription, None]:
        """Where it stands once it was told everything up to now."""
        return subscription.feed.live if subscription.period_ns is None else self._conflated

    # --- telling --------------------------------------------------------------------------------

    def send(self, connection: Connection, message: Any) -> bool:
        """Send one message to one socket; False when it is gone."""
        return self._write(connection, (connection.frame(message),))

    def begin_round(self) -> None:
        """A batch begins: each socket's buffer is looked at once, before its first message.

        One command may tell a team more than a buffer holds (all its orders cancelled): a socket that had
        kept up until now is not closed for that.
        """
        self._round += 1

    def end_round(self) -> None:
        """A batch has been told."""
        self.flush()

    def tell(self, feed: Feed, messages: Sequence[AnyEvent]) -> None:
        """Send messages, consecutive and the newest of ``feed``, to all that are live on it."""
        if not feed.live or not messages:
            return
        first, last = messages[0].seq, messages[-1].seq
        frames: dict[FrameMaker, list[bytes]] = {}
        for subscription in list(feed.live):
            connection, cursor = subscription.connection, subscription.cursor
            assert cursor is not None
            assert cursor >= first - 1, "a live subscription has everything before"
            if cursor >= last or not self._has_room(connection):
                continue
            encoded = _frames(frames, connection.frame, messages)
            known = cursor + 1 - first
            subscription.cursor = last
            self._write(connection, encoded[known:] if known else encoded)

    def tell_conflated(self, now_ns: int) -> None:
        """Tell each conflated subscription that is due where its stream stands now.

        One whose reader is behind waits, and is never closed for it.
        """
        if not self._conflated:
            self.has_conflated.clear()
        made: dict[tuple[Feed, int, FrameMaker], list[bytes] | None] = {}
        for subscription in list(self._conflated):
            feed, connection, cursor = subscription.feed, subscription.connection, subscription.cursor
            assert cursor is not None
            assert isinstance(feed, ConflatedFeed)
            if cursor >= feed.last_seq or now_ns < subscription.due_ns:
                continue
            if connection.outlet.buffered_bytes() > BACKLOG_BUFFER_BYTES:
                continue
            key = (feed, cursor, connection.frame)
            if key not in made:
                outcome = feed.outcome(cursor)
                made[key] = None if outcome is None else [connection.frame(each) for each in outcome]
            self._tell_outcome(subscription, made[key], now_ns)

    def _tell_outcome(self, subscription: Subscription, frames: list[bytes] | None, now_ns: int) -> None:
        connection, period_ns = subscription.connection, subscription.period_ns
        assert period_ns is not None
        subscription.due_ns = now_ns + period_ns
        if frames is None:
            del self._conflated[subscription]
            subscription.cursor = None
            connection.backlog.append(subscription)
            connection.pump()
        else:
            subscription.cursor = subscription.feed.last_seq
            self._write(connection, frames)

    def tell_others(self, feed: Feed, messages: Sequence[AnyEvent]) -> None:
        """Send ``messages`` to every socket that did not subscribe to ``feed``."""
        frames: dict[FrameMaker, list[bytes]] = {}
        for connection in list(self._connections):
            if feed.name not in connection.subscriptions and self._has_room(connection):
                self._write(connection, _frames(frames, connection.frame, messages))

    def tell_everyone(self, message: Any) -> int:
        """Send one message to every socket; the number of them."""
        return sum([self.send(connection, message) for connection in list(self._connections)])

    def has_room(self, connection: Connection) -> bool:
        """Whether the socket may be told more; one that fell behind is closed now."""
        if not connection.is_open:
            return False
        if not connection.outlet.is_behind(CONNECTION_BUFFER_BYTES, CONNECTION_BUFFER_MESSAGES):
            return True
        self._close_slow(connection)
        return False

    def statistics(self) -> HubStatistics:
        """For metrics and for ``/admin/status``."""
        return HubStatistics(
            connections=len(self._connections),
            opened=self._opened,
            too_slow=self._too_slow,
            client_gone=self._client_gone,
            messages=self._messages,
        )

    def _has_room(self, connection: Connection) -> bool:
        if connection.round == self._round:
            return connection.is_open
        connection.round = self._round
        return self.has_room(connection)

    def _close_slow(self, connection: Connection) -> None:
        self._too_slow += 1
        self.close(connection, TOO_SLOW, "too slow")

    def _write(self, connection: Connection, frames: Iterable[bytes]) -> bool:
        if not connection.is_open:
            return False
        write = connection.outlet.write
        for frame in frames:
            if not write(frame):
                self.closed(connection, lost=True)
                return False
            self._messages += 1
        return True


def _nothing() -> None:
    pass


def _opening(subscription: Subscription) -> list[AnyEvent]:
    """The next part of how it begins, which may be long and is made as it goes out."""
    if subscription.opening is None:
        subscription.opening, subscription.opens_at = subscription.feed.begin()
    message = next(subscription.opening, None)
    if message is not None:
        return [message]
    subscription.opening, subscription.cursor = None, subscription.opens_at
    return []


def _frame_maker(encode: Callable[[Any], bytes], framer: Callable[[bytes], bytes]) -> FrameMaker:
    return lambda message: framer(encode(message))


def _frames(
    made: dict[FrameMaker, list[bytes]], frame: FrameMaker, messages: Iterable[AnyEvent]
) -> list[bytes]:
    frames = made.get(frame)
    if frames is None:
        frames = made[frame] = [frame(message) for message in messages]
    return frames
