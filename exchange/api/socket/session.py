"""One socket's conversation: requests in the order in which they arrive, answers as they are ready."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeAlias

from exchange.api.auth import ANONYMOUS, UNKNOWN_KEY, Access, Caller, Gate
from exchange.api.context import ApiContext
from exchange.api.operation import AnyCall, Call
from exchange.api.rate_limits import RateLimiter
from exchange.api.replies import Answered, Reply
from exchange.api.socket.codec import CODECS, Unreadable
from exchange.api.socket.methods import METHODS, Inputs, SocketMethod
from exchange.api.socket.subscriptions import Subscriptions
from exchange.base.bounds import MAX_IN_FLIGHT_PER_CONNECTION
from exchange.base.eager_task import EagerTask
from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import Scope
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import BROKEN, TOO_FAST, Hub
from exchange.pipeline.publish import Publisher
from exchange.pipeline.streams import PRIVATE_CHANNEL
from exchange.wire import socket
from exchange.wire.errors import api_error, http_status, refused_order_id
from exchange.wire.events import Hello, SocketAnswer, SocketRequest
from exchange.wire.ids import team_id_text
from exchange.wire.times import time_text

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], object]
Headers: TypeAlias = Mapping[bytes, bytes]

_INTERNAL_ERROR: Final = Refusal(
    Category.INTERNAL, Code.INTERNAL_ERROR, "The server failed; its log knows this request by its id"
)
_TOO_MANY_IN_FLIGHT: Final = Refusal(
    Category.TOO_FAST,
    Code.TOO_MANY_IN_FLIGHT,
    f"A socket has at most {MAX_IN_FLIGHT_PER_CONNECTION} requests under way",
    {"limit": MAX_IN_FLIGHT_PER_CONNECTION},
    1,
)
_LOGGED_IN: Final = Refusal(Category.CONFLICT, Code.INVALID_REQUEST, "This socket is logged in")


class Streams:
    """What all sockets of one server share."""

    def __init__(self, context: ApiContext, gate: Gate, hub: Hub, publisher: Publisher, epoch: str) -> None:
        self.context = context
        self.gate = gate
        self.hub = hub
        self.publisher = publisher
        self.epoch = epoch
        self.subscriptions = Subscriptions(hub, publisher, epoch)


class SocketSession:
    """``key`` holds the header the key came in, empty without one; it is looked up for each request, so
    that a replaced key is void at once. ``address`` is counted for what needs none. ``spawn`` starts a task
    that may outlive the socket.
    """

    def __init__(
        self, shared: Streams, connection: Connection, key: Headers, address: str, spawn: Spawn
    ) -> None:
        self._shared = shared
        self._context = shared.context
        self._hub = shared.hub
        self._connection = connection
        self._codec = CODECS[connection.encoding]
        self._key = key
        self._address = address
        self._spawn = spawn
        self._limits = shared.context.limits
        self._messages, self._refusals = self._limits.for_socket()
        self._in_flight = 0
        self._under_way: set[EagerTask] = set()
        self._catching_up = False
        connection.pump = self._advance
        self._own: Mapping[str, Callable[[SocketRequest], Any]] = {
            "ping": self._ping,
            "login": self._login,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def greet(self, caller: Caller | None) -> None:
        """The first message. ``caller`` is whose key came with the handshake."""
        if caller is not None:
            self._connection.account = caller.account
        self._hub.send(
            self._connection,
            Hello(
                api_version=self._context.settings.api_version,
                epoch=self._shared.epoch,
                timestamp=self._now(),
                authenticated=caller is not None,
                team_id=_team_id(caller),
                private_seq=self._private_seq(caller),
            ),
        )

    @property
    def is_logged_in(self) -> bool:
        """A key came, with the handshake or later."""
        return bool(self._key)

    @property
    def is_idle(self) -> bool:
        """Nobody has logged in and nothing is subscribed to."""
        return not self._key and not self._connection.subscriptions

    def receive(self, message: str | bytes) -> None:
        """Take one message. A client that does not read its answers is closed as too slow."""
        if not self._hub.has_room(self._connection):
            return
        request = self._codec.request(message)
        if isinstance(request, Unreadable):
            if not (self._limits.enabled and self._is_too_fast(self._messages, None, request.id)):
                self._refuse(request.id, request.refusal)
            return
        if self._limits.enabled and self._is_too_fast(self._messages, None, request.id):
            return
        method = METHODS.get(request.method)
        if method is not None:
            self._relay(request, method)
            return
        own = self._own.get(request.method)
        result = _unknown_method(request.method) if own is None else own(request)
        if isinstance(result, Refusal):
            self._refuse(request.id, result)
            return
        self._answer(SocketAnswer(id=request.id, result=result))
        self._advance()

    # --- operations of the API --------------------------------------------------------------------

    def _relay(self, request: SocketRequest, method: SocketMethod) -> None:
        made = self._make_call(request, method)
        if isinstance(made, Refusal):
            self._refuse(request.id, made)
            return
        call, weight = made
        if self._limits.enabled and self._is_counted_out(method.access, call.caller, request.id):
            return
        self._in_flight += weight
        # It begins at once, and a handler submits before it first waits: so commands enter the order queue as
        # they arrived.
        EagerTask(self._run(request.id, method, call, weight), self._under_way, self._failed)

    def _is_counted_out(self, access: Access, caller: Caller, request_id: str | int) -> bool:
        """As over HTTP: what needs a team's key counts for the team, what needs none for the address."""
        limits = self._limits
        if access.scope is None:
            return self._is_too_fast(limits.addresses, self._address, request_id)
        if caller.account == HOUSE_ACCOUNT:
            return False
        limiter = limits.orders if access is Access.TRADER else limits.reads
        return self._is_too_fast(limiter, caller.account, request_id)

    def _is_too_fast(self, limiter: RateLimiter, key: int | str | None, request_id: str | int | None) -> bool:
        now_ns = self._context.clock.monotonic_ns()
        left = limiter.take(key, now_ns)
        if left >= 0:
            return False
        self._refuse(request_id, limiter.refusal(left))
        if self._refusals.take(None, now_ns) < 0:
            self._hub.close(self._connection, TOO_FAST, "too many requests")
        return True

    def _make_call(self, request: SocketRequest, method: SocketMethod) -> tuple[AnyCall, int] | Refusal:
        if self._in_flight >= MAX_IN_FLIGHT_PER_CONNECTION:
            return _TOO_MANY_IN_FLIGHT
        caller = self._admit(method.access)
        if isinstance(caller, Refusal):
            return caller
        params = self._codec.params(request, method.params)
        if isinstance(params, Refusal):
            return params
        inputs = method.inputs(params)
        if isinstance(inputs, Refusal):
            return inputs
        weight = method.weight(params)
        if self._in_flight + weight > MAX_IN_FLIGHT_PER_CONNECTION:
            return _TOO_MANY_IN_FLIGHT
        call = _call(request, inputs, caller)
        call.connection = self._connection
        return call, weight

    def _admit(self, access: Access) -> Caller | Refusal:
        if access.scope is None:
            return ANONYMOUS
        return self._shared.gate.admit(self._key, access.scope, access.of_team)

    async def _run(self, request_id: str | int, method: SocketMethod, call: AnyCall, weight: int) -> None:
        try:
            reply: Reply = await method.handler(self._context, call)
        except Exception:
            self._context.log.exception("request failed", request_id=call.request_id, method=method.name)
            reply = _INTERNAL_ERROR
        finally:
            self._in_flight -= weight
        if isinstance(reply, Refusal):
            self._refuse(request_id, reply)
            return
        assert isinstance(reply, Answered)
        result = reply.data
        if method.is_command:
            timestamp = self._now() if reply.timestamp_us is None else time_text(reply.timestamp_us)
            result = socket.CommandResult(timestamp=timestamp, order_id=reply.order_id, data=reply.data)
        self._answer(SocketAnswer(id=request_id, result=result))

    def _failed(self, error: Exception) -> None:
        self._context.log.error("an answer failed", exc_info=error)
        self._hub.close(self._connection, BROKEN, "internal error")

    # --- the socket's own methods -----------------------------------------------------------------

    def _ping(self, request: SocketRequest) -> socket.Pong | Refusal:
        params = self._codec.params(request, socket.NoParams)
        return params if isinstance(params, Refusal) else socket.Pong(timestamp=self._now())

    def _login(self, request: SocketRequest) -> socket.LoggedIn | Refusal:
        params = self._codec.params(request, socket.LoginParams)
        if isinstance(params, Refusal):
            return params
        if self._key:
            return _LOGGED_IN
        key = {b"x-api-key": params.api_key.encode()}
        caller = self._shared.gate.admit(key, Scope.READ, of_team=False)
        if isinstance(caller, Refusal):
            return UNKNOWN_KEY
        self._key = key
        self._connection.account = caller.account
        return socket.LoggedIn(team_id=_team_id(caller), private_seq=self._private_seq(caller))

    def _subscribe(self, request: SocketRequest) -> socket.Subscribed | Refusal:
        params = self._codec.params(request, socket.SubscribeParams)
        if isinstance(params, Refusal):
            return params
        if PRIVATE_CHANNEL in params.channels:
            caller = self._admit(Access.TEAM)
            if isinstance(caller, Refusal):
                return caller
        plan = self._shared.subscriptions.plan(self._connection, params)
        if isinstance(plan, Refusal):
            return plan
        return self._shared.subscriptions.enter(self._connection, plan)

    def _unsubscribe(self, request: SocketRequest) -> socket.Unsubscribed | Refusal:
        params = self._codec.params(request, socket.UnsubscribeParams)
        if isinstance(params, Refusal):
            return params
        return self._shared.subscriptions.leave(self._connection, params)

    # ----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        if not self._catching_up and not self._hub.advance(self._connection):
            self._catching_up = True
            self._spawn(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            await self._hub.catch_up(self._connection)
        except Exception:
            self._context.log.exception("backlog failed")
            self._hub.close(self._connection, BROKEN, "internal error")
        finally:
            self._catching_up = False

    def _answer(self, answer: SocketAnswer) -> None:
        self._hub.send(self._connection, answer)

    def _refuse(self, request_id: str | int | None, refusal: Refusal) -> None:
        self._answer(
            SocketAnswer(
                id=request_id,
                error=api_error(refusal, self._context.grids),
                status=http_status(refusal),
                order_id=refused_order_id(refusal),
            )
        )

    def _private_seq(self, caller: Caller | None) -> int | None:
        if caller is None or caller.account == HOUSE_ACCOUNT:
            return None
        return self._shared.publisher.private_seq(caller.account)

    def _now(self) -> str:
        return time_text(self._context.clock.now_us())


def _call(request: SocketRequest, inputs: Inputs, caller: Caller) -> AnyCall:
    return Call(str(request.id), inputs.query, inputs.body, inputs.path, caller)


def _team_id(caller: Caller | None) -> str | None:
    return None if caller is None or caller.account == HOUSE_ACCOUNT else team_id_text(caller.account)


def _unknown_method(name: str) -> Refusal:
    return Refusal(Category.UNKNOWN, Code.UNKNOWN_METHOD, "There is no such method", {"method": name})
