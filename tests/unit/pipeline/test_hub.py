from __future__ import annotations

import asyncio

import msgspec
import pytest

from exchange.base.bounds import (
    BACKLOG_BUFFER_BYTES,
    CONNECTION_BUFFER_BYTES,
    CONNECTION_BUFFER_MESSAGES,
    RESUME_SLICE,
)
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import BROKEN, TOO_SLOW, Hub
from exchange.pipeline.streams import PrivateFeed, PrivateStreams, TradesFeed
from exchange.wire.encode_events import Encoding, PrivateEventWriter
from exchange.wire.events import TradeEvent
from exchange.wire.prices import PriceGrid
from tests.support.sockets import FRAMERS, INSTRUMENT, FakeSettle, listener, payload, private_event
from tests.support.stages import until

WRITER = PrivateEventWriter([INSTRUMENT])


@pytest.fixture
def hub() -> Hub:
    """A hub without sockets."""
    return Hub(FRAMERS)


class Team:
    """A private stream whose events are kept and told as publish does it; settle is ahead where asked."""

    def __init__(self, hub: Hub, size: int = 10_000, settled: int | None = None) -> None:
        self._hub = hub
        self._settled = settled
        self._settle = FakeSettle(settled or 0)
        self.streams = PrivateStreams(size)
        self.feed = PrivateFeed(1, self.streams.of(1), WRITER.message, self._settle.snapshot)

    def happens(self, count: int = 1) -> None:
        """``count`` more events, in one batch."""
        first = self.feed.last_seq + 1
        events = [private_event(seq) for seq in range(first, first + count)]
        self.streams.restore(events)
        if self._settled is None:
            self._settle.seq = self.feed.last_seq
        self._hub.begin_round()
        self._hub.tell(self.feed, [WRITER.message(event) for event in events])


def _trade(seq: int) -> TradeEvent:
    side = private_event(1).side
    return TradeEvent(
        seq=seq, timestamp="T", channel="trades.SPX", trade_id="TRD_1", price=1.0, quantity=1, side=side
    )


def _join(hub: Hub, connection: Connection, team: Team, resume_from: int | None = None) -> None:
    hub.subscribe(connection, team.feed, resume_from)
    hub.advance(connection)


def test_hub_snapshot_comes_first_then_what_is_new(hub: Hub) -> None:
    """Without resume_from a socket gets a snapshot, then every event after it once."""
    team = Team(hub)
    team.happens(3)
    outlet, connection = listener(hub)
    _join(hub, connection, team)
    team.happens(2)
    assert [(m["type"], m["seq"]) for m in outlet.read()] == [
        ("position_snapshot", 3),
        ("new_order_ack", 4),
        ("new_order_ack", 5),
    ]


def test_hub_snapshot_ahead_of_publish_is_not_repeated(hub: Hub) -> None:
    """Events that a snapshot already counts are not told again when publish comes to them."""
    team = Team(hub, settled=4)
    team.happens(2)
    outlet, connection = listener(hub)
    _join(hub, connection, team)
    team.happens(1)
    team.happens(3)
    assert [m["seq"] for m in outlet.read()] == [4, 5, 6]


def test_hub_resume_sends_what_was_missed_then_live(hub: Hub) -> None:
    """resume_from N is answered with N+1 and on, without gap or repetition, then live."""
    team = Team(hub)
    team.happens(5)
    outlet, connection = listener(hub)
    _join(hub, connection, team, 2)
    team.happens(1)
    assert [m["seq"] for m in outlet.read()] == [3, 4, 5, 6]


def test_hub_encodes_once_per_encoding(hub: Hub) -> None:
    """Sockets of one encoding get the very same bytes; each encoding is read by its own kind of socket."""
    team = Team(hub)
    first, one = listener(hub)
    second, two = listener(hub)
    packed, three = listener(hub, Encoding.MSGPACK)
    for connection in (one, two, three):
        _join(hub, connection, team, 0)
    team.happens(1)
    assert first.unsent[0] is second.unsent[0]
    assert first.unsent[0][0] == 0x81
    assert packed.unsent[0][0] == 0x82
    assert msgspec.msgpack.decode(payload(packed.unsent[0]))["seq"] == 1


def test_hub_without_listeners_encodes_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling a stream nobody is live on touches no encoder."""
    monkeypatch.setattr(hub, "_write", None)
    Team(hub).happens(3)


def test_hub_slow_socket_is_closed_and_others_go_on(hub: Hub) -> None:
    """More than the buffer's messages unsent: 4008, counted, forgotten. The others get everything."""
    team = Team(hub)
    slow, behind = listener(hub)
    quick, ahead = listener(hub)
    _join(hub, behind, team, 0)
    _join(hub, ahead, team, 0)
    got = []
    for _ in range(CONNECTION_BUFFER_MESSAGES + 10):
        team.happens(1)
        got += [m["seq"] for m in quick.read()]
    assert slow.close_code == TOO_SLOW
    assert len(slow.unsent) == CONNECTION_BUFFER_MESSAGES + 1
    assert got == list(range(1, CONNECTION_BUFFER_MESSAGES + 11))
    assert hub.statistics().too_slow == 1
    assert hub.statistics().connections == 1


def test_hub_slow_socket_is_closed_by_bytes(hub: Hub) -> None:
    """The bytes count as well as the messages."""
    team = Team(hub)
    slow, behind = listener(hub)
    _join(hub, behind, team, 0)
    slow.unsent.append(b"x" * (CONNECTION_BUFFER_BYTES + 1))
    team.happens(1)
    assert slow.close_code == TOO_SLOW


def test_hub_one_large_batch_closes_nobody_who_kept_up(hub: Hub) -> None:
    """One command may tell a team more than a buffer holds; the next batch looks at the buffer."""
    team, trades = Team(hub), TradesFeed(PriceGrid(INSTRUMENT))
    outlet, connection = listener(hub)
    _join(hub, connection, team, 0)
    hub.subscribe(connection, trades, None)
    hub.advance(connection)
    team.happens(CONNECTION_BUFFER_MESSAGES * 2)
    hub.tell(trades, [_trade(1)])
    assert outlet.close_code is None
    assert len(outlet.read()) == CONNECTION_BUFFER_MESSAGES * 2 + 1
    team.happens(1)
    assert outlet.close_code is None


async def test_hub_backlog_goes_out_at_the_clients_pace(hub: Hub) -> None:
    """A long backlog is sent in slices as the client reads, with the live events behind it in order."""
    team = Team(hub)
    team.happens(4_000)
    outlet, connection = listener(hub)
    hub.subscribe(connection, team.feed, 0)
    pump = asyncio.create_task(hub.catch_up(connection))
    got: list[int] = []
    largest = 0
    while len(got) < 4_020:
        await until(lambda: bool(outlet.unsent))
        largest = max(largest, outlet.buffered_bytes())
        got += [m["seq"] for m in outlet.read()]
        if (len(got) % 3 == 0 or pump.done()) and team.feed.last_seq < 4_020:
            team.happens(1)
    await asyncio.wait_for(pump, 5)
    assert got == list(range(1, 4_021))
    assert largest <= BACKLOG_BUFFER_BYTES + RESUME_SLICE * 300


async def test_hub_backlog_overtaken_by_its_ring_is_too_slow(hub: Hub) -> None:
    """A client that does not read its backlog until the ring has moved on is closed as too slow."""
    team = Team(hub, size=1_000)
    team.happens(1_000)
    outlet, connection = listener(hub)
    hub.subscribe(connection, team.feed, 0)
    pump = asyncio.create_task(hub.catch_up(connection))
    await until(lambda: bool(outlet.unsent))
    team.happens(1_000)
    outlet.read()
    await asyncio.wait_for(pump, 5)
    assert outlet.close_code == TOO_SLOW


def test_hub_client_gone_is_counted_once(hub: Hub) -> None:
    """A client that goes away in the middle of a write is a counted fact, and forgotten."""
    team = Team(hub)
    outlet, connection = listener(hub)
    _join(hub, connection, team, 0)
    outlet.leave()
    team.happens(2)
    team.happens(1)
    hub.closed(connection)
    assert hub.statistics().client_gone == 1
    assert hub.statistics().connections == 0


def test_hub_unsubscribe_ends_it_live_or_waiting(hub: Hub) -> None:
    """After unsubscribe nothing comes any more, whether it was live or still owed its backlog."""
    team = Team(hub)
    team.happens(1)
    outlet, connection = listener(hub)
    assert not hub.unsubscribe(connection, "private")
    _join(hub, connection, team, 1)
    assert hub.unsubscribe(connection, "private")
    hub.subscribe(connection, team.feed, 0)
    assert hub.unsubscribe(connection, "private")
    assert hub.advance(connection)
    team.happens(1)
    assert outlet.unsent == []
    assert connection.subscriptions == {}


def test_hub_closed_forgets_every_subscription(hub: Hub) -> None:
    """A closed socket is listed nowhere; closing it twice does no harm."""
    team = Team(hub)
    feed = TradesFeed(PriceGrid(INSTRUMENT))
    _, connection = listener(hub)
    _join(hub, connection, team, 0)
    hub.subscribe(connection, feed, None)
    hub.advance(connection)
    hub.closed(connection)
    hub.closed(connection)
    assert not team.feed.live
    assert not feed.live
    assert hub.statistics().connections == 0


def test_hub_close_team_closes_its_sockets_alone(hub: Hub) -> None:
    """Sockets of other teams, and those without one, stay open."""
    outlets = []
    for account in (1, 1, 2, None):
        outlet, connection = listener(hub)
        connection.account = account
        outlets.append(outlet)
    hub.close_team(1, 4003, "the key was replaced")
    assert [outlet.close_code for outlet in outlets] == [4003, 4003, None, None]


def test_hub_break_off_closes_who_listens(hub: Hub) -> None:
    """What could not be told breaks off its own listeners with 1011, nobody else."""
    team = Team(hub)
    first, one = listener(hub)
    second, _ = listener(hub)
    _join(hub, one, team, 0)
    hub.break_off(team.feed)
    assert first.close_code == BROKEN
    assert second.close_code is None


def test_hub_tells_others_who_did_not_subscribe(hub: Hub) -> None:
    """What concerns everyone reaches sockets without a subscription, and not twice those with one."""
    feed = TradesFeed(PriceGrid(INSTRUMENT))
    inside, one = listener(hub)
    outside, _ = listener(hub)
    hub.subscribe(one, feed, None)
    hub.advance(one)
    message = _trade(1)
    feed.keep(message)
    hub.begin_round()
    hub.tell(feed, [message])
    hub.tell_others(feed, [message])
    assert len(inside.read()) == 1
    assert len(outside.read()) == 1
