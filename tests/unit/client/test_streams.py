"""Each event once and in order, over any number of sockets; what is lost is told."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.client import (
    BookSnapshot,
    BookUpdate,
    ClientEvent,
    ConnectionLost,
    Disconnected,
    EventStream,
    ExchangeClient,
    InProcessTransport,
    NotFound,
    NotUnderstood,
    PositionSnapshot,
    PositionUpdate,
    Reconnected,
    StreamReset,
    TradeEvent,
    Unauthenticated,
)
from exchange.client.event_queue import EventQueue
from exchange.wire.events import Event
from tests.unit.client.fake_exchange import (
    CuttingTransport,
    FakeExchange,
    fake_client,
    position_update,
    trade,
)

CHANNELS = ("private", "trades.SPX", "book.SPX")


def book_update(seq: int) -> dict[str, Any]:
    """Take the only bid away and put another in its place."""
    return {
        "type": "book_update",
        "channel": "book.SPX",
        "prev_seq": seq - 1,
        "bids": [[float(seq), 0], [seq + 1.0, 1]],
        "asks": [],
    }


def publish(exchange: FakeExchange, channel: str) -> None:
    """The next message of ``channel``, told by its sequence from every other."""
    seq = exchange.last_seq(channel) + 1
    if channel == "private":
        exchange.publish(channel, position_update(seq))
    elif channel == "book.SPX":
        exchange.publish(channel, book_update(seq))
    else:
        exchange.publish(channel, trade(price=float(seq)))


def numbers(events: Sequence[ClientEvent], kind: type[Event]) -> list[int]:
    """Sequences of the events of one kind."""
    return [event.seq for event in events if isinstance(event, kind)]


def reached(events: list[ClientEvent], before: int = -1) -> dict[str, int]:
    """The last sequence told of each channel."""
    reached = {"private": before, "trades.SPX": 0, "book.SPX": before}
    for event in events:
        if isinstance(event, PositionUpdate | PositionSnapshot):
            reached["private"] = event.seq
        elif isinstance(event, TradeEvent | BookUpdate | BookSnapshot):
            reached[event.channel] = event.seq
    return reached


async def read_until(stream: EventStream, done: Callable[[list[ClientEvent]], bool]) -> list[ClientEvent]:
    """Events until ``done`` says so of all of them."""
    events: list[ClientEvent] = []
    async with asyncio.timeout(10):
        while not done(events):
            events.append(await anext(stream))
    return events


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` holds."""
    loop = asyncio.get_running_loop()
    turned = asyncio.Event()
    async with asyncio.timeout(10):
        while not condition():
            turned.clear()
            loop.call_soon(turned.set)
            await turned.wait()


def has(kind: type) -> Callable[[list[ClientEvent]], bool]:
    """Whether an event of ``kind`` is the last."""
    return lambda events: bool(events) and isinstance(events[-1], kind)


@settings(max_examples=60)
@given(
    batches=st.lists(st.lists(st.sampled_from(CHANNELS), max_size=6), min_size=1, max_size=12),
    budgets=st.lists(st.integers(0, 14), max_size=25),
)
def test_every_event_comes_once_and_in_order_whatever_breaks(
    batches: list[list[str]], budgets: list[int]
) -> None:
    """A socket may break after any message: nothing is missed, repeated or out of order."""
    asyncio.run(_check_exactly_once(batches, budgets))


async def _check_exactly_once(batches: list[list[str]], budgets: list[int]) -> None:
    exchange = FakeExchange()
    transport = CuttingTransport(InProcessTransport(exchange, "key"), budgets)
    async with fake_client(transport) as client:
        stream = client.events(*CHANNELS)
        await stream.open()
        for batch in batches:
            for channel in batch:
                publish(exchange, channel)
            await asyncio.sleep(0)
        last = {channel: exchange.last_seq(channel) for channel in CHANNELS}
        events = await read_until(stream, lambda events: reached(events) == last)
        # A break before the first snapshot makes that snapshot a later one, and nothing else.
        snapshots = [event for event in events if isinstance(event, PositionSnapshot | BookSnapshot)]
        assert len(snapshots) == 2
        (begin,) = numbers(snapshots, PositionSnapshot)
        assert numbers(events, PositionUpdate) == list(range(begin + 1, last["private"] + 1))
        (begin,) = numbers(snapshots, BookSnapshot)
        assert numbers(events, BookUpdate) == list(range(begin + 1, last["book.SPX"] + 1))
        assert numbers(events, TradeEvent) == list(range(1, last["trades.SPX"] + 1))
        assert not any(isinstance(event, StreamReset) for event in events)
        book = client.live_book("SPX")
        assert book is not None
        assert [level.price for level in book.bids()] == [last["book.SPX"] + 1.0]


@pytest.mark.parametrize("boundary", range(12))
async def test_socket_may_break_at_each_message_boundary(boundary: int) -> None:
    """The same break at every boundary from the hello on: the events are those that were sent."""
    exchange = FakeExchange()
    transport = CuttingTransport(InProcessTransport(exchange, "key"), [boundary])
    async with fake_client(transport) as client:
        stream = client.events(*CHANNELS)
        await stream.open()
        for channel in CHANNELS * 3:
            publish(exchange, channel)
        last = dict.fromkeys(CHANNELS, 3)
        events = await read_until(stream, lambda events: reached(events) == last)
        assert transport.cuts == 1
    assert numbers(events, TradeEvent) == [1, 2, 3]
    for snapshot, update in ((PositionSnapshot, PositionUpdate), (BookSnapshot, BookUpdate)):
        (begin,) = numbers(events, snapshot)
        assert numbers(events, update) == list(range(begin + 1, 4))


async def test_break_and_return_are_told_between_the_events() -> None:
    """The reader hears that the connection broke, that it is back, and then what it missed."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        publish(exchange, "private")
        await read_until(stream, has(PositionUpdate))
        exchange.hang_up()
        events = await read_until(stream, has(Reconnected))
        assert [type(event) for event in events] == [Disconnected, Reconnected]
        publish(exchange, "private")
        assert numbers(await read_until(stream, has(PositionUpdate)), PositionUpdate) == [2]


async def test_book_is_out_of_date_only_while_the_connection_is_gone() -> None:
    """Resumed without anything missed it is as good as before."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("book.SPX")
        await stream.open()
        await read_until(stream, has(BookSnapshot))
        book = client.live_book("SPX")
        assert book is not None
        synced: list[bool] = []
        client.on_event(lambda event: synced.append(book.is_synced))
        exchange.hang_up()
        await read_until(stream, has(Reconnected))
        assert synced == [False, True]


async def test_private_stream_too_old_to_resume_is_reset_with_a_snapshot() -> None:
    """Away longer than the exchange keeps events: the reader is told so before the snapshot."""
    exchange = FakeExchange()
    transport = CuttingTransport(InProcessTransport(exchange, "key"), [])
    async with fake_client(transport) as client:
        stream = client.events("private")
        await stream.open()
        publish(exchange, "private")
        await read_until(stream, has(PositionUpdate))
        exchange.kept = 2
        exchange.hang_up()
        exchange.sockets[0].channels.clear()
        for _ in range(3):
            publish(exchange, "private")
        events = await read_until(stream, has(PositionSnapshot))
        told = [event for event in events if not isinstance(event, Disconnected | Reconnected)]
        assert told[0] == StreamReset("private", 1, "resume_too_old")
        assert numbers(told, PositionSnapshot) == [4]


async def test_new_epoch_resets_public_channels_and_resumes_the_private_one() -> None:
    """After a restart public sequences begin anew; a team's own stream goes on."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events(*CHANNELS)
        await stream.open()
        for channel in CHANNELS * 2:
            publish(exchange, channel)
        last = dict.fromkeys(CHANNELS, 2)
        await read_until(stream, lambda events: reached(events) == last)
        exchange.restart("two")
        publish(exchange, "private")
        last = {"private": 3, "trades.SPX": 0, "book.SPX": 0}
        events = await read_until(stream, lambda events: reached(events, 2) == last)
        resets = [event for event in events if isinstance(event, StreamReset)]
        assert resets == [StreamReset("trades.SPX", 2, "new_epoch"), StreamReset("book.SPX", 2, "new_epoch")]
        assert numbers(events, PositionUpdate) == [3]
        publish(exchange, "trades.SPX")
        assert numbers(await read_until(stream, has(TradeEvent)), TradeEvent) == [1]


async def test_exchange_that_was_put_back_resets_the_stream() -> None:
    """The client has seen what the exchange does not know any more: it begins with what there is."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private", "trades.SPX")
        await stream.open()
        for _ in range(3):
            publish(exchange, "private")
        await read_until(stream, lambda events: numbers(events, PositionUpdate) == [1, 2, 3])
        del exchange.streams["private"][1:]
        exchange.hang_up()
        events = await read_until(stream, has(Reconnected))
        told = [event for event in events if isinstance(event, StreamReset | PositionSnapshot)]
        assert told[0] == StreamReset("private", 3, "ahead_of_exchange")
        publish(exchange, "private")
        assert numbers(await read_until(stream, has(PositionUpdate)), PositionUpdate) == [2]


async def test_reset_waits_for_room_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset that finds the queue full is told when there is room, before anything that follows it."""
    monkeypatch.setattr("exchange.client.streams.EventQueue", partial(EventQueue[ClientEvent], capacity=4))
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private", "trades.SPX")
        await stream.open()
        for _ in range(3):
            publish(exchange, "trades.SPX")
        await until(lambda: client.account.is_live)
        exchange.restart("two")
        await until(lambda: bool(exchange.sockets) and exchange.sockets[0].channels == {"private"})
        asked = exchange.subscribes
        for _ in range(200):
            await asyncio.sleep(0)
        assert exchange.subscribes == asked
        events = await read_until(stream, has(StreamReset))
        assert numbers(events, TradeEvent) == [1, 2, 3]
        assert events[-1] == StreamReset("trades.SPX", 3, "new_epoch")
        await until(lambda: exchange.sockets[0].channels == {"private", "trades.SPX"})
        publish(exchange, "trades.SPX")
        assert numbers(await read_until(stream, has(TradeEvent)), TradeEvent) == [1]


async def test_failed_first_attempts_are_not_told_as_losses() -> None:
    """Nothing was lost before the first connection."""
    exchange = FakeExchange()
    transport = CuttingTransport(InProcessTransport(exchange, "key"), [0, 1])
    async with fake_client(transport) as client:
        stream = client.events("private")
        events = await read_until(stream, has(PositionSnapshot))
    assert transport.cuts == 2
    assert [type(event) for event in events] == [PositionSnapshot]


@pytest.mark.parametrize("method", ["subscribe", "unsubscribe"])
async def test_subscription_without_answer_is_made_over_another_socket(method: str) -> None:
    """What the exchange knows of it cannot be known, so the client begins anew where that is known."""
    exchange = FakeExchange()
    async with fake_client(exchange, timeout_s=0.02) as client:
        stream = client.events("private", "book.SPX")
        await stream.open()
        exchange.ignored.append(method)
        if method == "unsubscribe":
            client.unsubscribe("book.SPX")
        else:
            await client.subscribe("trades.SPX")
        await read_until(stream, has(Reconnected))
        expected = {"private"} if method == "unsubscribe" else {"private", "book.SPX", "trades.SPX"}
        assert exchange.sockets[-1].channels == expected


async def test_key_is_sent_by_login_where_the_handshake_did_not_take_it() -> None:
    """A proxy may drop the header; the hello says whether the key arrived."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        await client.subscribe("private")
        assert exchange.logins == []
    exchange.takes_key_from_header = False
    async with fake_client(exchange) as client:
        await client.subscribe("private")
        assert exchange.logins == ["key"]
    async with fake_client(exchange, api_key=None) as client:
        await client.subscribe("book.SPX")
        assert exchange.logins == ["key"]


async def test_gap_is_noticed_and_filled() -> None:
    """A message that does not follow makes the client ask again from where it was."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        publish(exchange, "private")
        (socket,) = exchange.sockets
        socket.channels.clear()
        publish(exchange, "private")
        socket.channels.add("private")
        publish(exchange, "private")
        events = await read_until(stream, lambda events: len(numbers(events, PositionUpdate)) == 3)
    assert numbers(events, PositionUpdate) == [1, 2, 3]


async def test_repeated_messages_are_ignored() -> None:
    """A message that was told already is not told again."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        for _ in range(2):
            publish(exchange, "private")
            for message in exchange.after("private", 0):
                exchange.sockets[0].put(message)
        publish(exchange, "private")
        events = await read_until(stream, lambda events: 3 in numbers(events, PositionUpdate))
    assert numbers(events, PositionUpdate) == [1, 2, 3]


async def test_update_that_does_not_continue_the_book_brings_a_snapshot() -> None:
    """The sequence is right and prev_seq is not: the book is fetched anew, and that is told."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("book.SPX")
        await stream.open()
        await read_until(stream, has(BookSnapshot))
        exchange.publish("book.SPX", {**book_update(1), "prev_seq": 7})
        events = await read_until(stream, has(BookSnapshot))
        assert [type(event) for event in events] == [StreamReset, BookSnapshot]
        book = client.live_book("SPX")
        assert book is not None
        assert book.seq == 1
        assert book.is_synced


async def test_events_of_an_unknown_type_are_passed_over() -> None:
    """A newer exchange may tell more; a client leaves alone what it does not know, and sees no gap."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        exchange.publish("private", {"type": "invented_later", "content": 1})
        publish(exchange, "private")
        events = await read_until(stream, has(PositionUpdate))
    assert [type(event) for event in events] == [PositionSnapshot, PositionUpdate]
    assert numbers(events, PositionUpdate) == [2]


async def test_event_that_cannot_be_understood_is_replaced_by_a_snapshot() -> None:
    """Something new inside a known event must not leave the account wrong."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        await read_until(stream, has(PositionSnapshot))
        exchange.publish("private", {**position_update(1), "position": "many"})
        events = await read_until(stream, has(PositionSnapshot))
    assert events[0] == StreamReset("private", 0, "not_understood")


async def test_full_queue_stops_the_stream_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its bound the queue refuses; the stream is resumed from there when half has been read."""
    monkeypatch.setattr("exchange.client.streams.EventQueue", partial(EventQueue[ClientEvent], capacity=4))
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private", "trades.SPX")
        await stream.open()
        for _ in range(30):
            publish(exchange, "private")
            publish(exchange, "trades.SPX")
        await until(lambda: exchange.sockets[0].channels == set())
        events = await read_until(stream, lambda events: len(events) == 61)
        assert len(exchange.sockets) == 1
    assert numbers(events, PositionUpdate) == list(range(1, 31))
    assert numbers(events, TradeEvent) == list(range(1, 31))


async def test_full_queue_does_not_hold_up_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that waits for an answer gets it, however many events it has not read."""
    monkeypatch.setattr("exchange.client.streams.EventQueue", partial(EventQueue[ClientEvent], capacity=2))
    exchange = FakeExchange()
    async with fake_client(exchange, over_socket=True) as client:
        stream = client.events("private")
        await stream.open()
        for _ in range(10):
            publish(exchange, "private")
        receipt = await client.buy("SPX", 1, price=1.0)
        assert receipt.order_id == "ORD_1"


async def test_unknown_channel_is_refused_and_the_others_live() -> None:
    """One channel that does not exist is told to who asked for it, and to nobody else."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        with pytest.raises(NotFound, match="UNKNOWN_CHANNEL"):
            await client.subscribe("trades.SPX", "none.SPX")
        publish(exchange, "trades.SPX")
        publish(exchange, "private")
        events = await read_until(stream, has(PositionUpdate))
        assert numbers(events, TradeEvent) == [1]
        exchange.hang_up()
        await read_until(stream, has(Reconnected))


async def test_unsubscribed_channel_is_silent() -> None:
    """Nothing of a channel is told after unsubscribe; a later subscription begins anew."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private", "book.SPX")
        await stream.open()
        client.unsubscribe("book.SPX")
        assert client.live_book("SPX") is None
        publish(exchange, "book.SPX")
        publish(exchange, "private")
        events = await read_until(stream, has(PositionUpdate))
        assert numbers(events, BookUpdate) == []
        await client.subscribe("book.SPX")
        assert numbers(await read_until(stream, has(BookSnapshot)), BookSnapshot) == [1]


async def test_refused_key_ends_the_stream() -> None:
    """There is no point in trying again with a key that is not known."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        exchange.key_is_known = False
        exchange.hang_up()
        with pytest.raises(Unauthenticated):
            await read_until(stream, lambda events: False)
        with pytest.raises(Unauthenticated):
            await client.subscribe("book.SPX")


async def test_replaced_key_ends_the_stream() -> None:
    """Close code 4003 says that the key is void."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        exchange.hang_up(4003)
        with pytest.raises(Unauthenticated):
            await read_until(stream, lambda events: False)


async def test_unknown_version_is_refused() -> None:
    """The SDK refuses an exchange whose API it does not know, over HTTP and over the socket."""
    exchange = FakeExchange()
    exchange.api_version = "2"
    with pytest.raises(NotUnderstood, match="version 2"):
        await fake_client(exchange).__aenter__()
    client = fake_client(exchange)
    with pytest.raises(NotUnderstood, match="has 2"):
        await client.subscribe("private")
    await client.close()


async def test_close_ends_the_stream() -> None:
    """A reader that waits comes to the end when the client is closed."""
    exchange = FakeExchange()
    client = fake_client(exchange)
    stream = client.events("private")
    await stream.open()
    reader = asyncio.create_task(_read_all(stream))
    await client.close()
    async with asyncio.timeout(5):
        assert [type(event) for event in await reader] in ([], [PositionSnapshot])
    await until(lambda: exchange.sockets == [])
    with pytest.raises(ConnectionLost):
        await client.subscribe("private")


async def test_listener_hears_everything_and_its_faults_stay_its_own() -> None:
    """Listeners are called at once, without a reader; one that raises is logged and the others go on."""
    exchange = FakeExchange()
    heard: list[ClientEvent] = []

    def broken(event: ClientEvent) -> None:
        raise ZeroDivisionError

    async with fake_client(exchange) as client:
        client.on_event(broken)
        client.on_event(heard.append)
        await client.subscribe("private")
        publish(exchange, "private")
        await until(lambda: len(heard) == 2)
    assert [type(event) for event in heard] == [PositionSnapshot, PositionUpdate]


async def test_events_have_one_reader() -> None:
    """Two readers would each see half."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("private")
        await stream.open()
        with pytest.raises(RuntimeError, match="one reader"):
            await client.events().open()
        stream.close()
        await client.events().open()


async def test_many_channels_are_asked_for_in_portions() -> None:
    """More channels than fit one message are entered by several requests."""
    exchange = FakeExchange()
    channels = [f"trades.{number}" for number in range(250)]
    async with fake_client(exchange) as client:
        await client.subscribe(*channels)
        assert exchange.sockets[0].channels == set(channels)


async def test_reader_that_waits_longer_than_its_timeout_gets_nothing() -> None:
    """``next`` returns None when nothing comes in time, and loses no event by it."""
    exchange = FakeExchange()
    async with fake_client(exchange) as client:
        stream = client.events("trades.SPX")
        assert await stream.next(0.001) is None
        publish(exchange, "trades.SPX")
        assert isinstance(await stream.next(5), TradeEvent)


async def _read_all(stream: EventStream) -> list[ClientEvent]:
    return [event async for event in stream]


def test_client_is_not_bound_to_a_loop_before_its_first_use() -> None:
    """A client may be made outside a running loop, as in a bot's constructor."""
    assert isinstance(fake_client(FakeExchange()), ExchangeClient)


def _checked(exchange: FakeExchange, checksums: dict[int, int]) -> None:
    """Let the books of ``exchange`` begin with a checksum, right unless told otherwise by sequence."""
    plain = exchange.snapshot

    def snapshot(channel: str) -> dict[str, Any] | None:
        begin = plain(channel)
        assert begin is not None
        seq = begin["seq"]
        right = crc32(f"{(seq + 1) * 100}1".encode())
        return begin | {"checksum": checksums.get(seq, right), "price_decimals": 2}

    exchange.snapshot = snapshot  # type: ignore[method-assign]


async def test_book_that_does_not_add_up_begins_anew() -> None:
    """The reader is told that what it knew is void, then comes a snapshot that adds up."""
    exchange = FakeExchange()
    _checked(exchange, {})
    async with fake_client(exchange) as client:
        stream = client.events("book.SPX")
        await stream.open()
        exchange.publish("book.SPX", book_update(1) | {"checksum": crc32(b"2001")})
        await read_until(stream, has(BookUpdate))
        exchange.publish("book.SPX", book_update(2) | {"checksum": 7})
        events = await read_until(stream, has(BookSnapshot))
        resets = [event for event in events if isinstance(event, StreamReset)]
        assert resets == [StreamReset("book.SPX", 2, "checksum")]
        book = client.live_book("SPX")
        assert book is not None
        assert (book.is_synced, book.seq) == (True, 2)


async def test_snapshot_that_does_not_add_up_ends_the_streams() -> None:
    """Another one would be no better: this SDK and that exchange do not understand one another."""
    exchange = FakeExchange()
    _checked(exchange, {0: 7})
    async with fake_client(exchange) as client:
        stream = client.events("book.SPX")
        with pytest.raises(NotUnderstood, match="SPX at 0"):
            await read_until(stream, lambda events: False)
