"""The application's side of one HTTP request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from exchange.client.errors import ConnectionLost
from exchange.client.transport import HttpAnswer

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Exchanged:
    """``receive`` and ``send`` of one request, and the answer they add up to."""

    def __init__(self, body: bytes) -> None:
        self._request: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._retry_after_s: float | None = None
        self._body: list[bytes] = []
        self.status = 0

    async def receive(self) -> Message:
        """The whole request, then the disconnect."""
        request, self._request = self._request, None
        return {"type": "http.disconnect"} if request is None else request

    async def send(self, message: Message) -> None:
        """Take the head, then parts of the body."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            retry_after = dict(message.get("headers", ())).get(b"retry-after")
            self._retry_after_s = None if retry_after is None else float(retry_after)
        else:
            self._body.append(message.get("body", b""))

    def answer(self) -> HttpAnswer:
        """What was sent; raises ConnectionLost when nothing was."""
        if not self.status:
            raise ConnectionLost("the application did not answer", sent=True)
        return HttpAnswer(self.status, b"".join(self._body), self._retry_after_s)
