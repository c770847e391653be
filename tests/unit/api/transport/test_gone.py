"""Which exceptions are the loss of a client, and which are bugs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocket, WebSocketDisconnect

from exchange.api.transport.gone import ClientGone

SCOPE: dict[str, Any] = {"type": "http"}


async def _receive() -> Any:
    return {"type": "websocket.connect"}


async def _broken_send(message: Any) -> None:
    raise BrokenPipeError


class Counted:
    """Runs ``app`` under the layer with a client that is gone."""

    def __init__(self, app: Any) -> None:
        self.count = 0
        self._layer = ClientGone(app, self._one_more)

    def _one_more(self) -> None:
        self.count += 1

    async def run(self, scope: Any = SCOPE) -> int:
        await self._layer(scope, _receive, _broken_send)
        return self.count


async def test_gone_counts_an_error_of_send() -> None:
    """The server's OSError from ``send`` ends the request quietly."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})

    assert await Counted(app).run() == 1


async def test_gone_counts_what_starlette_makes_of_it() -> None:
    """Starlette turns the OSError of a WebSocket into WebSocketDisconnect."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        websocket = WebSocket(scope, receive, send)
        try:
            await websocket.accept()
        except OSError:
            raise WebSocketDisconnect(1006) from None

    assert await Counted(app).run({"type": "websocket"}) == 1


@pytest.mark.parametrize("error", [ClientDisconnect(), WebSocketDisconnect(1001)])
async def test_gone_counts_starlettes_disconnects(error: Exception) -> None:
    """A disconnect met while reading is no error either."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    assert await Counted(app).run() == 1


async def test_gone_counts_a_group_of_losses_once() -> None:
    """A task group wraps what its tasks raised."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(send({}))
            group.create_task(send({}))

    assert await Counted(app).run() == 1


async def test_gone_counts_nothing_the_application_dealt_with() -> None:
    """An application that handles the loss ended its request itself."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(BrokenPipeError):
            await send({})

    assert await Counted(app).run() == 0


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError(), ConnectionResetError()]
)
async def test_gone_passes_errors_of_the_application(error: Exception) -> None:
    """An OSError that ``send`` did not raise is a fault of the server, even after the client left."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({})
        except OSError:
            raise error from None

    counted = Counted(app)
    with pytest.raises(type(error)) as raised:
        await counted.run()
    assert raised.value is error
    assert counted.count == 0


async def test_gone_passes_a_group_that_holds_a_bug() -> None:
    """A bug beside a loss is still a bug."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ExceptionGroup("both", [ClientDisconnect(), ZeroDivisionError()])

    with pytest.raises(ExceptionGroup):
        await Counted(app).run()


async def test_gone_leaves_cancellation_alone() -> None:
    """A stopping server cancels; that is nobody's loss."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Counted(app).run()
