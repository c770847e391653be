"""The socket is kept open: again after a loss, given up where there is no point."""

import asyncio
from functools import partial
from random import Random

import pytest

from exchange.client import (
    Backoff,
    ConnectionLost,
    ExchangeError,
    InProcessTransport,
    LinkSettings,
    Timeout,
    Unauthenticated,
)
from exchange.client.asgi import AsgiApp, Message, Receive, Send
from exchange.client.connection import Connection, Head
from exchange.client.link import Link
from exchange.client.transport import HttpAnswer, Socket
from exchange.wire.events import Hello
from tests.unit.client.fake_exchange import AT_ONCE, FakeExchange
from tests.unit.client.test_streams import until


class Witness:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.hellos: list[Hello] = []
        self.losses: list[ExchangeError] = []
        self.end: list[Exception | None] = []

    def on_event(self, head: Head, message: bytes) -> None:
        pass

    async def connected(self, connection: Connection, hello: Hello) -> None:
        self.hellos.append(hello)

    def disconnected(self, error: ExchangeError) -> None:
        self.losses.append(error)

    def ended(self, error: Exception | None) -> None:
        self.end.append(error)


class Nowhere:
    """A transport to an exchange that is not there."""

    prefers_socket = True
    api_key = None

    def __init__(self) -> None:
        self.attempts = 0

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        raise ConnectionLost("nobody there", sent=False)

    async def connect(self) -> Socket:
        self.attempts += 1
        raise ConnectionLost("nobody there", sent=False)

    async def close(self) -> None:
        pass


HELLO = '{"type": "hello", "api_version": "1", "epoch": "e", "timestamp": "T", "authenticated": true}'


async def deaf(scope: Message, receive: Receive, send: Send) -> None:
    """An exchange that accepts sockets, says hello, and answers nothing."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": HELLO})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def link_to(exchange: AsgiApp, settings: LinkSettings | None = None) -> tuple[Link, Witness]:
    """A link to ``exchange``, and who listens to it."""
    witness = Witness()
    transport = InProcessTransport(exchange, "key")
    return Link(transport, witness, Random(1), settings or LinkSettings(backoff=AT_ONCE)), witness


async def test_socket_is_opened_by_the_first_request() -> None:
    """Nothing happens before; a request waits for the socket."""
    exchange = FakeExchange()
    link, witness = link_to(exchange)
    assert witness.hellos == []
    assert b"timestamp" in bytes(await link.request("ping", {}, 5.0))
    assert link.is_up
    assert [hello.epoch for hello in witness.hellos] == ["one"]
    await link.close()
    assert witness.end == [None]


async def test_another_socket_is_opened_after_a_loss() -> None:
    """Losses and returns alternate."""
    exchange = FakeExchange()
    link, witness = link_to(exchange)
    await link.request("ping", {}, 5.0)
    for count in (1, 2, 3):
        exchange.hang_up()
        await until(partial(_count_is, witness.hellos, count + 1))
        assert len(witness.losses) == count
    await link.request("ping", {}, 5.0)
    await link.close()


async def test_attempts_are_bounded() -> None:
    """After that many failures in a row the link ends with the last of them, and requests with it."""
    witness, transport = Witness(), Nowhere()
    link = Link(transport, witness, Random(1), LinkSettings(backoff=AT_ONCE, attempts=7))
    with pytest.raises(ConnectionLost, match="nobody there"):
        await link.request("ping", {}, 5.0)
    assert transport.attempts == 8
    assert isinstance(witness.end[0], ConnectionLost)
    with pytest.raises(ConnectionLost, match="nobody there"):
        await link.request("ping", {}, 5.0)
    await link.close()


async def test_request_without_connection_ends_in_time_and_was_not_sent() -> None:
    """A request does not wait longer for a socket than for its answer."""
    link = Link(Nowhere(), Witness(), Random(1), LinkSettings(backoff=Backoff(first_s=60, max_s=60)))
    with pytest.raises(ConnectionLost) as raised:
        await link.request("ping", {}, 0.01)
    assert not raised.value.sent
    await link.close()


async def test_silent_socket_is_given_up() -> None:
    """A socket that answers no ping is as good as lost: another is opened."""
    settings = LinkSettings(backoff=AT_ONCE, heartbeat_s=0.001, answer_timeout_s=0.01)
    link, witness = link_to(deaf, settings)
    link.start()
    await until(lambda: len(witness.hellos) >= 2)
    assert isinstance(witness.losses[0], Timeout)
    await link.close()


async def test_quiet_socket_that_answers_stays() -> None:
    """Silence alone is no loss: pings are answered."""
    exchange = FakeExchange()
    link, witness = link_to(exchange, LinkSettings(backoff=AT_ONCE, heartbeat_s=0.001))
    link.start()
    await until(lambda: link.is_up)
    connection = link._connection
    assert connection is not None
    await until(lambda: connection.received >= 3)
    assert witness.losses == []
    await link.close()


async def test_refused_key_is_final() -> None:
    """No second attempt with a key that is not known."""
    exchange = FakeExchange()
    exchange.key_is_known = False
    link, witness = link_to(exchange)
    with pytest.raises(Unauthenticated):
        await link.request("ping", {}, 5.0)
    assert witness.losses == []
    await link.close()


async def test_fault_of_the_listener_ends_the_link() -> None:
    """A fault of this program is not retried for ever, nor swallowed."""

    class Broken(Witness):
        async def connected(self, connection: Connection, hello: Hello) -> None:
            raise ZeroDivisionError

    witness = Broken()
    link = Link(InProcessTransport(FakeExchange(), "key"), witness, Random(1), LinkSettings(backoff=AT_ONCE))
    with pytest.raises(ConnectionLost) as raised:
        await link.request("ping", {}, 5.0)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert [type(error) for error in witness.end] == [ZeroDivisionError]
    await link.close()


async def test_close_stops_an_attempt_under_way() -> None:
    """Nothing of the link is left."""
    before = len(asyncio.all_tasks())
    link = Link(Nowhere(), Witness(), Random(1), LinkSettings(backoff=Backoff(first_s=60, max_s=60)))
    link.start()
    await asyncio.sleep(0)
    await link.close()
    assert len(asyncio.all_tasks()) == before


def _count_is(heard: list[Hello], count: int) -> bool:
    return len(heard) == count
