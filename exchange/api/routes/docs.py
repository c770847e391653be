"""The documentation the server carries: OpenAPI and AsyncAPI documents and a page that renders both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import Call, Operation, Topic
from exchange.api.reference.asyncapi import asyncapi_document
from exchange.api.reference.openapi import openapi_document
from exchange.api.replies import Document, Header, Reply
from exchange.wire.queries import NoQuery

# The page needs nothing from elsewhere, and may get nothing from there either.
_PAGE_HEADERS: Final[tuple[Header, ...]] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)


def routes(operations: Callable[[], Sequence[Operation]]) -> tuple[Operation, ...]:
    """The operations that document ``operations``, themselves among them."""

    def http() -> Document:
        return Document(b"application/json", msgspec.json.encode(openapi_document(operations())))

    def socket() -> Document:
        return Document(b"application/json", msgspec.json.encode(asyncapi_document(operations())))

    return (
        _route("get_openapi", "/openapi.json", "This API as OpenAPI document", "application/json", http),
        _route("get_asyncapi", "/asyncapi.json", "`/ws` as AsyncAPI document", "application/json", socket),
        _page("get_docs", "/docs", "docs.html", "This API as a page", "text/html"),
        _page("get_docs_style", "/docs/docs.css", "docs.css", "Style of the page", "text/css"),
        _page("get_docs_script", "/docs/docs.js", "docs.js", "Script of the page", "text/javascript"),
    )


def _page(operation_id: str, path: str, file: str, summary: str, media_type: str) -> Operation:
    def document() -> Document:
        body = files("exchange.api.routes").joinpath("static", file).read_bytes()
        return Document(f"{media_type}; charset=utf-8".encode(), body, _PAGE_HEADERS)

    return _route(operation_id, path, summary, media_type, document)


def _route(
    operation_id: str, path: str, summary: str, media_type: str, make: Callable[[], Document]
) -> Operation:
    document = cache(make)

    async def get_document(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
        return document()

    return Operation(
        operation_id=operation_id,
        method="GET",
        path=path,
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=get_document,
        summary=summary,
        media_type=media_type,
        prepare=document,
    )
