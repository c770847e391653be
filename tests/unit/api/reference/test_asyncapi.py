"""The AsyncAPI document: valid by the rules of AsyncAPI 3.0, and complete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, get_args

import jsonschema
import msgspec
import pytest

from exchange.api.reference.asyncapi import asyncapi_document
from exchange.api.reference.socket_messages import CHANNELS, OWN_METHODS, UNASKED, methods
from exchange.api.routes.table import OPERATIONS
from exchange.api.socket.methods import METHODS
from exchange.pipeline.publish import Publisher
from exchange.pipeline.streams import PRIVATE_CHANNEL
from exchange.wire.events import AnyEvent
from tests.support.ws_exchange import ws_exchange

DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(asyncapi_document(OPERATIONS)))

# The objects of AsyncAPI 3.0 that the document is made of: fields they must have, fields they may have.
SPECIFICATION: dict[str, tuple[set[str], set[str]]] = {
    "document": (
        {"asyncapi", "info"},
        {"servers", "channels", "operations", "components", "defaultContentType"},
    ),
    "info": ({"title", "version"}, {"description"}),
    "server": ({"host", "protocol"}, {"description", "variables"}),
    "variable": (set(), {"enum", "default", "description", "examples"}),
    "channel": (set(), {"address", "messages", "title", "summary", "parameters"}),
    "parameter": (set(), {"enum", "default", "description", "examples", "location"}),
    "operation": (
        {"action", "channel"},
        {"title", "summary", "description", "messages", "reply"},
    ),
    "reply": (set(), {"channel", "messages", "address"}),
    "message": (set(), {"name", "title", "payload", "correlationId"}),
    "correlation": ({"location"}, {"description"}),
    "reference": ({"$ref"}, set()),
}


def _objects() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every object of the document outside of schemas: which kind it is, where it stands."""
    yield "document", "#", DOCUMENT
    yield "info", "info", DOCUMENT["info"]
    for name, server in DOCUMENT["servers"].items():
        yield "server", name, server
        for variable, described in server["variables"].items():
            yield "variable", variable, described
    for name, channel in DOCUMENT["channels"].items():
        yield "channel", name, channel
        for message, reference in channel["messages"].items():
            yield "reference", f"{name}.{message}", reference
        for parameter, described in channel.get("parameters", {}).items():
            yield "parameter", parameter, described
    for name, operation in DOCUMENT["operations"].items():
        yield "operation", name, operation
        if "reply" in operation:
            yield "reply", name, operation["reply"]
    for name, message in DOCUMENT["components"]["messages"].items():
        yield "message", name, message
        if "correlationId" in message:
            yield "correlation", name, message["correlationId"]


def _resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _references(thing: Any) -> Iterator[str]:
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(thing, list):
        for each in thing:
            yield from _references(each)


def test_asyncapi_objects_have_the_fields_of_the_specification() -> None:
    """AsyncAPI 3.0: what an object must have is there, and nothing that it may not have."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for kind, place, thing in _objects():
        required, optional = SPECIFICATION[kind]
        assert required <= thing.keys() <= required | optional, (kind, place)


def test_asyncapi_references_lead_somewhere() -> None:
    """Each stands for something of the document."""
    references = set(_references(DOCUMENT))
    assert len(references) > 100
    for reference in references:
        assert isinstance(_resolve(reference), dict), reference


def test_asyncapi_operations_send_messages_of_their_channel() -> None:
    """AsyncAPI 3.0: messages of an operation and of its reply are referred to by way of the channel."""
    for name, operation in DOCUMENT["operations"].items():
        for part in (operation, operation.get("reply", operation)):
            within = part["channel"]["$ref"] + "/messages/"
            assert part["messages"], name
            assert all(each["$ref"].startswith(within) for each in part["messages"]), name
        assert operation["action"] in ("send", "receive")


def test_asyncapi_channel_parameters_are_those_of_the_address() -> None:
    """AsyncAPI 3.0: every expression in an address is described, and nothing else is."""
    for channel in DOCUMENT["channels"].values():
        wanted = {"instrument_id"} if "{instrument_id}" in channel["address"] else set()
        assert set(channel.get("parameters", {})) == wanted
        assert channel["address"].count("{") == len(wanted)


def test_asyncapi_schemas_are_json_schema_draft_7() -> None:
    """The dialect of AsyncAPI; without the patterns, tuples and markup of Python."""
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    assert "prefixItems" not in text
    assert "\\\\Z" not in text
    assert "``" not in text


def test_asyncapi_has_every_method() -> None:
    """Those of the table and those a socket answers itself, each with request and answer."""
    asked = {
        message["payload"]["properties"]["method"]["const"]
        for name, message in DOCUMENT["components"]["messages"].items()
        if name.endswith("_request")
    }
    assert asked == set(METHODS) | {each.name for each in OWN_METHODS}
    received = [each for each in DOCUMENT["operations"].values() if each["action"] == "receive"]
    assert {each["title"] for each in received} == asked


def test_asyncapi_refuses_a_method_whose_result_nobody_knows() -> None:
    """A new method without an operation of the HTTP API has to be described before anything works."""
    with pytest.raises(KeyError):
        methods(tuple(each for each in OPERATIONS if each.operation_id != "get_orderbook"))


def test_asyncapi_has_every_event() -> None:
    """A new type of event has to be given a channel."""
    told = {event for channel in CHANNELS for event in channel.events} | set(UNASKED)
    assert set(get_args(AnyEvent)) <= told
    assert {str(each.__struct_config__.tag) for each in told} <= DOCUMENT["components"]["messages"].keys()


class Watched(Publisher):
    """The publisher of the exchange that was made last."""

    last: ClassVar[Publisher]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Watched.last = self


async def test_asyncapi_has_every_channel_of_a_running_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new channel has to be described; each address is the name of one that there is."""
    monkeypatch.setattr("exchange.app.Publisher", Watched)
    async with ws_exchange() as running:
        instruments = [each.instrument_id for each in running.exchange.core.rules.instruments]
        socket, _ = await running.socket(await running.team())
        described = {
            channel.address.replace("{instrument_id}", instrument_id)
            for channel in CHANNELS
            for instrument_id in instruments
        }
        answer = await socket.result("subscribe", channels=sorted(described))
        assert len(answer["channels"]) == len(described)
        assert described == {*Watched.last.public_channels, PRIVATE_CHANNEL}


@pytest.mark.parametrize("method", OWN_METHODS, ids=lambda each: str(each.name))
async def test_asyncapi_own_methods_are_those_of_a_socket(method: Any) -> None:
    """Each of them is known to a socket, which says what it misses in its params."""
    async with ws_exchange() as running:
        socket, _ = await running.socket()
        answer = await socket.ask(method.name, unknown=1)
        assert answer["error"]["message"].endswith("unknown"), answer


def test_asyncapi_operation_says_which_key_it_needs() -> None:
    """As over HTTP."""
    needed = {name: each.get("description") for name, each in DOCUMENT["operations"].items()}
    assert needed["order_new"] == "Needs a key with the scope `trade`."
    assert needed["book_get"] == "Needs no key."
