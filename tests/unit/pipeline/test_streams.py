from __future__ import annotations

import pytest

from exchange.model.events import PhaseChanged
from exchange.model.types import Phase
from exchange.pipeline.streams import PhaseFeed, PrivateFeed, PrivateStreams, Ring, StreamGap, TradesFeed
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.events import PhaseChange
from exchange.wire.prices import PriceGrid
from tests.support.sockets import INSTRUMENT, FakeSettle, private_event

WRITER = PrivateEventWriter([INSTRUMENT])


def _phase(seq: int, phase: Phase = Phase.CONTINUOUS) -> PhaseChange:
    return PhaseChange(seq=seq, timestamp="T", channel="phase", phase=phase, reason="schedule")


def test_ring_gives_what_follows_in_order() -> None:
    """after(N) begins with N+1 and is cut at the limit."""
    ring: Ring[str] = Ring(10)
    for seq in range(1, 6):
        ring.append(seq, f"e{seq}")
    assert ring.after(0, 100) == ["e1", "e2", "e3", "e4", "e5"]
    assert ring.after(2, 2) == ["e3", "e4"]
    assert ring.after(5, 100) == []


def test_ring_forgets_the_oldest_at_its_bound() -> None:
    """A full ring drops the oldest, and oldest_resume says from where one can still resume."""
    ring: Ring[int] = Ring(3)
    for seq in range(1, 6):
        ring.append(seq, seq)
    assert ring.oldest_resume == 2
    assert ring.after(2, 100) == [3, 4, 5]


def test_ring_refuses_what_does_not_follow() -> None:
    """A gap and a repetition are bugs: the stream stays as it was."""
    ring: Ring[int] = Ring(3)
    ring.append(1, 1)
    for seq in (1, 3, 0):
        with pytest.raises(StreamGap):
            ring.append(seq, seq)
    assert (ring.last_seq, ring.after(0, 9)) == (1, [1])


def test_ring_skipped_keeps_nothing_before() -> None:
    """After skip_to(N) one resumes from N or not at all."""
    ring: Ring[int] = Ring(3)
    ring.append(1, 1)
    ring.skip_to(7)
    ring.append(8, 8)
    assert ring.oldest_resume == 7
    assert ring.after(7, 9) == [8]


def test_private_streams_restore_keeps_each_team_apart() -> None:
    """A replay fills the rings of all teams; each has its own sequence."""
    streams = PrivateStreams()
    streams.restore([private_event(1, 1), private_event(1, 2), private_event(2, 1)])
    assert [event.seq for event in streams.of(1).after(0, 9)] == [1, 2]
    assert [event.seq for event in streams.of(2).after(0, 9)] == [1]
    assert streams.of(3).last_seq == 0


def test_private_feed_begins_where_its_snapshot_ends() -> None:
    """Settle may be ahead of publish: what the snapshot tells already is not told again."""
    streams = PrivateStreams()
    streams.append(private_event(1))
    feed = PrivateFeed(1, streams.of(1), WRITER.message, FakeSettle(4).snapshot)
    messages, cursor = feed.begin()
    assert [message.seq for message in messages] == [4]
    assert cursor == 4
    assert feed.newest_resume == 4


def test_private_feed_writes_its_events_when_asked() -> None:
    """after() of a private feed gives messages, made of the events that are kept."""
    streams = PrivateStreams()
    streams.restore(private_event(seq) for seq in (1, 2, 3))
    feed = PrivateFeed(1, streams.of(1), WRITER.message, FakeSettle().snapshot)
    assert [message.seq for message in feed.after(1, 9)] == [2, 3]
    assert (feed.oldest_resume, feed.last_seq, feed.newest_resume) == (0, 3, 3)


def test_public_feed_counts_what_it_does_not_keep() -> None:
    """Messages passed over have sequences all the same, and cannot be resumed from."""
    feed = TradesFeed(PriceGrid(INSTRUMENT))
    feed.pass_over()
    feed.pass_over()
    assert (feed.last_seq, feed.oldest_resume) == (2, 2)
    messages, cursor = feed.begin()
    assert (list(messages), cursor) == ([], 2)


def test_phase_feed_begins_with_the_phase_now() -> None:
    """Who subscribes to phase hears at once where the day is, with the sequence of that change."""
    feed = PhaseFeed(_phase(0))
    assert list(feed.begin()[0]) == [_phase(0)]
    feed.change(PhaseChanged(Phase.REOPENING, "start", "SPX"), 0)
    assert [message.seq for message in feed.begin()[0]] == [0], "one instrument is not the day"
    feed.change(PhaseChanged(Phase.HALTED, "start"), 0)
    messages, cursor = feed.begin()
    (now,) = messages
    assert isinstance(now, PhaseChange)
    assert (now.seq, now.phase) == (2, Phase.HALTED)
    assert cursor == 2
    assert [message.seq for message in feed.news(0)] == [1, 2]
    assert feed.news(0) == []
