"""Requests and answers of one socket."""

import asyncio
import json
from typing import Any

import pytest

from exchange.base.bounds import MAX_IN_FLIGHT_PER_CONNECTION
from exchange.client import ConnectionLost, NotFound, NotUnderstood, Timeout
from exchange.client.connection import Connection, Head
from exchange.client.transport import SocketClosed


class Line:
    """Both ends of a socket in the hands of the test."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._received: asyncio.Queue[bytes | SocketClosed] = asyncio.Queue()

    async def send(self, message: bytes) -> None:
        self.sent.append(json.loads(message))

    async def receive(self) -> bytes:
        message = await self._received.get()
        if isinstance(message, SocketClosed):
            raise message
        return message

    async def close(self) -> None:
        self.put(SocketClosed(1001))

    def put(self, message: Any) -> None:
        content = message if isinstance(message, SocketClosed | bytes) else json.dumps(message).encode()
        self._received.put_nowait(content)


class Talk:
    """A connection that is being read."""

    def __init__(self) -> None:
        self.line = Line()
        self.events: list[tuple[Head, bytes]] = []
        self.connection = Connection(
            self.line, lambda head, message: self.events.append((head, message)), "m"
        )
        self.reader = asyncio.create_task(self.connection.read())

    def ask(self, method: str = "ping", timeout_s: float = 5.0) -> asyncio.Task[Any]:
        return asyncio.create_task(self.connection.request(method, {}, timeout_s))


async def turn(times: int = 3) -> None:
    """Let the loop turn."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_answers_find_their_requests_in_any_order() -> None:
    """Many requests are under way at once; each gets the answer with its id."""
    talk = Talk()
    asked = [talk.ask() for _ in range(3)]
    await turn()
    for request in reversed(talk.line.sent):
        talk.line.put({"id": request["id"], "result": {"number": request["id"]}})
    assert [json.loads(bytes(await each)) for each in asked] == [
        {"number": f"m-{number}"} for number in (1, 2, 3)
    ]
    talk.reader.cancel()


async def test_error_is_raised_with_status_and_order() -> None:
    """An answer with an error is the exception of its status."""
    talk = Talk()
    asked = talk.ask("order.cancel")
    await turn()
    error = {"code": "CANCEL_FAILED", "message": "no", "details": {"a": 1}}
    talk.line.put({"id": "m-1", "error": error, "status": 404, "order_id": "ORD_7"})
    with pytest.raises(NotFound) as raised:
        await asked
    assert (raised.value.code, raised.value.details, raised.value.order_id) == (
        "CANCEL_FAILED",
        {"a": 1},
        "ORD_7",
    )
    talk.reader.cancel()


async def test_no_more_are_under_way_than_the_exchange_allows() -> None:
    """The next one is sent when an answer has come."""
    talk = Talk()
    asked = [talk.ask() for _ in range(MAX_IN_FLIGHT_PER_CONNECTION + 1)]
    await turn()
    assert len(talk.line.sent) == MAX_IN_FLIGHT_PER_CONNECTION
    talk.line.put({"id": "m-1", "result": {}})
    await turn(6)
    assert len(talk.line.sent) == MAX_IN_FLIGHT_PER_CONNECTION + 1
    for request in talk.line.sent[1:]:
        talk.line.put({"id": request["id"], "result": {}})
    await asyncio.gather(*asked)
    talk.reader.cancel()


async def test_late_answer_is_nobodys() -> None:
    """After the timeout the answer is dropped and the next request gets its own."""
    talk = Talk()
    with pytest.raises(Timeout):
        await talk.ask(timeout_s=0.001)
    talk.line.put({"id": "m-1", "result": {"late": True}})
    asked = talk.ask()
    await turn()
    talk.line.put({"id": "m-2", "result": {"late": False}})
    assert json.loads(bytes(await asked)) == {"late": False}
    talk.reader.cancel()


async def test_lost_socket_ends_every_request() -> None:
    """Those under way may have arrived; those after it never left."""
    talk = Talk()
    asked = [talk.ask(), talk.ask()]
    await turn()
    talk.connection.lose(SocketClosed(1006))
    for each in asked:
        with pytest.raises(ConnectionLost) as raised:
            await each
        assert raised.value.sent
    with pytest.raises(ConnectionLost) as raised:
        await talk.ask()
    assert not raised.value.sent
    talk.reader.cancel()


async def test_events_go_to_their_handler_between_answers() -> None:
    """What has a type is an event, wherever the type stands."""
    talk = Talk()
    talk.line.put({"seq": 4, "channel": "trades.SPX", "type": "trade"})
    talk.line.put({"type": "position_update", "seq": 1})
    await turn(6)
    assert [head for head, _ in talk.events] == [
        Head("trade", "trades.SPX", 4),
        Head("position_update", None, 1),
    ]
    talk.reader.cancel()


async def test_result_is_seen_before_the_next_message() -> None:
    """``at_once`` runs before an event that came right behind the answer."""
    talk = Talk()
    seen: list[str] = []
    talk.connection._on_event = lambda head, message: seen.append("event")
    asked = asyncio.create_task(
        talk.connection.request("subscribe", {}, 5.0, lambda result: seen.append("result"))
    )
    await turn()
    talk.line.put({"id": "m-1", "result": {}})
    talk.line.put({"type": "trade", "seq": 1})
    await asked
    await turn()
    assert seen == ["result", "event"]
    talk.reader.cancel()


@pytest.mark.parametrize(
    "message", [b"{", b"[]", b'{"id": null, "error": {"code": "BAD_JSON", "message": "x"}}']
)
async def test_what_is_no_message_of_the_exchange_ends_the_reading(message: bytes) -> None:
    """Cut off, of another kind, or a complaint about something this client never sends."""
    talk = Talk()
    talk.line.put(message)
    with pytest.raises(NotUnderstood):
        await talk.reader


async def test_first_message_must_be_a_hello() -> None:
    """Anything else is no exchange."""
    line = Line()
    line.put({"type": "trade", "seq": 1})
    with pytest.raises(NotUnderstood, match="hello"):
        await Connection(line, lambda head, message: None, "m").hello()
