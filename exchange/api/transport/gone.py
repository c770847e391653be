"""The outermost ASGI layer: a client that vanished is counted, and no error."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect


class ClientGone:
    """Ends a request quietly when what escapes ``app`` is the loss of its client.

    That is an OSError raised by ``send``, or Starlette's disconnect exceptions; any other OSError passes.
    ``count`` is called once per request ended so. The protocols count lost connections, whatever the
    application made of it: give the two different counters.
    """

    def __init__(self, app: ASGIApp, count: Callable[[], None]) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lost: list[OSError] = []

        async def watched_send(message: Message) -> None:
            try:
                await send(message)
            except OSError as error:
                lost.append(error)
                raise

        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:
            if not _is_loss(error, lost):
                raise
            self._count()


def _is_loss(error: BaseException, lost: list[OSError]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_loss(each, lost) for each in error.exceptions)
    return isinstance(error, ClientDisconnect | WebSocketDisconnect) or any(error is each for each in lost)
