"""What travels on the four queues; None is the sentinel of each. A command stays one object all the way."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exchange.model.answers import QuoteAnswer
from exchange.model.commands import AnyCommand, Quote, Record
from exchange.model.events import AnyPrivateEvent, AnyVenueEvent
from exchange.pipeline.responses import PendingRequest


class Submission(msgspec.Struct, frozen=True, gc=False):
    """On ``order_queue``. ``pending`` is None for a system command: nobody waits."""

    command: AnyCommand | Quote
    pending: PendingRequest | None


class Sequenced(msgspec.Struct, frozen=True, gc=False):
    """On ``match_queue``: durable. ``answer`` is what the requester is told as soon as it is."""

    record: Record
    pending: PendingRequest | None
    answer: QuoteAnswer | None = None


class Matched(msgspec.Struct, frozen=True, gc=False):
    """On ``trade_queue``: what the venue made of one command."""

    record: Record
    events: list[AnyVenueEvent]
    pending: PendingRequest | None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """On ``websocket_queue``: booked, ready to be told."""

    record: Record
    events: list[AnyVenueEvent]
    private: Sequence[AnyPrivateEvent]
