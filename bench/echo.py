"""The baseline: a Starlette route that decodes the same order with msgspec and answers; stores nothing."""

from __future__ import annotations

import sys

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from exchange.wire.requests import OrderRequest

_DECODE = msgspec.json.Decoder(OrderRequest).decode
_ENCODE = msgspec.json.Encoder().encode


async def _order(request: Request) -> Response:
    order = _DECODE(await request.body())
    answer = {"success": True, "request_id": "r", "order_id": "ORD_1", "data": {"quantity": order.quantity}}
    return Response(_ENCODE(answer), media_type="application/json")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


app = Starlette(routes=[Route("/exchange/orders", _order, methods=["POST"]), WebSocketRoute("/ws", _socket)])

if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        access_log=False,
        log_level="warning",
        ws_per_message_deflate=False,
    )
