from typing import Any

import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from exchange.api.app import build_api
from exchange.api.routes.table import OPERATIONS
from exchange.model.reasons import Code
from tests.support.api import ask, still_context

PATHS = sorted({operation.path for operation in OPERATIONS})
FILLED = {
    "order_id": "ORD_1",
    "instrument_id": "SPX",
    "team_id": "TEAM_1",
    "request_id": "req_1",
    "quote_group": "default",
}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/exchange",
        "/exchange/orders/",
        "//exchange/orders",
        "/exchange/orderbook/SPX/",
        "/exchange/orders/a/b",
    ],
)
async def test_api_answers_an_unknown_path_with_404(path: str) -> None:
    """Nothing is redirected, nothing is guessed."""
    answer = await ask(build_api(still_context()), "GET", path)
    assert answer is not None
    assert (answer.status, answer.code) == (404, Code.UNKNOWN_PATH)


@pytest.mark.parametrize("path", ["/health/live\n", "/positions/TEAM_1\n"])
async def test_api_does_not_mistake_a_line_break_for_the_end(path: str) -> None:
    """A path with a line break is another path, or another id."""
    answer = await ask(build_api(still_context()), "GET", path)
    assert answer is not None
    assert answer.status in (401, 404)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["LINK", "TRACE", "BREW"])
async def test_api_answers_an_unknown_method_with_405(path: str, method: str) -> None:
    """Allow lists what the path takes: each method of the table, HEAD beside GET, and OPTIONS."""
    answer = await ask(build_api(still_context()), method, path.format_map(FILLED))
    assert answer is not None
    assert (answer.status, answer.code) == (405, Code.METHOD_NOT_ALLOWED)
    taken = {operation.method for operation in OPERATIONS if operation.path == path} | {"OPTIONS"}
    assert set(answer.headers["allow"].split(", ")) == (taken | {"HEAD"} if "GET" in taken else taken)


@pytest.mark.parametrize("path", PATHS)
async def test_api_answers_options_with_the_methods(path: str) -> None:
    """OPTIONS needs no key and says in body and header what the path takes."""
    answer = await ask(build_api(still_context()), "OPTIONS", path.format_map(FILLED))
    assert answer is not None
    assert answer.status == 200
    assert answer.envelope["data"]["allowed_methods"] == answer.headers["allow"].split(", ")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
async def test_api_guards_every_operation_that_needs_a_key(operation: Any) -> None:
    """Without a key an operation answers 401, unless it is public."""
    context = still_context()
    answer = await ask(build_api(context), operation.method, operation.path.format_map(FILLED))
    assert answer is not None
    assert (answer.status == 401) is (operation.access.scope is not None)
    assert context.tally.of(operation.operation_id, answer.status) == 1


async def test_api_finds_a_fixed_path_beside_a_pattern() -> None:
    """/exchange/orders/validate is no order id."""
    answer = await ask(build_api(still_context()), "OPTIONS", "/exchange/orders/validate")
    assert answer is not None
    assert answer.envelope["data"]["allowed_methods"] == ["OPTIONS", "POST"]


async def _handshake(path: str, sockets: list[WebSocketRoute]) -> list[str]:
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": path, "root_path": "", "headers": [], "query_string": b""}
    await build_api(still_context(), sockets)(scope, receive, send)
    return sent


async def test_api_hands_sockets_to_their_routes() -> None:
    """A WebSocket is none of the operations' business; one without a route is closed."""

    async def accept(socket: WebSocket) -> None:
        await socket.accept()

    assert await _handshake("/ws", [WebSocketRoute("/ws", accept)]) == ["websocket.accept"]
    assert await _handshake("/elsewhere", [WebSocketRoute("/ws", accept)]) == ["websocket.close"]
    assert await _handshake("/exchange/orders", []) == ["websocket.close"]
