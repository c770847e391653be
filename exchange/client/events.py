"""What a client hears besides the exchange's own events: what became of its connection and its streams."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.wire.events import AnyEvent


class Disconnected(msgspec.Struct, frozen=True):
    """The socket is gone, the client is trying to get another. Several losses may be told as one."""

    reason: str


class Reconnected(msgspec.Struct, frozen=True):
    """There is a socket again; every stream goes on from where it was, or was told as StreamReset."""


class StreamReset(msgspec.Struct, frozen=True):
    """Events of ``channel`` after ``last_seq`` are lost: what was known is void, its snapshot follows.

    A channel of trades has no snapshot: ``client.trades`` has those that were missed. ``reason`` is
    ``resume_too_old`` (away longer than the exchange keeps events), ``new_epoch`` (it was restarted), or more
    rarely ``ahead_of_exchange`` (it was put back), ``checksum`` (the book was not the exchange's),
    ``not_understood``, ``not_continued``, ``not_resumed``.
    """

    channel: str
    last_seq: int
    reason: str


class ServerStopping(msgspec.Struct, frozen=True):
    """The exchange goes on for ``grace_ms`` and then stops; the client will try to connect again."""

    grace_ms: int


ClientEvent: TypeAlias = AnyEvent | Disconnected | Reconnected | StreamReset | ServerStopping
