"""The channels of one client: each event once and in order, over any number of sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, TypeVar, get_args

import msgspec

from exchange.client.account import Account
from exchange.client.channels import BOOK_PREFIX, PRIVATE, Channel, Verdict
from exchange.client.connection import Connection, Head
from exchange.client.errors import ConnectionLost, ExchangeError, NotUnderstood, Rejected
from exchange.client.event_queue import EventQueue
from exchange.client.events import ClientEvent, Disconnected, Reconnected, StreamReset
from exchange.client.order_book import OrderBook
from exchange.model.reasons import Code
from exchange.wire.events import AnyEvent, BookSnapshot, BookUpdate, Hello
from exchange.wire.socket import Subscribed, SubscribeParams, UnsubscribeParams

API_VERSION: Final = "1"
"""The only one this SDK knows."""

_LOG: Final = logging.getLogger("exchange.client")
_EVENT: Final = msgspec.json.Decoder(AnyEvent)
_SUBSCRIBED: Final = msgspec.json.Decoder(Subscribed)
_KNOWN: Final = frozenset(each.__struct_config__.tag for each in get_args(AnyEvent))
_PER_REQUEST: Final = 100
"""Channels in one request: their names and sequences stay well below the 64 KiB of a message."""
_SNAPSHOTS: Final = frozenset(("book_snapshot", "position_snapshot"))

EventListener = Callable[[ClientEvent], None]


class Streams:
    """Listens to a :class:`~exchange.client.link.Link`.

    ``account`` and books are as of the last message received; the queue of events may be behind them.
    """

    def __init__(self, account: Account, timeout_s: float) -> None:
        self._account = account
        self._timeout_s = timeout_s
        self._channels: dict[str, Channel] = {}
        self._listeners: list[EventListener] = []
        self._queue: EventQueue[ClientEvent] | None = None
        self._connection: Connection | None = None
        self._epoch = ""
        self._was_connected = False
        self._end: Exception | None = None
        self._joined: set[str] = set()
        self._reconciling = asyncio.Lock()
        self._reconciling_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what a client asks for -----------------------------------------------------------------

    async def subscribe(self, names: Iterable[str]) -> None:
        """Until the exchange has entered every channel; raises Rejected for one it does not have."""
        if self._end is not None:
            raise self._end
        wanted = [self._channels.get(name) or self._add(name) for name in names]
        self._start_reconciling()
        for channel in wanted:
            await channel.wait_entered()

    def unsubscribe(self, names: Iterable[str]) -> None:
        """From now on nothing of these channels is told."""
        for name in names:
            self._channels.pop(name, None)
        self._start_reconciling()

    def listen(self, listener: EventListener) -> None:
        """Call ``listener`` with every event, at once; what it raises is logged."""
        self._listeners.append(listener)

    def queue(self) -> EventQueue[ClientEvent]:
        """Every event from now on, for one reader; raises RuntimeError when there is one already."""
        if self._queue is not None:
            raise RuntimeError("the events of a client have one reader")
        self._queue = EventQueue(self._catch_up)
        if self._end is not None:
            self.ended(self._end)
        return self._queue

    def _add(self, name: str) -> Channel:
        channel = self._channels[name] = Channel(name)
        return channel

    def drop_queue(self) -> None:
        """Nobody reads any more."""
        self._queue = None
        self._catch_up()

    def book(self, instrument_id: str) -> OrderBook | None:
        """The book kept from ``book.{instrument}``; None where that is not subscribed."""
        channel = self._channels.get(BOOK_PREFIX + instrument_id)
        return None if channel is None else channel.book

    # --- what the link tells --------------------------------------------------------------------

    async def connected(self, connection: Connection, hello: Hello) -> None:
        """Take every channel up where it was."""
        if hello.api_version != API_VERSION:
            raise NotUnderstood(
                f"this SDK knows API version {API_VERSION}, the exchange has {hello.api_version}", 0
            )
        self._epoch = hello.epoch
        self._connection = connection
        self._joined.clear()
        await self._reconcile(connection)
        if self._was_connected:
            self._mark(Reconnected())
        self._was_connected = True

    def disconnected(self, error: ExchangeError) -> None:
        """Hold every channel until there is another socket."""
        self._connection = None
        for channel in self._channels.values():
            channel.hold()
        if self._was_connected:
            self._mark(Disconnected(str(error)))

    def ended(self, error: Exception | None) -> None:
        """No socket any more: readers and subscribers are told."""
        self._end = error or ConnectionLost("the client is closed", sent=False)
        self._connection = None
        for task in self._tasks:
            task.cancel()
        for channel in self._channels.values():
            channel.hold()
            channel.refuse(self._end)
        if self._queue is not None:
            self._queue.end(error)

    def on_event(self, head: Head, message: bytes) -> None:
        """Take in one message of the socket."""
        channel = self._channels.get(head.channel or PRIVATE)
        if channel is None:
            return
        verdict = channel.judge(head.seq, is_snapshot=head.type in _SNAPSHOTS)
        if verdict is Verdict.TAKE:
            self._take(channel, head, message)
        elif verdict is Verdict.GAP:
            _LOG.warning("gap in %s before %d, after %s", channel.name, head.seq, channel.last_seq)
            self._renew(channel)

    def _take(self, channel: Channel, head: Head, message: bytes) -> None:
        if head.type not in _KNOWN:
            # Within one version of the API new types may come; a client leaves them alone.
            channel.last_seq = head.seq
            return
        try:
            event = _EVENT.decode(message)
        except msgspec.ValidationError as error:
            if head.type in _SNAPSHOTS:
                raise
            _LOG.warning("event %d of %s not understood: %s", head.seq, channel.name, error)
            channel.reset_reason = "not_understood"
            self._renew(channel)
            return
        if isinstance(event, BookUpdate) and event.prev_seq != channel.last_seq:
            channel.reset_reason = "not_continued"
            self._renew(channel)
        elif self._deliver(event):
            self._apply(channel, event)
            self._call(event)
        else:
            self._fall_behind(channel)

    def _apply(self, channel: Channel, event: AnyEvent) -> None:
        channel.last_seq = event.seq
        if channel.book is not None:
            if isinstance(event, BookSnapshot | BookUpdate):
                channel.book.apply(event)
        elif channel.name == PRIVATE:
            self._account.apply(event)

    # --- telling --------------------------------------------------------------------------------

    def _deliver(self, event: ClientEvent) -> bool:
        return self._queue is None or self._queue.offer(event)

    def _mark(self, mark: Disconnected | Reconnected) -> None:
        if self._queue is not None:
            self._queue.mark(mark)
        self._call(mark)

    def _call(self, event: ClientEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                _LOG.exception("a listener failed on %r", event)

    # --- subscriptions --------------------------------------------------------------------------

    def _fall_behind(self, channel: Channel) -> None:
        channel.hold()
        channel.is_behind = True
        self._start_reconciling()

    def _catch_up(self) -> None:
        for channel in self._channels.values():
            channel.is_behind = False
        self._start_reconciling()

    def _renew(self, channel: Channel) -> None:
        channel.hold()
        self._start_reconciling()

    def _start_reconciling(self) -> None:
        if self._connection is not None and not self._reconciling_due:
            self._reconciling_due = True
            task = asyncio.create_task(self._reconcile_or_hang_up(self._connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reconcile_or_hang_up(self, connection: Connection) -> None:
        try:
            await self._reconcile(connection)
        except ConnectionLost:
            _LOG.debug("subscriptions are entered again with the next socket")
        except ExchangeError as error:
            _LOG.warning("subscribing failed, connecting anew: %s", error)
            await connection.close()

    async def _reconcile(self, connection: Connection) -> None:
        # One at a time, so that each knows what the exchange knows; on a socket that is gone nothing changes.
        async with self._reconciling:
            self._reconciling_due = False
            stale = [
                each for each in self._joined if (known := self._channels.get(each)) is None or known.is_held
            ]
            for names in _chunks(stale):
                await connection.request("unsubscribe", UnsubscribeParams(channels=names), self._timeout_s)
                self._joined.difference_update(names)
            wanted = [each for each in self._channels.values() if each.is_held and not each.is_behind]
            for channels in _chunks(wanted):
                await self._join(connection, channels)

    async def _join(self, connection: Connection, channels: list[Channel]) -> None:
        resume_from = {each.name: each.resume_from(self._epoch) for each in channels}
        params = SubscribeParams(
            channels=list(resume_from),
            resume_from={name: seq for name, seq in resume_from.items() if seq is not None},
            epoch=self._epoch,
        )
        try:
            await connection.request("subscribe", params, self._timeout_s, self._entered)
        except Rejected as error:
            await self._join_singly(connection, channels, error)

    async def _join_singly(self, connection: Connection, channels: list[Channel], error: Rejected) -> None:
        if len(channels) > 1:
            for channel in channels:
                await self._join(connection, [channel])
        elif error.code == Code.INVALID_REQUEST and channels[0].resume_from(self._epoch) is not None:
            # An exchange that was put back to an earlier state does not know what this client has seen.
            channels[0].reset_reason = "ahead_of_exchange"
            await self._join(connection, channels)
        else:
            self._refused(channels[0], error)

    def _entered(self, result: msgspec.Raw) -> None:
        subscribed = _SUBSCRIBED.decode(result)
        for state in subscribed.channels:
            self._joined.add(state.channel)
            channel = self._channels.get(state.channel)
            if channel is None:
                continue
            reason = channel.lost(state)
            if reason is not None and channel.last_seq is not None:
                reset = StreamReset(channel.name, channel.last_seq, reason)
                if not self._deliver(reset):
                    channel.is_behind = True
                    self._start_reconciling()
                    continue
                self._call(reset)
            channel.enter(state, subscribed.epoch)

    def _refused(self, channel: Channel, error: Rejected) -> None:
        _LOG.warning("no subscription to %s: %s", channel.name, error)
        del self._channels[channel.name]
        channel.refuse(error)


T = TypeVar("T")


def _chunks(items: list[T]) -> Iterable[list[T]]:
    return (items[start : start + _PER_REQUEST] for start in range(0, len(items), _PER_REQUEST))
