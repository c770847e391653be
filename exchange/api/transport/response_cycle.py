"""One HTTP request and its answer, as uvicorn runs it, with head and body leaving in one write."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from exchange.api.transport.refusals import INTERNAL_ERROR, Envelopes

_BODYLESS: Final = frozenset((204, 304))
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))


class Wake:
    """What of ``asyncio.Event`` a request needs; made for each one, and hardly ever waited for."""

    __slots__ = ("_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._is_set

    def clear(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until it is set; only one may wait at a time."""
        if not self._is_set:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class ResponseCycle(RequestResponseCycle):
    """Differs from uvicorn's in three ways.

    The head waits for the first part of the body, as ASGI asks, and so each answer costs one system call and
    one packet. A finished request does not start reading again, which would let pipelined ones pile up behind
    it. An application that fails is answered with the envelope. There is no access log.
    """

    envelopes: Envelopes
    _head = b""
    _says_close = False

    async def send(self, message: Any) -> None:
        """ASGI ``send``; does nothing once the client is gone, raises RuntimeError when out of order."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        expected = "http.response.body" if self.response_started else "http.response.start"
        if kind != expected:
            raise RuntimeError(f"Expected ASGI message '{expected}', but got '{kind}'.")
        if self.response_started:
            self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            self._start(message["status"], message.get("headers", ()))

    def answer(self, head: bytes, body: bytes) -> bool:
        """Write a whole answer, ``head`` with its blank line; False where only :meth:`send` can do it right.

        What ASGI does in two messages, for answers made of known parts.
        """
        if (
            self.flow.write_paused
            or self.disconnected
            or self.response_started
            or not self.keep_alive
            or self.default_headers
            or self.scope["method"] == "HEAD"
        ):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head + body)
        self._end()
        return True

    async def receive(self) -> Any:
        """ASGI ``receive``: the body as it arrives, then ``http.disconnect`` when the exchange is over."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if self.more_body:
                self.flow.resume_reading()
            if not self.message_event.is_set():
                await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send_500_response(self) -> None:
        """What uvicorn calls when the application failed before it answered."""
        body = self.envelopes.body(INTERNAL_ERROR)
        headers = self.envelopes.headers(INTERNAL_ERROR, len(body))
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _start(self, status: int, headers: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        parts = [STATUS_LINE[status]]
        lines = 2
        for name, value in self.default_headers:
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        for name, value in headers:
            lowered = name.lower()
            parts += (lowered, b": ", value, b"\r\n")
            lines += 1
            if lowered in _FRAMING:
                self._note_framing(lowered, value)
        if not self.keep_alive and not self._says_close:
            parts.append(b"connection: close\r\n")
            lines += 1
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _BODYLESS:
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
            lines += 1
        parts.append(b"\r\n")
        self._head = _checked(b"".join(parts), lines)

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            if self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
        elif name == b"connection":
            if b"close" in value.lower():
                self.keep_alive = False
                self._says_close = True
        elif value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True

    def _send_body(self, body: bytes, more_body: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more_body:
                body += b"0\r\n\r\n"
        elif len(body) > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self.expected_content_length -= len(body)
        if self._head:
            body = self._head + body
            self._head = b""
        self.transport.write(body)
        if not more_body:
            self._complete()

    def _complete(self) -> None:
        if self.expected_content_length != 0:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self._end()

    def _end(self) -> None:
        self.message_event.set()
        self.on_response()


def _checked(head: bytes, lines: int) -> bytes:
    # A line break or NUL inside a field would let it forge others, or a whole answer.
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise RuntimeError("Invalid HTTP header.")
    return head
