from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from exchange.base.clock import ManualClock
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.commands import AnyCommand, CancelOrders, Record, RotateKey, SetPhase
from exchange.model.events import (
    Acknowledged,
    AnyPrivateEvent,
    AnyVenueEvent,
    Cancelled,
    PhaseChanged,
    Traded,
)
from exchange.model.types import CancelReason, Interval, Phase, Side
from exchange.pipeline.book_feed import BookFeed
from exchange.pipeline.channel import Channel
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import BROKEN, LOGGED_OUT, Hub
from exchange.pipeline.messages import Outgoing
from exchange.pipeline.publish import Publisher, PublishStage
from exchange.pipeline.streams import PhaseFeed, PrivateStreams
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.events import PhaseChange
from tests.support.markets import empty_markets
from tests.support.sockets import FRAMERS, INSTRUMENT, FakeOutlet, FakeSettle, listener, private_event
from tests.support.stages import run_to_end

NOW_US = ManualClock().now_us()


class Desk:
    """A publisher with its hub."""

    def __init__(self) -> None:
        self.hub = Hub(FRAMERS)
        self.private = PrivateStreams()
        self.publisher = Publisher(
            self.hub,
            self.private,
            empty_markets([INSTRUMENT]),
            writer=PrivateEventWriter([INSTRUMENT]),
            snapshot=FakeSettle().snapshot,
            phase=PhaseFeed(
                PhaseChange(seq=0, timestamp="T", channel="phase", phase=Phase.CONTINUOUS, reason="start")
            ),
            log=get_logger("test"),
        )
        self._sequence = 0

    def socket(
        self, *channels: str, account: int | None = None, resume_from: int | None = None
    ) -> FakeOutlet:
        """A socket subscribed to ``channels``, with their beginnings read."""
        outlet, connection = listener(self.hub)
        connection.account = account
        self.join(connection, *channels, resume_from=resume_from)
        outlet.read()
        return outlet

    def join(self, connection: Connection, *channels: str, resume_from: int | None = None) -> None:
        for channel in channels:
            feed = self.publisher.feed(channel, connection.account)
            assert feed is not None
            self.hub.subscribe(connection, feed, resume_from)
        self.hub.advance(connection)

    def item(
        self,
        events: list[AnyVenueEvent] | None = None,
        private: list[AnyPrivateEvent] | None = None,
        command: AnyCommand | None = None,
    ) -> Outgoing:
        """What settle passes on for one command."""
        self._sequence += 1
        command = command or CancelOrders(0, (), CancelReason.REQUESTED)
        record = Record(self._sequence, NOW_US + self._sequence, command)
        return Outgoing(record, events or [], private or [])


@pytest.fixture
def desk() -> Desk:
    """A fresh publisher."""
    return Desk()


def entered(order_id: int, side: Side, price_ticks: int, quantity: int) -> Acknowledged:
    """An order came to rest."""
    return Acknowledged(order_id, "SPX", side, price_ticks, quantity)


def traded(trade_id: int, price_ticks: int, quantity: int, maker: int = 1, taker: int = 2) -> Traded:
    """A seller of account 2 met a buyer of account 1."""
    return Traded(trade_id, "SPX", price_ticks, quantity, maker, taker, 1, 2, Side.SELL)


def test_publish_private_events_reach_their_team_alone(desk: Desk) -> None:
    """Each connection of a team gets all of its events, another team none of them."""
    ours, also_ours, theirs = (desk.socket("private", account=account) for account in (1, 1, 2))
    desk.publisher.publish(
        [
            desk.item(private=[private_event(1, 1), private_event(1, 2)]),
            desk.item(private=[private_event(2, 1)]),
        ]
    )
    assert [m["seq"] for m in ours.read()] == [1, 2]
    assert [m["seq"] for m in also_ours.read()] == [1, 2]
    assert [m["order_id"] for m in theirs.read()] == ["ORD_1"]


def test_publish_book_changes_of_a_batch_are_one_update(desk: Desk) -> None:
    """A level that changed twice is told once, with what it holds in the end; 0 deletes it."""
    watcher = desk.socket("book.SPX")
    desk.publisher.publish([desk.item([entered(1, Side.BUY, 440_000, 5)])])
    desk.publisher.publish(
        [
            desk.item([entered(2, Side.SELL, 440_000, 3), traded(1, 440_000, 3)]),
            desk.item([entered(3, Side.BUY, 440_000, 4)]),
            desk.item([entered(4, Side.SELL, 440_100, 7)]),
        ]
    )
    desk.publisher.publish([desk.item([Cancelled(4, "SPX", Side.SELL, 440_100, 7, CancelReason.REQUESTED)])])
    updates = watcher.read()
    assert [(u["prev_seq"], u["seq"]) for u in updates] == [(0, 1), (1, 2), (2, 3)]
    assert [(u["bids"], u["asks"]) for u in updates] == [
        ([[4400.0, 5]], []),
        ([[4400.0, 6]], [[4401.0, 7]]),
        ([], [[4401.0, 0]]),
    ]


def test_publish_book_can_be_resumed_before_anyone_listened(desk: Desk) -> None:
    """Who knows that the book is empty at sequence 0 needs no snapshot, only what follows."""
    watcher = desk.socket("book.SPX", resume_from=0)
    desk.publisher.publish([desk.item([entered(1, Side.BUY, 440_000, 5)])])
    assert [(u["type"], u["seq"], u["bids"]) for u in watcher.read()] == [("book_update", 1, [[4400.0, 5]])]


def test_publish_book_that_did_not_change_is_not_told(desk: Desk) -> None:
    """An order that enters and is cancelled within a command leaves no update."""
    watcher = desk.socket("book.SPX")
    ended = Cancelled(1, "SPX", Side.BUY, 440_000, 5, CancelReason.IOC_REMAINDER)
    desk.publisher.publish([desk.item([entered(1, Side.BUY, 440_000, 5), ended])])
    assert watcher.read() == []


def test_publish_trades_go_to_their_channel(desk: Desk) -> None:
    """A trade is told with the taker's side, the channel's own sequence and the time of its command."""
    desk.publisher.publish([desk.item([entered(1, Side.BUY, 440_000, 9)])])
    watcher = desk.socket("trades.SPX")
    desk.publisher.publish([desk.item([entered(2, Side.SELL, 439_950, 3), traded(1, 440_000, 3)])])
    assert watcher.read() == [
        {
            "type": "trade",
            "seq": 1,
            "timestamp": "2024-01-01T00:00:00.000002Z",
            "channel": "trades.SPX",
            "trade_id": "TRD_1",
            "price": 4400.0,
            "quantity": 3,
            "side": "sell",
        }
    ]


def test_publish_phase_change_reaches_everyone(desk: Desk) -> None:
    """Subscribed or not, logged in or not, each socket hears of it once."""
    sockets = [desk.socket(), desk.socket("phase"), desk.socket("private", account=1)]
    desk.publisher.publish(
        [desk.item([PhaseChanged(Phase.HALTED, "operator")], command=SetPhase(Phase.HALTED, "operator"))]
    )
    for outlet in sockets:
        assert [(m["type"], m["phase"], m["seq"]) for m in outlet.read()] == [("phase_change", "halted", 1)]


def test_publish_without_listeners_encodes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are kept and counted, but no message is made of them."""

    def fail(*arguments: Any) -> Any:
        raise AssertionError("encoded for nobody")

    monkeypatch.setattr(desk.hub, "_write", None)
    monkeypatch.setattr(PrivateEventWriter, "message", fail)
    monkeypatch.setattr(BookFeed, "keep", fail)
    assert desk.publisher.feed("private", 1) is not None
    desk.publisher.publish(
        [desk.item([entered(1, Side.BUY, 440_000, 5), traded(1, 440_000, 5)], [private_event(1)])]
    )
    assert desk.publisher.statistics().failures == 0
    assert desk.publisher.private_seq(1) == 1


def test_publish_resume_after_restore_goes_on_with_the_sequence(desk: Desk) -> None:
    """What a replay restored is told to who resumes from before it, and to nobody else."""
    watcher = desk.socket("private", account=1, resume_from=0)
    desk.private.restore([private_event(1), private_event(2)])
    assert watcher.unsent == []
    outlet, connection = listener(desk.hub)
    connection.account = 1
    desk.join(connection, "private", resume_from=1)
    assert [m["seq"] for m in outlet.read()] == [2]


def test_publish_failing_item_does_not_stop_the_others(desk: Desk) -> None:
    """An item that cannot be published is logged and counted; those before and after it are told."""
    watcher = desk.socket("private", account=1)
    broken = desk.item([Acknowledged(1, "UNKNOWN", Side.BUY, 1, 1)], [private_event(2)])
    with capture_logs() as logs:
        desk.publisher.publish(
            [desk.item(private=[private_event(1)]), broken, desk.item(private=[private_event(3)])]
        )
    assert [m["seq"] for m in watcher.read()] == [1, 2, 3]
    assert desk.publisher.statistics().failures == 1
    assert [entry["event"] for entry in logs] == ["publish failed"]


def test_publish_message_that_cannot_be_made_breaks_off_its_listeners(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would have a gap is closed with 1011 and may resume; other channels go on."""
    broken, fine = desk.socket("private", account=1), desk.socket("book.SPX")
    monkeypatch.setattr(desk.publisher._writer, "message", lambda event: 1 / 0)
    desk.publisher.publish([desk.item([entered(1, Side.BUY, 440_000, 5)], [private_event(1)])])
    assert broken.close_code == BROKEN
    assert len(fine.read()) == 1
    assert desk.publisher.statistics().failures == 1


def test_publish_lost_event_breaks_off_and_goes_on(desk: Desk) -> None:
    """After a gap listeners are closed, nobody can resume from before it, and the stream goes on."""
    watcher = desk.socket("private", account=1)
    desk.publisher.publish([desk.item(private=[private_event(1)])])
    desk.publisher.publish([desk.item(private=[private_event(3), private_event(4)])])
    assert watcher.close_code == BROKEN
    feed = desk.publisher.feed("private", 1)
    assert feed is not None
    assert (feed.oldest_resume, feed.last_seq) == (2, 4)


def test_publish_replaced_key_closes_the_teams_sockets(desk: Desk) -> None:
    """Whoever holds the old key hears nothing more."""
    ours, theirs = desk.socket("private", account=1), desk.socket("private", account=2)
    desk.publisher.publish([desk.item(command=RotateKey(1, b"hash", "r"))])
    assert ours.close_code == LOGGED_OUT
    assert theirs.close_code is None


def test_publish_knows_its_channels(desk: Desk) -> None:
    """Public channels belong to everyone, the private one to a team; everything else is unknown."""
    public = ["phase", "book.SPX", "book.SPX.5", "book.SPX.20", "trades.SPX", "orders.SPX", "ticker.SPX"]
    for channel in (*public, "status.SPX", *(f"candles.SPX.{each.value}" for each in Interval)):
        feed = desk.publisher.feed(channel, None)
        assert feed is not None
        assert feed.name == channel
    assert desk.publisher.feed("private", None) is None
    assert desk.publisher.feed("private", 1) is not desk.publisher.feed("private", 2)
    for channel in ("book.NONE", "book", "trades.", "book.SPX.7", "candles.SPX", ""):
        assert desk.publisher.feed(channel, 1) is None


def test_publish_flushes_when_everything_is_told(desk: Desk) -> None:
    """Once for a batch, after its last message: what was told leaves in this turn of the loop."""
    watcher, unsent = desk.socket("private", account=1), list[int]()
    desk.hub.flush = lambda: unsent.append(len(watcher.unsent))
    desk.publisher.publish([desk.item(private=[private_event(seq)]) for seq in (1, 2)])
    assert unsent == [2]


def test_publish_without_news_looks_at_no_socket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most batches have nothing for most sockets: asking each of them would cost more than the orders."""
    desk.socket()
    asked: list[tuple[int, int]] = []

    def is_behind(outlet: FakeOutlet, most_bytes: int, most_messages: int) -> bool:
        asked.append((most_bytes, most_messages))
        return False

    monkeypatch.setattr(FakeOutlet, "is_behind", is_behind)
    desk.publisher.publish([desk.item()])
    assert not asked


async def test_publish_stage_ends_at_the_sentinel(desk: Desk) -> None:
    """Everything before the sentinel is published, then the stage returns."""
    watcher = desk.socket("private", account=1)
    queue: Channel[Outgoing] = Channel(600)
    for seq in range(1, 600):
        queue.put_nowait(desk.item(private=[private_event(seq)]))
    queue.put_nowait(None)
    stage = PublishStage(queue, desk.publisher, log=get_logger("test"), metrics=Metrics())
    await run_to_end(stage.run)
    assert [m["seq"] for m in watcher.read()] == list(range(1, 600))
    assert desk.publisher.statistics().items == 599
