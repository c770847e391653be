"""One socket as the pipeline sees it: a bounded way out, and what it listens to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

from exchange.pipeline.streams import Feed
from exchange.wire.encode_events import Encoding
from exchange.wire.events import AnyEvent


class Outlet(Protocol):
    """The sending half of one socket. Only ``drained`` awaits."""

    def write(self, frame: bytes) -> bool:
        """Hand in a whole frame; False when the client is gone."""
        ...

    def buffered_bytes(self) -> int: ...

    def is_behind(self, most_bytes: int, most_messages: int) -> bool:
        """Whether more than so much is unsent; asked before each message, so it should cost little."""
        ...

    def close(self, code: int, reason: str) -> None: ...

    async def drained(self) -> None:
        """Until the client has taken most of what is buffered, or is gone."""
        ...


FrameMaker: TypeAlias = Callable[[Any], bytes]
"""A message as a whole frame, one for each encoding."""


class Connection:
    """One socket. ``account`` is None until it logged in; ``round`` is when its buffer was last looked at.

    ``pump`` is called where something joins the backlog: its owner sees to it that it is sent.
    """

    __slots__ = (
        "account",
        "backlog",
        "encoding",
        "frame",
        "is_open",
        "outlet",
        "pump",
        "round",
        "subscriptions",
    )

    def __init__(self, outlet: Outlet, encoding: Encoding, frame: FrameMaker) -> None:
        self.outlet = outlet
        self.encoding = encoding
        self.frame = frame
        self.account: int | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.backlog: deque[Subscription] = deque()
        self.is_open = True
        self.round = 0
        self.pump: Callable[[], object] = _nothing


class Subscription:
    """One stream on one socket. ``cursor`` is the last sequence it was told, None before its beginning is.

    ``opening`` is what is left of its beginning, which tells all up to ``opens_at``. With a ``period_ns`` it
    is told where things stand at most once in that time, next at ``due_ns``.
    """

    __slots__ = ("connection", "cursor", "due_ns", "feed", "opening", "opens_at", "period_ns")

    def __init__(
        self, connection: Connection, feed: Feed, cursor: int | None, period_ns: int | None = None
    ) -> None:
        self.connection = connection
        self.feed = feed
        self.cursor = cursor
        self.opening: Iterator[AnyEvent] | None = None
        self.opens_at = 0
        self.period_ns = period_ns
        self.due_ns = 0

    @property
    def is_current(self) -> bool:
        """Whether it was told everything up to now."""
        return self.cursor is not None and self.cursor >= self.feed.last_seq


def _nothing() -> None:
    pass
