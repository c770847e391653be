"""The two parts uvicorn's WebSocket protocol is built from, with what it leaves out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from uvicorn._types import ASGIReceiveEvent
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from exchange.api.transport import refusals
from exchange.api.transport.refusals import Envelopes, ProtocolRefusal

_BY_STATUS: Final = {
    HTTPStatus.FORBIDDEN: refusals.NOT_ACCEPTED,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: refusals.HEADERS_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG: refusals.URI_TOO_LONG,
    HTTPStatus.INTERNAL_SERVER_ERROR: refusals.INTERNAL_ERROR,
}


class WsConnection(ServerProtocol):
    """RFC 6455 without input or output. Refuses a handshake with the envelope, tells when closing begins."""

    def __init__(self, envelopes: Envelopes, max_message_bytes: int, closing: Callable[[], None]) -> None:
        super().__init__(extensions=[], max_size=max_message_bytes, logger=logging.getLogger("uvicorn.error"))
        self._envelopes = envelopes
        self._closing = closing

    def reject(self, status: StatusLike, text: str) -> Response:
        status = HTTPStatus(status)
        refusal = _BY_STATUS.get(status, refusals.BAD_HTTP_REQUEST)
        if text and refusal is refusals.BAD_HTTP_REQUEST:
            refusal = ProtocolRefusal(status, refusal.code, text.strip())
        response = super().reject(status, self._envelopes.body(refusal).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def send_frame(self, frame: Frame) -> None:
        super().send_frame(frame)
        if frame.opcode is Opcode.CLOSE:
            self._closing()


class Inbox(asyncio.Queue[ASGIReceiveEvent]):
    """What ASGI's ``receive`` returns. Unbounded, because reading pauses while it is not empty."""

    def __init__(self, ended: Callable[[int, str], None]) -> None:
        super().__init__()
        self._ended = ended

    def put_nowait(self, item: ASGIReceiveEvent) -> None:
        super().put_nowait(item)
        if item["type"] == "websocket.disconnect":
            self._ended(item["code"], item.get("reason") or "")
