"""Clients that send exactly the bytes they are told to, and know when the server's kernel has them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

Message = dict[str, Any]

TEXT, CLOSE = 0x81, 0x88


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's WebSocket frame; its mask is zero."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([opcode]) + length + b"\0\0\0\0" + payload


def request(request_id: int, method: str, **params: Any) -> bytes:
    """A request of a socket, as a frame."""
    return frame(json.dumps({"id": request_id, "method": method, "params": params}).encode())


class RawClient:
    """One connection with a team's key. Sending never waits: what is sent fits the kernel's buffers."""

    def __init__(self, port: int, key: str, receive_buffer: int | None = None) -> None:
        self.key = key
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """The head of a request with the team's key."""
        fields = [f"{method} {path} HTTP/1.1", "Host: x", f"X-API-Key: {self.key}", *lines]
        return "\r\n".join([*fields, "", ""]).encode()

    def order(self, order: Message, query: str = "") -> bytes:
        """A whole request that enters ``order``."""
        body = json.dumps(order).encode()
        return self.head("POST", f"/exchange/orders{query}", f"Content-Length: {len(body)}") + body

    def send(self, data: bytes) -> None:
        """On return the server's kernel has all of ``data``."""
        sent = self.sock.send(data)
        assert sent == len(data)

    async def answer(self) -> Message:
        """The body of the next HTTP answer."""
        return (await self.head_and_answer())[1]

    async def head_and_answer(self) -> tuple[dict[bytes, bytes], Message]:
        """The header fields of the next HTTP answer, names in small letters, and its body."""
        _, *lines = (await self._take_until(b"\r\n\r\n")).split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines if line)
        body: Message = json.loads(await self._take(int(fields[b"content-length"])))
        return fields, body

    async def interim(self) -> bytes:
        """The status line of an answer without fields or body."""
        return (await self._take_until(b"\r\n\r\n")).strip()

    async def upgrade(self) -> Message:
        """Become a WebSocket; the hello."""
        lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        self.send(self.head("GET", "/ws", *lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
        await self._take_until(b"\r\n\r\n")
        return await self.message()

    async def message(self) -> Message:
        """The next message of a WebSocket."""
        message = await self.message_or_close()
        assert not isinstance(message, int), f"closed with {message}"
        return message

    async def message_or_close(self) -> Message | int:
        """The next message of a WebSocket, or the code it is closed with."""
        opcode, size = await self._take(2)
        if size >= 126:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        payload = await self._take(size)
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big")
        message: Message = json.loads(payload)
        return message

    def leave(self, *, reset: bool) -> None:
        """Close: politely, or with a reset."""
        if reset and self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def _take_until(self, end: bytes) -> bytes:
        while end not in self._received:
            await self._more()
        return await self._take(self._received.index(end) + len(end))

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._more()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    async def _more(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 262_144)
        if not data:
            raise EOFError
        self._received += data
