from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest
from starlette.types import Send
from structlog.testing import capture_logs

from exchange.api.auth import Gate
from exchange.api.socket.methods import METHODS
from exchange.api.socket.position_snapshots import PositionSnapshots
from exchange.api.socket.session import SocketSession, Streams
from exchange.api.socket.stream import IDLE, SocketOutlet, StreamEndpoint
from exchange.api.transport.frame_channel import CloseHandler, FrameChannel, MessageHandler
from exchange.base.bounds import CONNECTION_BUFFER_MESSAGES, MAX_IN_FLIGHT_PER_CONNECTION, MAX_SUBSCRIPTIONS
from exchange.log import get_logger
from exchange.model.reasons import Refusal
from exchange.model.types import Phase
from exchange.pipeline.hub import BROKEN, TOO_SLOW, Hub
from exchange.pipeline.publish import Publisher
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.pipeline.streams import PhaseFeed, PrivateStreams
from exchange.wire.encode_events import Encoding, PrivateEventWriter
from exchange.wire.events import PhaseChange
from tests.support.api import ADMIN_KEY, TEAM_KEY, still_context
from tests.support.sockets import FRAMERS, FakeOutlet, private_event
from tests.support.stages import until

EPOCH = "e1"
ORDER = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}


class Talk:
    """One session on services that stand still: a command is never answered unless a test does it."""

    def __init__(self, tasks: asyncio.TaskGroup, key: Mapping[bytes, bytes] | None = None) -> None:
        self.context = still_context()
        self.hub = Hub(FRAMERS)
        self.private = PrivateStreams()
        grids = self.context.grids
        rules = self.context.rules
        snapshots = PositionSnapshots(
            self.context.register, self.context.ledger, self.context.settlement, grids, self.context.clock
        )
        phase = PhaseChange(seq=0, timestamp="T", channel="phase", phase=Phase.CONTINUOUS, reason="start")
        publisher = Publisher(
            self.hub,
            self.private,
            self.context.markets,
            writer=PrivateEventWriter(rules.instruments),
            snapshot=snapshots.of,
            phase=PhaseFeed(phase),
            log=get_logger("test"),
        )
        gate = Gate(self.context.teams, self.context.settings.admin_key_hash)
        self.streams = Streams(self.context, gate, self.hub, publisher, EPOCH)
        self.outlet = FakeOutlet()
        self.connection = self.hub.open(self.outlet, Encoding.JSON)
        self.session = SocketSession(self.streams, self.connection, key or {}, "10.0.0.1", tasks.create_task)

    def ask(self, method: str, params: Mapping[str, Any] | None = None, request_id: Any = 1) -> Any:
        """Send a request; its answer where it comes at once."""
        self.session.receive(json.dumps({"id": request_id, "method": method, "params": params or {}}))
        answers = [message for message in self.outlet.read() if "type" not in message]
        return answers[-1] if answers else None

    def code(self, method: str, params: Mapping[str, Any] | None = None) -> str | None:
        """The error code of the answer."""
        answer = self.ask(method, params)
        return None if answer is None or "error" not in answer else answer["error"]["code"]

    def login(self) -> None:
        """As the one team there is."""
        assert "error" not in self.ask("login", {"api_key": TEAM_KEY})


@pytest.fixture
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """Where a session's tasks run; what a test left unanswered is cancelled."""
    group = asyncio.TaskGroup()
    async with group:
        yield group
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


@pytest.fixture
def talk(tasks: asyncio.TaskGroup) -> Talk:
    """A socket without a key."""
    return Talk(tasks)


def test_session_greets_a_stranger(talk: Talk) -> None:
    """Without a key the hello says so, and names no team."""
    talk.session.greet(None)
    assert talk.outlet.read() == [
        {
            "type": "hello",
            "api_version": "1",
            "epoch": EPOCH,
            "timestamp": "2024-01-01T00:00:00.000000Z",
            "authenticated": False,
        }
    ]


def test_session_login_by_the_first_message(talk: Talk) -> None:
    """It answers with the team and where its stream stands; a second login is refused."""
    talk.private.restore([private_event(1), private_event(2)])
    assert talk.ask("login", {"api_key": "wrong"})["status"] == 401
    assert talk.ask("login", {"api_key": TEAM_KEY})["result"] == {"team_id": "TEAM_1", "private_seq": 2}
    assert talk.ask("login", {"api_key": TEAM_KEY})["status"] == 409


def test_session_operators_key_belongs_to_no_team(talk: Talk) -> None:
    """It logs in, and can neither trade nor have a private stream."""
    assert talk.ask("login", {"api_key": ADMIN_KEY})["result"] == {}
    assert talk.code("subscribe", {"channels": ["private"]}) == "FORBIDDEN"
    assert talk.code("order.new", ORDER) == "FORBIDDEN"


@pytest.mark.parametrize("method", [name for name in METHODS if name != "book.get"])
def test_session_stranger_may_not(talk: Talk, method: str) -> None:
    """Everything of a team needs its key; who may ask is judged before what is asked."""
    assert talk.code(method, {"nonsense": 1}) == "UNAUTHENTICATED"


def test_session_stranger_may_have_public_channels(talk: Talk) -> None:
    """Books, trades and phase are for everyone, the private stream is not."""
    assert talk.code("subscribe", {"channels": ["book.SPX", "trades.SPX", "phase"]}) is None
    assert talk.code("subscribe", {"channels": ["private"]}) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("no.such", {}, "UNKNOWN_METHOD"),
        ("ping", {"x": 1}, "INVALID_REQUEST"),
        ("login", {}, "INVALID_REQUEST"),
        ("subscribe", {}, "INVALID_REQUEST"),
        ("subscribe", {"channels": []}, "INVALID_REQUEST"),
        ("subscribe", {"channels": ["phase", "phase"]}, "INVALID_REQUEST"),
        ("subscribe", {"channels": ["phase"], "resume_from": {"private": 1}}, "INVALID_REQUEST"),
        ("subscribe", {"channels": ["phase"], "resume_from": {"phase": -1}}, "INVALID_REQUEST"),
        ("subscribe", {"channels": ["private"], "resume_from": {"private": 1}}, "INVALID_REQUEST"),
        (
            "subscribe",
            {"channels": ["phase"], "resume_from": {"phase": 1}, "epoch": EPOCH},
            "INVALID_REQUEST",
        ),
        ("subscribe", {"channels": ["book.NONE"]}, "UNKNOWN_CHANNEL"),
        ("subscribe", {"channels": ["book.SPX.7"]}, "UNKNOWN_CHANNEL"),
        ("unsubscribe", {"channels": ["phase"]}, "NOT_SUBSCRIBED"),
        ("order.new", {}, "INVALID_REQUEST"),
        ("order.new", ORDER | {"wait": "never"}, "INVALID_REQUEST"),
        ("order.cancel", {}, "INVALID_REQUEST"),
        ("order.cancel", {"order_id": "ORD_1", "client_order_id": "a"}, "INVALID_REQUEST"),
        ("order.amend", {"quantity": 1}, "INVALID_REQUEST"),
        ("orders.open", {"limit": 0}, "INVALID_REQUEST"),
        ("book.get", {"instrument_id": "SPX", "depth": 1_001}, "INVALID_REQUEST"),
    ],
)
def test_session_refuses(talk: Talk, method: str, params: dict[str, Any], code: str) -> None:
    """Each refusal has its code, changes nothing, and leaves the socket open."""
    talk.login()
    assert talk.code(method, params) == code
    assert talk.connection.subscriptions == {}
    assert talk.outlet.close_code is None


def test_session_subscribes_to_all_or_none(talk: Talk) -> None:
    """One bad channel among good ones refuses the request, and none is entered."""
    assert talk.code("subscribe", {"channels": ["phase", "book.NONE"]}) == "UNKNOWN_CHANNEL"
    assert talk.code("subscribe", {"channels": ["phase"]}) is None
    assert talk.code("subscribe", {"channels": ["book.SPX", "phase"]}) == "ALREADY_SUBSCRIBED"
    assert talk.code("unsubscribe", {"channels": ["phase", "book.SPX"]}) == "NOT_SUBSCRIBED"
    assert list(talk.connection.subscriptions) == ["phase"]


def test_session_has_a_bound_of_subscriptions(talk: Talk) -> None:
    """One channel more than the bound is refused."""
    channels = [f"x{number}" for number in range(MAX_SUBSCRIPTIONS)]
    assert talk.code("subscribe", {"channels": ["phase"]}) is None
    assert talk.code("subscribe", {"channels": channels}) == "TOO_MANY_SUBSCRIPTIONS"


def test_session_answers_before_what_the_channel_sends(talk: Talk) -> None:
    """The answer says where each channel is, then come snapshots, in the order of the request."""
    talk.login()
    talk.private.restore([private_event(talk.context.settlement.streams.take(1))])
    message = {"id": 1, "method": "subscribe", "params": {"channels": ["phase", "private", "book.SPX"]}}
    talk.session.receive(json.dumps(message))
    answer, *events = talk.outlet.read()
    assert answer["result"] == {
        "epoch": EPOCH,
        "channels": [
            {"channel": "phase", "seq": 0},
            {"channel": "private", "seq": 1},
            {"channel": "book.SPX", "seq": 0},
        ],
    }
    assert [event["type"] for event in events] == ["phase_change", "position_snapshot", "book_snapshot"]


def test_session_resumes_the_private_stream_under_any_epoch(talk: Talk) -> None:
    """Its sequence is the same after a replay, so the epoch does not matter."""
    talk.login()
    talk.private.restore(private_event(seq) for seq in (1, 2, 3))
    params = {"channels": ["private"], "resume_from": {"private": 1}, "epoch": "another"}
    talk.session.receive(json.dumps({"id": 1, "method": "subscribe", "params": params}))
    answer, *events = talk.outlet.read()
    assert answer["result"]["channels"] == [{"channel": "private", "seq": 3, "resumed": True}]
    assert [event["seq"] for event in events] == [2, 3]


def test_session_too_old_resume_is_told_and_begins_anew(talk: Talk) -> None:
    """The answer carries RESUME_TOO_OLD with what is still there; a snapshot follows."""
    talk.login()
    talk.private.of(1).skip_to(10)
    talk.private.restore([private_event(11)])
    params = {"channels": ["private"], "resume_from": {"private": 9}}
    talk.session.receive(json.dumps({"id": 1, "method": "subscribe", "params": params}))
    answer, snapshot = talk.outlet.read()
    (state,) = answer["result"]["channels"]
    assert state["error"]["code"] == "RESUME_TOO_OLD"
    assert state["error"]["details"] == {"resume_from": 9, "oldest": 10}
    assert "resumed" not in state
    assert snapshot["type"] == "position_snapshot"


@pytest.mark.parametrize("epoch", ["another", None])
def test_session_public_resume_needs_the_epoch(talk: Talk, epoch: str | None) -> None:
    """Sequences of public channels mean nothing under another epoch: the channel begins anew."""
    params = {"channels": ["book.SPX"], "resume_from": {"book.SPX": 0}, "epoch": epoch}
    talk.session.receive(json.dumps({"id": 1, "method": "subscribe", "params": params}))
    answer, snapshot = talk.outlet.read()
    (state,) = answer["result"]["channels"]
    assert state["error"]["code"] == "RESUME_TOO_OLD"
    assert state["error"]["details"] == {"epoch": EPOCH}
    assert snapshot["type"] == "book_snapshot"


async def test_session_commands_are_submitted_in_the_order_of_arrival(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 orders in one go reach the order queue as they came, under the ids of their requests."""
    talk.login()
    submitted: list[str] = []
    register = talk.context.responses.register

    def watched(request_id: str, account: int, wait: Wait) -> PendingRequest | Refusal:
        submitted.append(request_id)
        return register(request_id, account, wait)

    monkeypatch.setattr(talk.context.responses, "register", watched)
    for number in range(MAX_IN_FLIGHT_PER_CONNECTION):
        assert talk.ask("order.new", ORDER, f"o{number}") is None
    await until(lambda: len(submitted) == MAX_IN_FLIGHT_PER_CONNECTION)
    assert submitted == [f"o{number}" for number in range(MAX_IN_FLIGHT_PER_CONNECTION)]


async def test_session_has_a_bound_in_flight(talk: Talk) -> None:
    """One request more than the bound is answered TOO_MANY_IN_FLIGHT at once; ping still works."""
    talk.login()
    for _ in range(MAX_IN_FLIGHT_PER_CONNECTION):
        assert talk.ask("order.new", ORDER) is None
    answer = talk.ask("order.new", ORDER)
    assert (answer["error"]["code"], answer["status"]) == ("TOO_MANY_IN_FLIGHT", 429)
    assert answer["error"]["details"] == {"limit": MAX_IN_FLIGHT_PER_CONNECTION}
    assert "result" in talk.ask("ping")


def test_session_answered_request_gives_its_place_back(talk: Talk) -> None:
    """Reads are answered at once; more of them than the bound go through one after the other."""
    talk.login()
    for number in range(MAX_IN_FLIGHT_PER_CONNECTION + 1):
        answer = talk.ask("positions.get", request_id=number)
        assert (answer["id"], answer["result"]["team_id"]) == (number, "TEAM_1")


def test_session_bug_is_an_internal_error(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that raises is logged with the request's id and answered 500; the socket goes on."""
    talk.login()
    monkeypatch.setattr(talk.context.ledger, "positions", None)
    with capture_logs() as logs:
        answer = talk.ask("positions.get", request_id="q7")
    assert (answer["error"]["code"], answer["status"]) == ("INTERNAL_ERROR", 500)
    assert [entry["request_id"] for entry in logs] == ["q7"]
    assert "result" in talk.ask("ping")


def test_session_answer_that_fails_closes_the_socket(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that can't be given is in the log, and the client is not left waiting for it."""
    talk.login()

    def send(*given: object) -> bool:
        raise ValueError("a bug")

    monkeypatch.setattr(talk.streams.hub, "send", send)
    with capture_logs() as logs:
        talk.ask("positions.get")
    assert [entry["event"] for entry in logs] == ["an answer failed"]
    assert talk.outlet.close_code == BROKEN


def test_session_client_that_never_reads_its_answers_is_too_slow(talk: Talk) -> None:
    """Answers count as well as events: beyond the buffer the socket is closed with 4008."""
    for _ in range(CONNECTION_BUFFER_MESSAGES + 5):
        talk.session.receive('{"id":1,"method":"ping"}')
    assert talk.outlet.close_code == TOO_SLOW
    assert len(talk.outlet.unsent) == CONNECTION_BUFFER_MESSAGES + 1


def test_session_replaced_key_is_void_at_once(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is looked up for every request, not only at login."""
    talk.login()
    monkeypatch.setattr(talk.context.teams, "by_key_hash", lambda key_hash: None)
    assert talk.code("order.new", ORDER) == "UNAUTHENTICATED"


class FakeChannel:
    """The protocol's side of one accepted socket."""

    is_open = True

    def __init__(self) -> None:
        self.outlet = FakeOutlet()
        self.write = self.outlet.write
        self.buffered_bytes: Callable[[], int] = self.outlet.buffered_bytes
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self._on_close: CloseHandler = lambda code, reason: None
        self.say: MessageHandler = lambda message: None

    def on_message(self, handler: MessageHandler) -> None:
        self.say = handler
        self.opened.set()

    def on_close(self, handler: CloseHandler) -> None:
        self._on_close = handler

    def close(self, code: int, reason: str) -> None:
        self.outlet.close(code, reason)
        self.end(code)

    def end(self, code: int) -> None:
        self._on_close(code, "")
        self.ended.set()


async def _live(talk: Talk, channel: FakeChannel, idle_s: float) -> None:
    scope = {
        "type": "websocket",
        "headers": [],
        "subprotocols": [],
        "extensions": {"exchange.frames": channel},
    }
    connects = [{"type": "websocket.connect"}]

    async def receive() -> Any:
        if connects:
            return connects.pop()
        await channel.ended.wait()
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        assert message["type"] == "websocket.accept"

    await asyncio.wait_for(StreamEndpoint(talk.streams, idle_s)(scope, receive, send), 5)


async def test_stream_idle_stranger_is_closed(talk: Talk) -> None:
    """Neither a key nor a subscription within the deadline: 4001."""
    channel = FakeChannel()
    await _live(talk, channel, 0.0)
    assert channel.outlet.close_code == IDLE


async def test_stream_stranger_who_listens_may_stay(talk: Talk) -> None:
    """A subscription keeps a socket open without a key, as long as it lasts."""
    channel = FakeChannel()
    life = asyncio.create_task(_live(talk, channel, 0.0))
    await until(lambda: bool(channel.outlet.unsent))
    channel.say('{"id":1,"method":"subscribe","params":{"channels":["phase"]}}')
    for _ in range(20):
        await asyncio.sleep(0)
    assert channel.outlet.close_code is None
    channel.say('{"id":1,"method":"unsubscribe","params":{"channels":["phase"]}}')
    await asyncio.wait_for(life, 5)
    assert channel.outlet.close_code == IDLE


async def test_stream_lost_client_is_forgotten_and_counted(talk: Talk) -> None:
    """1006 is a client that went away; an ordinary close is not counted as one."""
    for code, gone in ((1000, 0), (1006, 1)):
        channel = FakeChannel()
        life = asyncio.create_task(_live(talk, channel, 60.0))
        await channel.opened.wait()
        channel.end(code)
        await asyncio.wait_for(life, 5)
        assert talk.hub.statistics().client_gone == gone
    assert talk.hub.statistics().connections == 1


def test_stream_outlet_counts_what_is_unsent() -> None:
    """A message counts until its last byte is taken, also while the buffer never runs empty."""
    channel = FakeChannel()
    unsent = 0
    channel.buffered_bytes = lambda: unsent
    outlet = SocketOutlet(cast(FrameChannel, channel), cast(Send, None))
    for _ in range(5):
        outlet.write(b"12345678")
    unsent = 17
    assert outlet.is_behind(100, 2)
    assert not outlet.is_behind(100, 3)
    assert outlet.is_behind(16, 100)
    outlet.write(b"12345678")
    unsent = 8
    assert outlet.is_behind(100, 0)
    assert not outlet.is_behind(8, 1)
    unsent = 0
    assert not outlet.is_behind(0, 0)
