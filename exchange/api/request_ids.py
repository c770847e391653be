"""Names of requests: the client's own, or one the server makes."""

from __future__ import annotations

import re
from typing import Final

from exchange.base.entropy import Entropy
from exchange.model.reasons import Category, Code, Refusal

_CLIENTS: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

INVALID_REQUEST_ID: Final = Refusal(
    Category.INVALID,
    Code.INVALID_REQUEST,
    "X-Request-ID must be 1 to 64 letters, digits, dots, underscores or hyphens",
    {"field": "X-Request-ID"},
)


class RequestIds:
    """``req_`` with a mark of this process and a counter: short, and not repeated after a restart."""

    def __init__(self, entropy: Entropy) -> None:
        self._prefix = f"req_{entropy.token(3).hex()}_"
        self._last = 0

    def next(self) -> str:
        """A name no request had before."""
        self._last += 1
        return f"{self._prefix}{self._last}"


def client_request_id(value: bytes) -> str | None:
    """The name a client chose, None when it is not one."""
    return value.decode() if _CLIENTS.fullmatch(value) else None
