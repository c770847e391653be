"""The AsyncAPI 3.0 document of ``/ws``, made from tables of methods and channels and types of messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from exchange.api.context import API_VERSION
from exchange.api.operation import Operation
from exchange.api.reference.schemas import REF_TEMPLATE, SECURITY_SCHEMES, cleaned, reference
from exchange.api.reference.socket_messages import CHANNELS, UNASKED, Channel, Method, methods
from exchange.wire import data, events
from exchange.wire.encode_events import Encoding
from exchange.wire.envelope import ApiError

_SOCKET: Final = "socket"
_REFUSED: Final = "refused"

_INTRODUCTION: Final = f"""\
One WebSocket at `/ws`. A client sends requests, `{{"id", "method", "params"}}`, and gets answers under the
same `id`; the server sends events of the channels that were asked for with `subscribe`. The channel
`{_SOCKET}` is the socket itself with its requests and answers; all others are names to subscribe to, and
travel over it too.

Messages are JSON in text frames, or MessagePack in binary ones with the subprotocol
`{Encoding.MSGPACK.value}`. Absent optionals are omitted. Sequences, `resume_from` and how a socket ends are
in docs/websocket.md; `/openapi.json` describes the HTTP API."""


def asyncapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document. ``operations`` of the HTTP API say what the methods they share answer."""
    known = methods(operations)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Exchange", "version": API_VERSION, "description": _INTRODUCTION},
        "defaultContentType": "application/json",
        "servers": {"exchange": _SERVER},
        "channels": _channels(known),
        "operations": _operations(known),
        "components": {
            "schemas": _schemas(known),
            "messages": _messages(known),
            "securitySchemes": {"ApiKey": _API_KEY, "Bearer": SECURITY_SCHEMES["Bearer"]},
        },
    }


_SERVER: Final = {
    "host": "{host}",
    "protocol": "ws",
    "description": "With TLS in front of it `wss`. The key comes with the handshake or with `login`.",
    "variables": {"host": {"default": "127.0.0.1:8000", "description": "Where the exchange listens."}},
}
_API_KEY: Final = {**SECURITY_SCHEMES["ApiKey"], "type": "httpApiKey"}


# --- channels and operations ------------------------------------------------------------------------------


def _channels(known: Sequence[Method]) -> dict[str, Any]:
    names = [name for method in known for name in (_asked(method), _answered(method))]
    names += [_REFUSED, *(_tag(each) for each in UNASKED)]
    described = {_SOCKET: {"address": "/ws", "title": "The socket", "messages": _message_references(names)}}
    return described | {channel.name: _channel(channel) for channel in CHANNELS}


def _channel(channel: Channel) -> dict[str, Any]:
    described = {
        "address": channel.address,
        "title": channel.address,
        "summary": channel.summary,
        "messages": _message_references(_tag(each) for each in channel.events),
    }
    if "{instrument_id}" in channel.address:
        described["parameters"] = {"instrument_id": {"description": "One of `GET /exchange/instruments`."}}
    return described


def _operations(known: Iterable[Method]) -> dict[str, Any]:
    described: dict[str, Any] = {_key(method): _operation(method) for method in known}
    described["unasked"] = _sending(_SOCKET, "To every socket", (_tag(each) for each in UNASKED))
    for channel in CHANNELS:
        tags = (_tag(each) for each in channel.events)
        described[f"{channel.name}_events"] = _sending(channel.name, channel.summary, tags)
    return described


def _operation(method: Method) -> dict[str, Any]:
    scope = method.access.scope
    needs = "no key" if scope is None else f"a key with the scope `{scope.value}`"
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{_SOCKET}"},
        "title": method.name,
        "summary": method.summary,
        "description": f"Needs {needs}.",
        "messages": [_of_channel(_SOCKET, _asked(method))],
        "reply": {
            "channel": {"$ref": f"#/channels/{_SOCKET}"},
            "messages": [_of_channel(_SOCKET, _answered(method)), _of_channel(_SOCKET, _REFUSED)],
        },
    }


def _sending(channel: str, summary: str, messages: Iterable[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [_of_channel(channel, name) for name in messages],
    }


def _of_channel(channel: str, message: str) -> dict[str, Any]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


def _message_references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


# --- messages ---------------------------------------------------------------------------------------------


def _messages(known: Iterable[Method]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for method in known:
        described[_asked(method)] = _message(f"Request of {method.name}", _request(method), is_answered=True)
        described[_answered(method)] = _message(f"Answer to {method.name}", _answer(method), is_answered=True)
    described[_REFUSED] = _message("Answer to a request that failed", _REFUSAL, is_answered=True)
    for event in _events():
        described[_tag(event)] = _message(_tag(event), reference(event.__name__))
    return described


def _message(title: str, payload: dict[str, Any], *, is_answered: bool = False) -> dict[str, Any]:
    described: dict[str, Any] = {"name": title, "title": title, "payload": payload}
    if is_answered:
        described["correlationId"] = {"location": "$message.payload#/id"}
    return described


def _request(method: Method) -> dict[str, Any]:
    required = ["id", "method"]
    if any(field.required for field in msgspec.structs.fields(method.params)):
        required.append("params")
    return {
        "type": "object",
        "properties": {
            "id": reference("RequestId"),
            "method": {"const": method.name},
            "params": reference(method.params.__name__),
        },
        "required": required,
        "additionalProperties": False,
    }


def _answer(method: Method) -> dict[str, Any]:
    result = reference(method.result.__name__)
    if method.is_command:
        result = {
            "type": "object",
            "properties": {
                "timestamp": {"type": "string", "format": "date-time"},
                "order_id": {"type": "string"},
                "data": result,
            },
            "required": ["timestamp"],
            "additionalProperties": False,
        }
    return {
        "type": "object",
        "properties": {"id": reference("RequestId"), "result": result},
        "required": ["id", "result"],
        "additionalProperties": False,
    }


_REFUSAL: Final = {
    "type": "object",
    "properties": {
        "id": {
            "anyOf": [reference("RequestId"), {"type": "null"}],
            "description": "null where the `id` of the request could not be read.",
        },
        "error": reference("ApiError"),
        "status": {"type": "integer", "description": "The status that HTTP would have."},
        "order_id": {"type": "string", "description": "An order that was accepted all the same."},
    },
    "required": ["id", "error", "status"],
    "additionalProperties": False,
}


# --- schemas ----------------------------------------------------------------------------------------------


def _schemas(known: Iterable[Method]) -> dict[str, Any]:
    types = [each for method in known for each in (method.params, method.result)]
    types += [*_events(), ApiError, data.OrderView]
    _, components = msgspec.json.schema_components(tuple(dict.fromkeys(types)), ref_template=REF_TEMPLATE)
    (request_id,), _ = msgspec.json.schema_components((events.SocketId,), ref_template=REF_TEMPLATE)
    named: dict[str, Any] = _draft_7(cleaned(components | {"RequestId": request_id}))
    # What the type leaves open for want of an import: the orders of a snapshot are those of ``orders.open``.
    named[events.PositionSnapshot.__name__]["properties"]["open_orders"]["items"] = reference("OrderView")
    return dict(sorted(named.items()))


def _draft_7(schema: Any) -> Any:
    """AsyncAPI stands on JSON Schema draft 7, which writes a tuple in another way."""
    if isinstance(schema, list):
        return [_draft_7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    written = {key: _draft_7(value) for key, value in schema.items()}
    if "prefixItems" in written:
        written["additionalItems"] = written.pop("items", True)
        written["items"] = written.pop("prefixItems")
    return written


def _events() -> list[type[Any]]:
    told = [event for channel in CHANNELS for event in channel.events]
    return list(dict.fromkeys((*UNASKED, *told)))


def _tag(event: type[Any]) -> str:
    return str(event.__struct_config__.tag)


def _asked(method: Method) -> str:
    return f"{_key(method)}_request"


def _answered(method: Method) -> str:
    return f"{_key(method)}_answer"


def _key(method: Method) -> str:
    # Tools make names of keys, and not all of them take a dot.
    return method.name.replace(".", "_")
