"""WebSocket frames (RFC 6455 section 5.2) where speed matters: making those sent, finding those received."""

from __future__ import annotations

from typing import Final

TEXT: Final = 0x81
"""First byte of a text message in one frame."""
BINARY: Final = 0x82
"""First byte of a binary message in one frame."""

_MASKED: Final = 0x80
_MASK_BYTES: Final = 4


def text_frame(payload: bytes) -> bytes:
    """``payload``, UTF-8, as one unmasked server frame: made once, sent to any number of sockets."""
    return _frame(TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """``payload`` as one unmasked server frame: made once, sent to any number of sockets."""
    return _frame(BINARY, payload)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126, size >> 8, size & 255)) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def frame_span(data: bytes, start: int) -> tuple[int, int]:
    """Offsets of payload and end of the client frame at ``start``, both 0 while its header is incomplete.

    The end may lie beyond ``data``; the mask is the four bytes before the payload. An unmasked frame, which
    a client may not send, is spanned by its header alone.
    """
    have = len(data) - start
    if have < 2:
        return 0, 0
    size = data[start + 1]
    if size < _MASKED:
        return start + 2, start + 2
    size -= _MASKED
    payload = start + 2 + _MASK_BYTES
    if size == 126:
        if have < 4:
            return 0, 0
        size = (data[start + 2] << 8) | data[start + 3]
        payload += 2
    elif size == 127:
        if have < 10:
            return 0, 0
        size = int.from_bytes(data[start + 2 : start + 10], "big")
        payload += 8
    return payload, payload + size
