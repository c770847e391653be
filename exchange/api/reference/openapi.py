"""The OpenAPI 3.1 document, made from the route table and the types of bodies and answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from exchange.api.auth import Access
from exchange.api.context import API_VERSION
from exchange.api.errors import CATALOGUE
from exchange.api.operation import Operation, Topic
from exchange.api.reference.schemas import (
    HEADERS,
    REF_TEMPLATE,
    REQUEST_ID_PARAMETER,
    REQUEST_ID_REFERENCE,
    SECURITY_SCHEMES,
    cleaned,
    header_references,
    reference,
    schemas,
)
from exchange.api.routes.examples import ANSWERS, PATH_PARAMETERS, TIMESTAMP
from exchange.model.reasons import Code

_EVERY: Final = (Code.INVALID_REQUEST, Code.RATE_LIMITED, Code.INTERNAL_ERROR)
_KEYED: Final = (Code.UNAUTHENTICATED, Code.FORBIDDEN)
_BODIED: Final = (Code.BAD_JSON, Code.BODY_TOO_DEEP, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)
_ANSWERED: Final = (
    "X-Request-ID",
    "Server-Timing",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)
_RETRIED: Final = (429, 503)

_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

_INTRODUCTION: Final = """\
Every answer is one envelope, whatever its status: `success`, `request_id`, `timestamp`, and then `data`,
`order_id` or `error`. Absent optionals are omitted.

**Keys.** `POST /game/teams/register` tells a team its key, once. Send it as `X-API-Key` or as
`Authorization: Bearer`. A team's key may read and trade; the operator's key may read and administer.

**Numbers.** Prices and money are JSON numbers in the currency, money received is positive. Times are UTC.

**Tracing.** `X-Request-ID` comes back in `request_id`; without it the server makes one. `Server-Timing` says
where the time went. `GET /exchange/requests/{request_id}` finds an answer that was lost on the way.

**Events.** `/ws` is a WebSocket: books, trades and the team's own events, and orders as here;
docs/websocket.md describes it.

**Limits.** A body has at most 64 KiB. Unknown fields and unknown or repeated query parameters are refused.
A connection that does not speak HTTP, sends too large headers or is too slow is refused before it reaches any
operation: 400, 408, 414, 431 or 503, in the same envelope."""


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document for ``operations``."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Exchange", "version": API_VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": topic.value} for topic in Topic],
        "x-error-codes": {code: entry._asdict() for code, entry in CATALOGUE.items()},
        "paths": _paths(operations),
        "components": {
            "schemas": schemas(operations),
            "headers": HEADERS,
            "parameters": {"XRequestId": REQUEST_ID_PARAMETER},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def operation_codes(operation: Operation) -> list[Code]:
    """Every code ``operation`` can be refused with, its own first."""
    codes = [*operation.codes]
    if operation.access is not Access.PUBLIC:
        codes += _KEYED
    if operation.body is not None:
        codes += _BODIED
    return list(dict.fromkeys((*codes, *_EVERY)))


def codes_by_status(operation: Operation) -> dict[int, list[Code]]:
    """The codes of ``operation`` under the statuses they come with, in order."""
    by_status: dict[int, list[Code]] = {}
    for code in operation_codes(operation):
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    return dict(sorted(by_status.items()))


def success_example(operation: Operation) -> dict[str, Any]:
    """The envelope of a success."""
    example: dict[str, Any] = {"success": True, "request_id": "my-request-1", "timestamp": TIMESTAMP}
    if operation.has_order_id:
        example["order_id"] = "ORD_67890"
    if operation.operation_id in ANSWERS:
        example["data"] = ANSWERS[operation.operation_id]
    return example


# --- paths ------------------------------------------------------------------------------------------------


def _paths(operations: Iterable[Operation]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.topic.value],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), REQUEST_ID_REFERENCE],
        "responses": _responses(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = _request_body(operation)
    scope = operation.access.scope
    described["security"] = [] if scope is None else [{name: [scope.value]} for name in SECURITY_SCHEMES]
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, **PATH_PARAMETERS[name]}
        for name in _PATH_PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    _, components = msgspec.json.schema_components((operation.query,), ref_template=REF_TEMPLATE)
    found = cleaned(components)
    properties = found[operation.query.__name__].get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, **_parameter_schema(schema, found)}
        for name, schema in properties.items()
    ]


def _parameter_schema(schema: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is absent or there, never null; what it refers to stands in its place."""
    default = schema.get("default")
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    shown = dict(options[0])
    shown.pop("default", None)
    description = shown.pop("description", None)
    if "$ref" in shown:
        shown = {
            key: value
            for key, value in found[shown["$ref"].rsplit("/", 1)[1]].items()
            if key not in ("title", "description")
        }
    if default is not None:
        shown["default"] = default
    parameter: dict[str, Any] = {"schema": shown}
    if description is not None:
        parameter["description"] = description
    return parameter


def _request_body(operation: Operation) -> dict[str, Any]:
    assert operation.body is not None
    media: dict[str, Any] = {"schema": reference(operation.body.__name__)}
    if operation.example is not None:
        media["example"] = operation.example
    return {"required": not operation.body_optional, "content": {"application/json": media}}


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": _success(operation)}
    for status, codes in codes_by_status(operation).items():
        retried = ("Retry-After",) if status in _RETRIED else ()
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{code}`" for code in codes),
            "headers": header_references(*_ANSWERED, *retried),
            "content": {"application/json": {"schema": _error_schema(operation, codes)}},
        }
    return responses


def _success(operation: Operation) -> dict[str, Any]:
    if operation.media_type is not None:
        schema: dict[str, Any] = {
            "type": "object" if operation.media_type == "application/json" else "string"
        }
        content: dict[str, Any] = {operation.media_type: {"schema": schema}}
    else:
        media = {"schema": _success_schema(operation), "example": success_example(operation)}
        content = {"application/json": media}
    return {
        "description": operation.summary,
        "headers": header_references(*_ANSWERED),
        "content": content,
    }


def _success_schema(operation: Operation) -> dict[str, Any]:
    properties: dict[str, Any] = {"success": {"const": True}}
    required = ["success"]
    if operation.has_order_id:
        properties["order_id"] = {"type": "string"}
        required.append("order_id")
    if operation.data is not None:
        properties["data"] = reference(operation.data.__name__)
        if not operation.data_optional:
            required.append("data")
    return {"allOf": [reference("Answer"), {"properties": properties, "required": required}]}


def _error_schema(operation: Operation, codes: Sequence[Code]) -> dict[str, Any]:
    if Code.POSITION_LIMIT_EXCEEDED in operation.codes:
        # A constraint may be configured to answer with a code of the organiser's own.
        return reference("ErrorAnswer")
    code = {"properties": {"code": {"enum": [str(code) for code in codes]}}}
    return {"allOf": [reference("ErrorAnswer"), {"properties": {"error": code}}]}
