"""Whatever happens in whatever order, a client that resumes sees each event once, in turn."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.pipeline.streams import PrivateFeed, PrivateStreams
from exchange.wire.encode_events import PrivateEventWriter
from tests.support.sockets import FRAMERS, INSTRUMENT, FakeOutlet, FakeSettle, listener, private_event

WRITER = PrivateEventWriter([INSTRUMENT])
RING = 40


class Client:
    """Knows the sequence up to which it has everything, by events or by a snapshot."""

    def __init__(self) -> None:
        self.known = 0
        self.outlet: FakeOutlet | None = None
        self.connection: Connection | None = None

    def take(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if message["type"] == "position_snapshot":
                assert message["seq"] >= self.known
            else:
                assert message["seq"] == self.known + 1, "neither gap nor repetition"
            self.known = message["seq"]


class Streaming(RuleBasedStateMachine):
    """A team's stream with three clients. ``settled`` runs ahead of what is published."""

    @initialize()
    def start(self) -> None:
        self.hub = Hub(FRAMERS)
        self.streams = PrivateStreams(RING)
        self.settled = FakeSettle()
        self.feed = PrivateFeed(1, self.streams.of(1), WRITER.message, self.settled.snapshot)
        self.clients = [Client() for _ in range(3)]

    @rule(count=st.integers(1, 12))
    def settle(self, count: int) -> None:
        self.settled.seq += count

    @precondition(lambda self: self.settled.seq > self.feed.last_seq)
    @rule(share=st.floats(0, 1))
    def publish(self, share: float) -> None:
        first = self.feed.last_seq + 1
        last = first + int((self.settled.seq - first) * share)
        events = [private_event(seq) for seq in range(first, last + 1)]
        self.streams.restore(events)
        self.hub.begin_round()
        self.hub.tell(self.feed, [WRITER.message(event) for event in events])

    @rule(which=st.integers(0, 2), resume=st.booleans())
    def connect(self, which: int, resume: bool) -> None:
        client = self.clients[which]
        if client.connection is not None and client.connection.is_open:
            return
        client.outlet, client.connection = listener(self.hub)
        resumable = resume and self.feed.oldest_resume <= client.known <= self.feed.newest_resume
        self.hub.subscribe(client.connection, self.feed, client.known if resumable else None)

    @rule(which=st.integers(0, 2))
    def pump(self, which: int) -> None:
        connection = self.clients[which].connection
        if connection is not None and connection.is_open:
            self.hub.advance(connection)

    @rule(which=st.integers(0, 2))
    def read(self, which: int) -> None:
        client = self.clients[which]
        if client.outlet is not None:
            client.take(client.outlet.read())

    @rule(which=st.integers(0, 2), kept=st.integers(0, 20))
    def cut(self, which: int, kept: int) -> None:
        client = self.clients[which]
        if client.outlet is None or client.connection is None:
            return
        # What was on the way is lost beyond what had arrived.
        client.outlet.unsent = client.outlet.unsent[:kept]
        client.take(client.outlet.read())
        self.hub.closed(client.connection)
        client.outlet = client.connection = None

    @invariant()
    def live_and_waiting_agree(self) -> None:
        for client in self.clients:
            connection = client.connection
            if connection is not None:
                for subscription in connection.subscriptions.values():
                    assert (subscription in self.feed.live) != (subscription in connection.backlog)

    def teardown(self) -> None:
        for which, client in enumerate(self.clients):
            connection = client.connection
            if connection is None or not connection.is_open or client.outlet is None:
                continue
            while not self.hub.advance(connection):
                self.read(which)
            self.read(which)
            if connection.is_open:
                assert client.known >= self.feed.last_seq


TestStreaming = Streaming.TestCase
TestStreaming.settings = settings(
    max_examples=60, stateful_step_count=60, suppress_health_check=[HealthCheck.too_slow]
)
