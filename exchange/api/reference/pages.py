"""The reference pages of docs/, from the table of operations: ``python -m exchange.api.reference.pages``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from exchange.api.auth import Access
from exchange.api.errors import CATALOGUE
from exchange.api.operation import Operation, Topic
from exchange.api.reference.openapi import codes_by_status, openapi_document, success_example
from exchange.api.routes.table import OPERATIONS

MARK: Final = "<!-- Below this line: python -m exchange.api.reference.pages docs -->"
"""What stands above it in a page is written by hand."""

_KEYS: Final = {
    Access.PUBLIC: "no key",
    Access.KEY: "a team's key or the operator's (`read`)",
    Access.TEAM: "a team's key (`read`)",
    Access.TRADER: "a team's key (`trade`)",
    Access.OPERATOR: "the operator's key (`admin`)",
}
_SHELL_HOST: Final = "http://127.0.0.1:8000"


def http_reference(operations: Sequence[Operation]) -> str:
    """Every operation, by topic, in Markdown."""
    document: dict[str, Any] = json.loads(msgspec.json.encode(openapi_document(operations)))
    parts: list[str] = []
    for topic in Topic:
        parts.append(f"## {topic.value}")
        parts += [_operation(each, document) for each in operations if each.topic is topic]
    return "\n\n".join(parts) + "\n"


def error_reference() -> str:
    """Every error code as a row."""
    rows = [(f"`{code}`", str(row.status), row.meaning, row.advice) for code, row in CATALOGUE.items()]
    return _table(("Code", "Status", "Meaning", "What to do"), rows) + "\n"


def _operation(operation: Operation, document: Mapping[str, Any]) -> str:
    described = document["paths"][operation.path][operation.method.lower()]
    parts = [
        f"### {operation.method} {operation.path}",
        f"{operation.summary}. Needs {_KEYS[operation.access]}.",
        operation.description,
        _parameters(described, document),
        _body(operation, document),
        _example(operation, described, document),
        _refusals(operation),
    ]
    return "\n\n".join(part for part in parts if part)


def _parameters(described: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    rows = [
        (f"`{each['name']}`", each["in"], _type(each["schema"], document), each.get("description", ""))
        for each in described["parameters"]
        if "$ref" not in each
    ]
    return _table(("Parameter", "In", "Type", ""), rows) if rows else ""


def _body(operation: Operation, document: Mapping[str, Any]) -> str:
    if operation.body is None:
        return ""
    schema = document["components"]["schemas"][operation.body.__name__]
    required = set(schema.get("required", ()))
    rows = [
        (f"`{name}`", "required" if name in required else "", _type(field, document))
        for name, field in schema["properties"].items()
    ]
    return f"{schema['description']}\n\n{_table(('Body', '', 'Type'), rows)}"


def _example(operation: Operation, described: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    command = "```sh\n" + _curl(operation, described) + "\n```"
    if operation.media_type is not None:
        return f"{command}\n\nAnswers with `{operation.media_type}`, not with an envelope."
    answer = json.dumps(success_example(operation), indent=2)
    return f"{command}\n\n```json\n{answer}\n```"


def _curl(operation: Operation, described: Mapping[str, Any]) -> str:
    values = {each["name"]: each["example"] for each in described["parameters"] if "example" in each}
    method = "" if operation.method == "GET" else f"-X {operation.method} "
    lines = [f"curl {method}{_SHELL_HOST}{operation.path.format_map(values)}"]
    if operation.access is not Access.PUBLIC:
        variable = "ADMIN_KEY" if operation.access is Access.OPERATOR else "API_KEY"
        lines.append(f'-H "X-API-Key: ${variable}"')
    if operation.example is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(operation.example)}'"]
    return " \\\n  ".join(lines)


def _refusals(operation: Operation) -> str:
    return "Errors: " + "; ".join(
        f"{status} " + ", ".join(f"`{code}`" for code in codes)
        for status, codes in codes_by_status(operation).items()
    )


def _type(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    shown = " or ".join(_plain_type(each, document) for each in options)
    default = schema.get("default")
    return shown if default is None else f"{shown}, default `{default}`"


def _plain_type(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    bounds = [
        f"{sign} {schema[name]:,}".replace(".0", "")
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if name in schema
    ]
    lengths = [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    pattern = [f"`{schema['pattern']}`"] if "pattern" in schema else []
    formats = [schema["format"]] if "format" in schema else []
    return " ".join([schema.get("type", "any"), ", ".join([*formats, *bounds, *lengths, *pattern])]).strip()


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def update(page: Path, generated: str) -> None:
    """Put ``generated`` below the mark of ``page``; raises ValueError for a page without one."""
    written, mark, _ = page.read_text().partition(MARK)
    if not mark:
        raise ValueError(f"{page} has no line {MARK}")
    page.write_text(f"{written}{MARK}\n\n{generated}")


def main(docs: Path) -> None:
    """Write both pages anew."""
    update(docs / "http.md", http_reference(OPERATIONS))
    update(docs / "errors.md", error_reference())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
