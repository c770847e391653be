"""What is said on ``/ws``: the result of each method, the events of each channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from exchange.api.auth import Access
from exchange.api.operation import Handler, Operation
from exchange.api.routes import safety
from exchange.api.socket.methods import METHODS
from exchange.pipeline.streams import PHASE_CHANNEL, PRIVATE_CHANNEL
from exchange.wire import data, events, socket
from exchange.wire.requests import Request


class Method(msgspec.Struct, frozen=True):
    """``result`` of a command is what stands in ``data`` of its CommandResult."""

    name: str
    access: Access
    params: type[Request]
    result: Any
    summary: str
    is_command: bool = False


class Channel(msgspec.Struct, frozen=True):
    """``address`` is the name in ``subscribe``, ``{instrument_id}`` standing for each instrument."""

    name: str
    address: str
    summary: str
    events: tuple[type[events.Event], ...]


OWN_METHODS: Final = (
    Method("ping", Access.PUBLIC, socket.NoParams, socket.Pong, "The server's time"),
    Method("login", Access.PUBLIC, socket.LoginParams, socket.LoggedIn, "Say whose socket this is"),
    Method("subscribe", Access.PUBLIC, socket.SubscribeParams, socket.Subscribed, "Enter channels"),
    Method("unsubscribe", Access.PUBLIC, socket.UnsubscribeParams, socket.Unsubscribed, "Leave channels"),
)
"""Methods that a socket answers itself."""

UNASKED: Final = (events.Hello, events.ServerShutdown, events.PhaseChange)
"""What is sent to every socket, subscribed or not."""

CHANNELS: Final = (
    Channel(
        PRIVATE_CHANNEL,
        PRIVATE_CHANNEL,
        "What happens to the team's orders and positions",
        (
            events.PositionSnapshot,
            events.NewOrderAck,
            events.OrderTriggered,
            events.ExecutionReport,
            events.OrderAmended,
            events.OrderCancelled,
            events.PositionUpdate,
        ),
    ),
    Channel(
        "book",
        "book.{instrument_id}",
        "Depth of an instrument: a snapshot, then the levels that changed",
        (events.BookSnapshot, events.BookUpdate),
    ),
    Channel("trades", "trades.{instrument_id}", "Trades of an instrument", (events.TradeEvent,)),
    Channel(PHASE_CHANNEL, PHASE_CHANNEL, "The phase now, then each change", (events.PhaseChange,)),
)

# Methods whose handler is no operation of the HTTP API, which would say what it answers.
_SOCKET_ONLY: Final[dict[Handler, tuple[Any, str]]] = {
    safety.cancel_on_disconnect: (data.DisconnectGuard, "Cancel the team's orders when this socket is gone"),
}


def methods(operations: Sequence[Operation]) -> tuple[Method, ...]:
    """Every method. Raises KeyError for one whose result neither ``operations`` nor this module knows."""
    return (*OWN_METHODS, *_relayed(operations))


def _relayed(operations: Iterable[Operation]) -> Iterable[Method]:
    known = {each.handler: (each.data, each.summary) for each in operations} | _SOCKET_ONLY
    for method in METHODS.values():
        result, summary = known[method.handler]
        yield Method(method.name, method.access, method.params, result, summary, method.is_command)
