"""Keeps what a socket is subscribed to in agreement with the channels that are wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from exchange.client.channels import Channel
from exchange.client.connection import Connection
from exchange.client.errors import ConnectionLost, ExchangeError, Rejected
from exchange.client.events import StreamReset
from exchange.model.reasons import Code
from exchange.wire.socket import Subscribed, SubscribeParams, UnsubscribeParams

_LOG: Final = logging.getLogger("exchange.client")
_SUBSCRIBED: Final = msgspec.json.Decoder(Subscribed)
_PER_REQUEST: Final = 100
"""Channels in one request: their names and sequences stay well below the 64 KiB of a message."""

T = TypeVar("T")


class Subscriptions:
    """Of one client, over all its sockets. Wanted is what is in ``channels`` and not behind.

    A channel that is held is left and entered again from where it was. ``reset`` tells of events that are
    lost; where that finds no room the channel falls behind.
    """

    def __init__(
        self, channels: dict[str, Channel], timeout_s: float, reset: Callable[[StreamReset], bool]
    ) -> None:
        self._channels = channels
        self._timeout_s = timeout_s
        self._reset = reset
        self._connection: Connection | None = None
        self._epoch = ""
        self._entered: set[str] = set()
        # One change at a time, so that each knows what the exchange knows.
        self._changing = asyncio.Lock()
        self._is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    def update(self) -> None:
        """Bring the exchange up to date soon, or with the next socket."""
        if self._connection is not None and not self._is_due:
            self._is_due = True
            task = asyncio.create_task(self._agree_or_hang_up())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def take_up(self, connection: Connection, epoch: str) -> None:
        """Enter everything on a new socket; raises ExchangeError."""
        self._connection = connection
        self._epoch = epoch
        self._entered.clear()
        async with self._changing:
            await self._agree(connection)

    def drop(self) -> None:
        """The socket is gone."""
        self._connection = None

    def end(self) -> None:
        """There will be no other."""
        self._connection = None
        for task in self._tasks:
            task.cancel()

    async def _agree_or_hang_up(self) -> None:
        async with self._changing:
            self._is_due = False
            connection = self._connection
            if connection is None:
                return
            try:
                await self._agree(connection)
            except ConnectionLost:
                _LOG.debug("subscriptions are entered with the next socket")
            except ExchangeError as error:
                _LOG.warning("subscribing failed, connecting anew: %s", error)
                await connection.close()

    async def _agree(self, connection: Connection) -> None:
        stale = sorted(each for each in self._entered if self._is_stale(each))
        for names in _chunks(stale):
            await connection.request("unsubscribe", UnsubscribeParams(channels=names), self._timeout_s)
            self._entered.difference_update(names)
        wanted = [each for each in self._channels.values() if each.is_held and not each.is_behind]
        for conflate_ms in dict.fromkeys(each.conflate_ms for each in wanted):
            alike = [each for each in wanted if each.conflate_ms == conflate_ms]
            for channels in _chunks(alike):
                await self._enter(connection, channels)

    def _is_stale(self, name: str) -> bool:
        channel = self._channels.get(name)
        return channel is None or channel.is_held

    async def _enter(self, connection: Connection, channels: list[Channel]) -> None:
        resume_from = {each.name: each.resume_from(self._epoch) for each in channels}
        params = SubscribeParams(
            channels=list(resume_from),
            resume_from={name: seq for name, seq in resume_from.items() if seq is not None},
            epoch=self._epoch,
            conflate_ms=channels[0].conflate_ms,
        )
        try:
            await connection.request("subscribe", params, self._timeout_s, self._take_answer)
        except Rejected as error:
            await self._enter_singly(connection, channels, error)

    async def _enter_singly(self, connection: Connection, channels: list[Channel], error: Rejected) -> None:
        if len(channels) > 1:
            for channel in channels:
                await self._enter(connection, [channel])
        elif error.code == Code.INVALID_REQUEST and channels[0].resume_from(self._epoch) is not None:
            # An exchange that was put back to an earlier state does not know what this client has seen.
            channels[0].reset_reason = "ahead_of_exchange"
            await self._enter(connection, channels)
        else:
            self._refuse(channels[0], error)

    def _take_answer(self, result: msgspec.Raw) -> None:
        subscribed = _SUBSCRIBED.decode(result)
        for state in subscribed.channels:
            self._entered.add(state.channel)
            channel = self._channels.get(state.channel)
            if channel is None:
                continue
            reason = channel.lost(state)
            if reason is None or self._reset(StreamReset(channel.name, channel.last_seq or 0, reason)):
                channel.enter(state, subscribed.epoch)
            else:
                channel.is_behind = True
                self.update()

    def _refuse(self, channel: Channel, error: Rejected) -> None:
        _LOG.warning("no subscription to %s: %s", channel.name, error)
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
        channel.refuse(error)


def _chunks(items: list[T]) -> Iterable[list[T]]:
    return (items[start : start + _PER_REQUEST] for start in range(0, len(items), _PER_REQUEST))
