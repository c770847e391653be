"""An exchange that does as the test says: it answers or goes silent, keeps streams, forgets and restarts."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, NamedTuple

from exchange.base.entropy import SeededEntropy
from exchange.client import (
    Backoff,
    ExchangeClient,
    InProcessTransport,
    LinkSettings,
    Retries,
)
from exchange.client.transport import HttpAnswer, Socket, SocketClosed, Transport

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TIME = "2024-01-01T00:00:00.000000Z"
AT_ONCE = Backoff(first_s=0.0, max_s=0.0)


class Fault(NamedTuple):
    """What happens to one request. ``status`` 0: the connection breaks in place of an answer."""

    handled: bool
    status: int = 0
    code: str = "SOME_CODE"
    details: dict[str, Any] | None = None


LOST_ON_THE_WAY = Fault(handled=False)
ANSWER_LOST = Fault(handled=True)


class Refused(Exception):
    """A request that the fake refuses by itself."""

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code


class FakeExchange:
    """An ASGI application. ``faults`` are used up by commands, one each; ``calls`` lists every command.

    ``streams`` holds the messages of each channel, of which the last ``kept`` can be resumed.
    """

    def __init__(self) -> None:
        self.api_version = "1"
        self.epoch = "one"
        self.key_is_known = True
        self.takes_key_from_header = True
        self.ignored: list[str] = []
        self.logins: list[str] = []
        self.subscribes = 0
        self.faults: deque[Fault] = deque()
        self.calls: list[str] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.streams: dict[str, list[dict[str, Any]]] = {}
        self.first_seq: dict[str, int] = {}
        self.kept = 1_000
        self.sockets: list[FakeSocket] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await FakeSocket(self, receive, send).run()
        else:
            await self._http(scope, receive, send)

    # --- requests -------------------------------------------------------------------------------

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        fields = json.loads(body) if body else {}
        if scope["path"] == "/game/status":
            answer: tuple[int, dict[str, Any]] | None = (200, self._envelope(data=self._status()))
        else:
            answer = self.command(*self._route(scope), fields)
        if answer is None:
            return
        status, envelope = answer
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(envelope).encode()})

    def _route(self, scope: Message) -> tuple[str, str]:
        name = scope["path"].removeprefix("/exchange/orders").removeprefix("/")
        method = {"POST": "order.new", "DELETE": "order.cancel", "PATCH": "order.amend", "GET": "order.get"}
        return method[scope["method"].upper()], name

    def command(self, method: str, name: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Status and envelope; None where the connection breaks instead."""
        self.calls.append(method)
        fault = self.faults.popleft() if self.faults and method != "order.get" else None
        if fault is not None and not fault.handled:
            return self._faulty(fault)
        try:
            order = self._handle(method, name, fields)
        except Refused as refused:
            return refused.status, self._envelope(error={"code": refused.code, "message": "no"})
        if fault is not None:
            return self._faulty(fault)
        if method == "order.get":
            return 200, self._envelope(data=_view(order), order_id=order["order_id"])
        result = {"client_order_id": order["client_order_id"], "duplicate": order["seen"] > 1}
        if method != "order.new":
            result |= {name: order[name] for name in ("status", "quantity", "price", "filled_quantity")}
        return 200, self._envelope(data=result, order_id=order["order_id"])

    def _faulty(self, fault: Fault) -> tuple[int, dict[str, Any]] | None:
        if not fault.status:
            return None
        error = {"code": fault.code, "message": "fault", "details": fault.details, "retry_after_ms": 0}
        return fault.status, self._envelope(error=error)

    def _handle(self, method: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        if method == "order.new":
            return self._enter(fields)
        order = self._find(name)
        if method == "order.get":
            if order is None:
                raise Refused(404, "UNKNOWN_ORDER")
            return order
        if order is None or order["status"] in ("cancelled", "filled"):
            raise Refused(404, "CANCEL_FAILED" if method == "order.cancel" else "AMEND_FAILED")
        if method == "order.cancel":
            order |= {"status": "cancelled", "cancel_reason": "requested"}
        else:
            order |= {key: value for key, value in fields.items() if value is not None}
            order["amends"] += 1
        return order

    def _enter(self, fields: dict[str, Any]) -> dict[str, Any]:
        name = fields["client_order_id"]
        order = self.orders.get(name)
        if order is None:
            order = self.orders[name] = {
                "order_id": f"ORD_{len(self.orders) + 1}",
                "status": "open",
                "filled_quantity": 0,
                "seen": 0,
                "amends": 0,
                "cancel_reason": None,
                **fields,
            }
        order["seen"] += 1
        return order

    def _find(self, name: str) -> dict[str, Any] | None:
        if name.startswith("client:"):
            return self.orders.get(name.removeprefix("client:"))
        return next((order for order in self.orders.values() if order["order_id"] == name), None)

    def _status(self) -> dict[str, Any]:
        return {
            "preset": "fake",
            "phase": "continuous",
            "teams": 1,
            "instruments": 1,
            "sequence": 1,
            "timestamp": TIME,
            "api_version": self.api_version,
        }

    def _envelope(self, **fields: Any) -> dict[str, Any]:
        success = fields.get("error") is None
        return {"success": success, "request_id": "req", "timestamp": TIME, **fields}

    # --- streams --------------------------------------------------------------------------------

    def last_seq(self, channel: str) -> int:
        """Sequence of the newest message."""
        return self.first_seq.get(channel, 0) + len(self.streams.get(channel, ()))

    def publish(self, channel: str, message: dict[str, Any]) -> None:
        """The next message of ``channel``, with sequence and time filled in."""
        stream = self.streams.setdefault(channel, [])
        seq = self.last_seq(channel) + 1
        stream.append({"seq": seq, "timestamp": TIME, **message})
        for socket in self.sockets:
            if channel in socket.channels:
                socket.put(stream[-1])

    def after(self, channel: str, seq: int) -> list[dict[str, Any]]:
        """Messages that follow ``seq``."""
        return [each for each in self.streams.get(channel, ()) if each["seq"] > seq]

    def restart(self, epoch: str) -> None:
        """Public channels begin anew; private ones live on."""
        self.epoch = epoch
        self.streams = {name: each for name, each in self.streams.items() if name == "private"}
        self.hang_up()

    def hang_up(self, code: int = 1006) -> None:
        """Close every socket."""
        for socket in list(self.sockets):
            socket.put({"close": code})

    def snapshot(self, channel: str) -> dict[str, Any] | None:
        """How a channel begins; None for one without a snapshot."""
        seq = self.last_seq(channel)
        if channel == "private":
            return position_snapshot(seq)
        if channel.startswith("book."):
            return {"type": "book_snapshot", "seq": seq, "timestamp": TIME, "channel": channel,
                    "epoch": self.epoch, "bids": [[seq + 1.0, 1]], "asks": []}  # fmt: skip
        return None


class FakeSocket:
    """One socket of the fake."""

    def __init__(self, exchange: FakeExchange, receive: Receive, send: Send) -> None:
        self.channels: set[str] = set()
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def put(self, message: dict[str, Any]) -> None:
        """Send ``message`` after what was put before."""
        self._outgoing.put_nowait(message)

    async def run(self) -> None:
        """Until either side closes."""
        await self._receive()
        if not self._exchange.key_is_known:
            await self._send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await self._send({"type": "websocket.http.response.body", "body": b""})
            return
        await self._send({"type": "websocket.accept"})
        self._exchange.sockets.append(self)
        self.put(
            {
                "type": "hello",
                "api_version": self._exchange.api_version,
                "epoch": self._exchange.epoch,
                "timestamp": TIME,
                "authenticated": self._exchange.takes_key_from_header,
            }
        )
        writer = asyncio.create_task(self._write())
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                self._take(json.loads(message["text"]))
        finally:
            self._exchange.sockets.remove(self)
            writer.cancel()

    async def _write(self) -> None:
        while True:
            message = await self._outgoing.get()
            if "close" in message:
                await self._send({"type": "websocket.close", "code": message["close"]})
                return
            await self._send({"type": "websocket.send", "text": json.dumps(message)})

    def _take(self, request: dict[str, Any]) -> None:
        method, params = request["method"], request["params"]
        if method in self._exchange.ignored:
            self._exchange.ignored.remove(method)
        elif method == "login":
            self._exchange.logins.append(params["api_key"])
            self.put({"id": request["id"], "result": {"team_id": "TEAM_1"}})
        elif method == "subscribe":
            self._subscribe(request["id"], params)
        elif method == "unsubscribe":
            self._unsubscribe(request["id"], params["channels"])
        elif method == "ping":
            self.put({"id": request["id"], "result": {"timestamp": TIME}})
        else:
            self._command(request["id"], method, params)

    def _unsubscribe(self, request_id: int, channels: list[str]) -> None:
        if not self.channels.issuperset(channels):
            error = {"code": "NOT_SUBSCRIBED", "message": "no"}
            self.put({"id": request_id, "error": error, "status": 409})
            return
        self.channels.difference_update(channels)
        self.put({"id": request_id, "result": {"channels": channels}})

    def _command(self, request_id: int, method: str, params: dict[str, Any]) -> None:
        name = params.get("order_id") or f"client:{params.get('client_order_id')}"
        answer = self._exchange.command(method, name, params)
        if answer is None:
            self.put({"close": 1006})
            return
        status, envelope = answer
        if status != 200:
            self.put({"id": request_id, "error": envelope["error"], "status": status})
        elif method == "order.get":
            self.put({"id": request_id, "result": envelope["data"]})
        else:
            self.put({"id": request_id, "result": envelope})

    def _subscribe(self, request_id: int, params: dict[str, Any]) -> None:
        exchange = self._exchange
        exchange.subscribes += 1
        states, begin = [], []
        if not self.channels.isdisjoint(params["channels"]):
            error = {"code": "ALREADY_SUBSCRIBED", "message": "no"}
            self.put({"id": request_id, "error": error, "status": 409})
            return
        for channel in params["channels"]:
            if channel.startswith("none."):
                error = {"code": "UNKNOWN_CHANNEL", "message": "no"}
                self.put({"id": request_id, "error": error, "status": 404})
                return
            last = exchange.last_seq(channel)
            seq = params["resume_from"].get(channel)
            if seq is not None and seq > last and params["epoch"] == exchange.epoch:
                error = {"code": "INVALID_REQUEST", "message": "in the future"}
                self.put({"id": request_id, "error": error, "status": 400})
                return
            known = channel == "private" or params["epoch"] == exchange.epoch
            resumed = seq is not None and known and last - exchange.kept <= seq <= last
            states.append({"channel": channel, "seq": last, "resumed": resumed})
            if seq is not None and not resumed:
                states[-1]["error"] = {"code": "RESUME_TOO_OLD", "message": "too old"}
            if resumed:
                begin += exchange.after(channel, seq)
            elif (snapshot := exchange.snapshot(channel)) is not None:
                begin.append(snapshot)
        self.channels.update(params["channels"])
        self.put({"id": request_id, "result": {"epoch": exchange.epoch, "channels": states}})
        for message in begin:
            self.put(message)


class CuttingTransport:
    """Each socket breaks after as many messages as the next of ``budgets`` says, until they are used up."""

    def __init__(self, inner: Transport, budgets: Iterable[int]) -> None:
        self._inner = inner
        self._budgets: Iterator[int] = iter(budgets)
        self.api_key = inner.api_key
        self.prefers_socket = inner.prefers_socket
        self.cuts = 0

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        return await self._inner.request(method, target, body)

    async def connect(self) -> Socket:
        socket = await self._inner.connect()
        return _CutSocket(self, socket, next(self._budgets, None))

    async def close(self) -> None:
        await self._inner.close()


class _CutSocket:
    def __init__(self, transport: CuttingTransport, socket: Socket, budget: int | None) -> None:
        self._transport = transport
        self._socket = socket
        self._budget = budget

    async def send(self, message: bytes) -> None:
        await self._socket.send(message)

    async def receive(self) -> bytes:
        if self._budget is not None:
            if self._budget == 0:
                self._transport.cuts += 1
                await self._socket.close()
                raise SocketClosed(1006)
            self._budget -= 1
        return await self._socket.receive()

    async def close(self) -> None:
        await self._socket.close()


def fake_client(
    exchange: FakeExchange | Transport,
    *,
    over_socket: bool = False,
    attempts: int = 5,
    timeout_s: float = 5.0,
    api_key: str | None = "key",
) -> ExchangeClient:
    """A client that tries again at once."""
    transport: Transport
    if isinstance(exchange, FakeExchange):
        transport = InProcessTransport(exchange, api_key, prefers_socket=over_socket)
    else:
        transport = exchange
    return ExchangeClient(
        transport,
        entropy=SeededEntropy(1),
        retries=Retries(attempts=attempts, timeout_s=timeout_s, backoff=AT_ONCE),
        link=LinkSettings(backoff=AT_ONCE, answer_timeout_s=timeout_s),
    )


def position_snapshot(seq: int, **fields: Any) -> dict[str, Any]:
    """How a private stream begins."""
    return {
        "type": "position_snapshot",
        "seq": seq,
        "timestamp": TIME,
        "positions": {},
        "cash": 0.0,
        "fees": 0.0,
        "open_orders": [],
        **fields,
    }


def trade(price: float = 100.0, channel: str = "trades.SPX") -> dict[str, Any]:
    """A public trade."""
    return {
        "type": "trade",
        "channel": channel,
        "trade_id": "TRD_1",
        "price": price,
        "quantity": 1,
        "side": "buy",
    }


def position_update(position: int) -> dict[str, Any]:
    """A private event that is easily told from others by its position."""
    return {
        "type": "position_update",
        "instrument_id": "SPX",
        "position": position,
        "realised_pnl": 0.0,
        "cash": float(position),
        "fees": 0.0,
    }


def _view(order: dict[str, Any]) -> dict[str, Any]:
    fields = ("order_id", "client_order_id", "instrument_id", "side", "status", "quantity", "price",
              "filled_quantity", "cancel_reason")  # fmt: skip
    view = {name: order[name] for name in fields if order[name] is not None}
    return {
        "order_type": "limit",
        "time_in_force": "gtc",
        "remaining_quantity": 0,
        "fees": 0.0,
        "timestamp": TIME,
        **view,
    }
