"""Components of the OpenAPI document: schemas of bodies and answers, headers, parameters, keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from exchange.api.operation import Operation
from exchange.wire.envelope import ApiError

REF_TEMPLATE: Final = "#/components/schemas/{name}"

_RST_LITERAL: Final = re.compile(r"``(.+?)``")
_RST_ROLE: Final = re.compile(r":\w+:`~?([\w.]+)`")


def schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """Every type that stands in a body or an answer."""
    types = dict.fromkeys(each for row in operations for each in (row.body, row.data) if each is not None)
    _, components = msgspec.json.schema_components((*types, ApiError), ref_template=REF_TEMPLATE)
    named: dict[str, Any] = cleaned(components)
    named["Answer"] = _ANSWER
    named["ErrorAnswer"] = _ERROR_ANSWER
    return dict(sorted(named.items()))


def cleaned(schema: Any) -> Any:
    """Docstrings become Markdown, and Python's end of text that of ECMA 262."""
    if isinstance(schema, dict):
        return {key: _cleaned_value(key, value) for key, value in schema.items()}
    if isinstance(schema, list | tuple):
        return [cleaned(each) for each in schema]
    return schema


def _cleaned_value(key: str, value: Any) -> Any:
    if key == "pattern" and isinstance(value, str):
        return value.removesuffix(r"\Z") + "$" if value.endswith(r"\Z") else value
    if key == "description" and isinstance(value, str):
        return _RST_ROLE.sub(r"`\1`", _RST_LITERAL.sub(r"`\1`", " ".join(value.split())))
    return cleaned(value)


def reference(name: str) -> dict[str, Any]:
    """The schema called ``name``."""
    return {"$ref": REF_TEMPLATE.format(name=name)}


def header_references(*names: str) -> dict[str, Any]:
    """Headers of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


_TIMESTAMP_SCHEMA: Final = {"type": "string", "format": "date-time", "description": "UTC, microseconds."}

_ANSWER: Final = {
    "title": "Answer",
    "description": "The envelope of every answer.",
    "type": "object",
    "properties": {
        "success": {"type": "boolean"},
        "request_id": {"type": "string", "description": "Echo of `X-Request-ID`, or the server's own."},
        "timestamp": _TIMESTAMP_SCHEMA,
    },
    "required": ["success", "request_id", "timestamp"],
}

_ERROR_ANSWER: Final = {
    "title": "ErrorAnswer",
    "description": "The envelope of a refusal. `order_id` names an order that was accepted all the same.",
    "allOf": [
        reference("Answer"),
        {
            "properties": {
                "success": {"const": False},
                "order_id": {"type": "string"},
                "error": reference("ApiError"),
            },
            "required": ["success", "error"],
        },
    ],
}

HEADERS: Final = {
    "X-Request-ID": {"description": "Same as `request_id`.", "schema": {"type": "string"}},
    "Server-Timing": {
        "description": "Milliseconds in `validation`, `journal`, `matching`, `settlement` and `total`.",
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {
        "description": "Requests at once, where requests are counted.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "Requests that are left now.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "Seconds until all are there again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "Seconds to wait, where waiting helps.",
        "schema": {"type": "integer", "minimum": 1},
    },
}

REQUEST_ID_PARAMETER: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "A name for the request; it comes back in `request_id`.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}
REQUEST_ID_REFERENCE: Final = {"$ref": "#/components/parameters/XRequestId"}

SECURITY_SCHEMES: Final = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}
