"""The HTTP API as one ASGI application, built from the table of operations."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Receive, Scope, Send

from exchange.api.auth import Access, Gate
from exchange.api.context import ApiContext
from exchange.api.endpoint import Endpoint
from exchange.api.operation import AnyCall, Handler, Operation, Topic
from exchange.api.replies import Answered, Reply, allow_header
from exchange.api.routes.table import OPERATIONS
from exchange.api.transport.response_cycle import ResponseCycle
from exchange.model.reasons import Category, Code, Refusal

_UNKNOWN_PATH: Final = Refusal(
    Category.UNKNOWN, Code.UNKNOWN_PATH, "There is nothing at this path; /docs lists what there is"
)


def build_api(context: ApiContext, sockets: Sequence[BaseRoute] = ()) -> Api:
    """Everything under one server: the operations, and the routes of the WebSocket ``sockets``."""
    for operation in OPERATIONS:
        if operation.prepare is not None:
            operation.prepare()
    gate = Gate(context.teams, context.settings.admin_key_hash)
    resources = [
        Resource(path, operations, context, gate) for path, operations in _by_path(OPERATIONS).items()
    ]
    return Api(resources, sockets, Endpoint(_unknown_path(), context, gate))


class Resource:
    """One path: an endpoint for each of its methods, an answer for every other."""

    def __init__(self, path: str, operations: Sequence[Operation], context: ApiContext, gate: Gate) -> None:
        self.path = path
        methods = _allowed_methods(operations)
        self._endpoints = {each.method: Endpoint(each, context, gate) for each in operations}
        if "GET" in self._endpoints:
            self._endpoints["HEAD"] = self._endpoints["GET"]
        self._endpoints["OPTIONS"] = Endpoint(_options(methods), context, gate)
        self._other = Endpoint(_method_not_allowed(methods), context, gate)

    def endpoint(self, method: str) -> Endpoint:
        """What answers ``method``."""
        return self._endpoints.get(method, self._other)


class Api:
    """A path without parameters is found in a dict, the others by Starlette's patterns."""

    def __init__(
        self, resources: Iterable[Resource], sockets: Sequence[BaseRoute], unknown: Endpoint
    ) -> None:
        self._exact: dict[str, Resource] = {}
        self._patterns: list[tuple[Route, Resource]] = []
        for resource in resources:
            if "{" in resource.path:
                self._patterns.append((Route(resource.path, _unused), resource))
            else:
                self._exact[resource.path] = resource
        self._unknown = unknown
        self._sockets = Router(sockets, redirect_slashes=False, default=_refuse_socket)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._find(scope)(scope, receive, send)
        else:
            await self._sockets(scope, receive, send)

    def direct(self, cycle: ResponseCycle) -> Coroutine[Any, Any, None]:
        """Answer a request that has arrived whole: ASGI's layers and messages cost a fifth of an order."""
        scope = cycle.scope
        endpoint = self._find(scope)
        return endpoint.serve(scope, bytes(cycle.body), cycle.receive, cycle.send, cycle.answer)

    def _find(self, scope: Any) -> Endpoint:
        resource = self._exact.get(scope["path"])
        if resource is not None:
            return resource.endpoint(scope["method"])
        for route, resource in self._patterns:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                scope.update(found)
                return resource.endpoint(scope["method"])
        return self._unknown


async def _unused(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a pattern is only asked what it matches")


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 1000})


def _by_path(operations: Iterable[Operation]) -> Mapping[str, list[Operation]]:
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return by_path


def _allowed_methods(operations: Iterable[Operation]) -> list[str]:
    methods = {each.method for each in operations} | {"OPTIONS"}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _unknown_path() -> Operation:
    async def answer(context: ApiContext, call: AnyCall) -> Reply:
        return _UNKNOWN_PATH

    return _plumbing("unknown_path", answer)


def _method_not_allowed(methods: list[str]) -> Operation:
    refusal = Refusal(
        Category.INVALID,
        Code.METHOD_NOT_ALLOWED,
        "This path does not take this method",
        {"allowed_methods": methods},
    )

    async def answer(context: ApiContext, call: AnyCall) -> Reply:
        return refusal

    return _plumbing("method_not_allowed", answer)


def _options(methods: list[str]) -> Operation:
    reply = Answered({"allowed_methods": methods}, headers=(allow_header(methods),))

    async def answer(context: ApiContext, call: AnyCall) -> Reply:
        return reply

    return _plumbing("options", answer)


def _plumbing(operation_id: str, handler: Handler) -> Operation:
    # Not in the table: these answer for any path, and are documented once for all.
    return Operation(
        operation_id=operation_id,
        method="",
        path="",
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=handler,
        summary="",
        query=None,
    )
