"""The channels of one client: each event once and in order, over any number of sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, get_args

import msgspec

from exchange.client.account import Account
from exchange.client.channels import BOOK_PREFIX, ORDERS_PREFIX, PRIVATE, Channel, Verdict
from exchange.client.connection import Connection, Head
from exchange.client.errors import ConnectionLost, ExchangeError, NotUnderstood
from exchange.client.event_queue import EventQueue
from exchange.client.events import ClientEvent, Disconnected, Reconnected, ServerStopping, StreamReset
from exchange.client.order_book import ChecksumMismatch, OrderBook
from exchange.client.order_queues import OrderQueues
from exchange.client.subscriptions import Subscriptions
from exchange.wire.events import AnyEvent, BookSnapshot, BookUpdate, Hello, OrdersUpdate, ServerShutdown
from exchange.wire.requests import DisconnectRequest

API_VERSION: Final = "1"
"""The only one this SDK knows."""

FLAG: Final = "session.cancel_on_disconnect"

_LOG: Final = logging.getLogger("exchange.client")
_EVENT: Final = msgspec.json.Decoder(AnyEvent)
_NOTICE: Final = msgspec.json.Decoder(ServerShutdown)
_SHUTDOWN: Final = ServerShutdown.__struct_config__.tag
_KNOWN: Final = frozenset(each.__struct_config__.tag for each in get_args(AnyEvent))
_SNAPSHOTS: Final = frozenset(("book_snapshot", "orders_snapshot", "position_snapshot"))

EventListener = Callable[[ClientEvent], None]


class Streams:
    """Listens to a :class:`~exchange.client.link.Link`.

    ``account`` and books are as of the last message received; the queue of events may be behind them.
    """

    def __init__(self, account: Account, timeout_s: float) -> None:
        self._account = account
        self._timeout_s = timeout_s
        self._channels: dict[str, Channel] = {}
        self._subscriptions = Subscriptions(self._channels, timeout_s, self._reset)
        self._listeners: list[EventListener] = []
        self._queue: EventQueue[ClientEvent] | None = None
        self._was_connected = False
        self._end: Exception | None = None
        self.is_flagged = False
        """Whether each new socket asks for cancel on disconnect before anything else."""

    # --- what a client asks for -----------------------------------------------------------------

    async def subscribe(self, names: Iterable[str], conflate_ms: int | None = None) -> None:
        """Until the exchange has entered every channel; raises Rejected for one it does not have."""
        if self._end is not None:
            raise self._end
        wanted = [self._wanted(name, conflate_ms) for name in names]
        self._subscriptions.update()
        for channel in wanted:
            await channel.wait_entered()

    def unsubscribe(self, names: Iterable[str]) -> None:
        """From now on nothing of these channels is told."""
        for name in names:
            self._channels.pop(name, None)
        self._subscriptions.update()

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

    def drop_queue(self) -> None:
        """Nobody reads any more."""
        self._queue = None
        self._catch_up()

    def book(self, instrument_id: str, depth: int | None = None) -> OrderBook | None:
        """The book kept from ``book.{instrument}``, of that ``depth``; None where it is not subscribed."""
        channel = self._channels.get(f"{BOOK_PREFIX}{instrument_id}{'' if depth is None else f'.{depth}'}")
        return None if channel is None else channel.book

    def queues(self, instrument_id: str) -> OrderQueues | None:
        """The orders kept from ``orders.{instrument}``; None where that is not subscribed."""
        channel = self._channels.get(ORDERS_PREFIX + instrument_id)
        return None if channel is None else channel.queues

    def _wanted(self, name: str, conflate_ms: int | None) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name, conflate_ms)
        elif channel.conflate_ms != conflate_ms:
            # It is left, and entered anew from where it was.
            channel.conflate_ms = conflate_ms
            channel.hold()
        return channel

    # --- what the link tells --------------------------------------------------------------------

    async def connected(self, connection: Connection, hello: Hello) -> None:
        """Take every channel up where it was."""
        if hello.api_version != API_VERSION:
            raise NotUnderstood(
                f"this SDK knows API version {API_VERSION}, the exchange has {hello.api_version}", 0
            )
        if self.is_flagged:
            await connection.request(FLAG, DisconnectRequest(enabled=True), self._timeout_s)
        await self._subscriptions.take_up(connection, hello.epoch)
        if self._was_connected:
            self._mark(Reconnected())
        self._was_connected = True

    def disconnected(self, error: ExchangeError) -> None:
        """Hold every channel until there is another socket."""
        self._subscriptions.drop()
        for channel in self._channels.values():
            channel.hold()
        if self._was_connected:
            self._mark(Disconnected(str(error)))

    def ended(self, error: Exception | None) -> None:
        """No socket any more: readers and subscribers are told."""
        self._end = error or ConnectionLost("the client is closed", sent=False)
        self._subscriptions.end()
        for channel in self._channels.values():
            channel.hold()
            channel.refuse(self._end)
        if self._queue is not None:
            self._queue.end(error)

    def on_event(self, head: Head, message: bytes) -> None:
        """Take in one message of the socket."""
        if head.type == _SHUTDOWN:
            self._mark(ServerStopping(_NOTICE.decode(message).grace_ms))
            return
        channel = self._channels.get(head.channel or PRIVATE)
        if channel is None:
            return
        verdict = channel.judge(head.seq, is_snapshot=head.type in _SNAPSHOTS, prev_seq=head.prev_seq)
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
        if isinstance(event, BookUpdate | OrdersUpdate) and event.prev_seq != channel.last_seq:
            channel.reset_reason = "not_continued"
            self._renew(channel)
        elif self._deliver(event):
            self._apply(channel, event)
            self._call(event)
        else:
            self._fall_behind(channel)

    def _apply(self, channel: Channel, event: AnyEvent) -> None:
        try:
            channel.apply(event)
        except ChecksumMismatch as error:
            if isinstance(event, BookSnapshot):
                # Another one would be no better.
                raise NotUnderstood(str(error), 0) from error
            _LOG.warning("%s", error)
            channel.reset_reason = "checksum"
            self._renew(channel)
        if channel.name == PRIVATE:
            self._account.apply(event)

    # --- telling --------------------------------------------------------------------------------

    def _deliver(self, event: ClientEvent) -> bool:
        return self._queue is None or self._queue.offer(event)

    def _mark(self, mark: Disconnected | Reconnected | ServerStopping) -> None:
        if self._queue is not None:
            self._queue.mark(mark)
        self._call(mark)

    def _call(self, event: ClientEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                _LOG.exception("a listener failed on %r", event)

    def _reset(self, reset: StreamReset) -> bool:
        if not self._deliver(reset):
            return False
        self._call(reset)
        return True

    # --- standing still -------------------------------------------------------------------------

    def _renew(self, channel: Channel) -> None:
        channel.hold()
        self._subscriptions.update()

    def _fall_behind(self, channel: Channel) -> None:
        channel.hold()
        channel.is_behind = True
        self._subscriptions.update()

    def _catch_up(self) -> None:
        for channel in self._channels.values():
            channel.is_behind = False
        self._subscriptions.update()
