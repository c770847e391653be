"""The body of every answer, whatever the status."""

from __future__ import annotations

from typing import Any

import msgspec


class ApiError(msgspec.Struct, frozen=True, omit_defaults=True):
    """``code`` is for programs, ``message`` for people."""

    code: str
    message: str
    details: dict[str, Any] | None = None
    retry_after_ms: int | None = None


class ApiResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Absent optionals are omitted. ``request_id`` echoes ``X-Request-ID`` or is the server's own."""

    success: bool
    request_id: str
    timestamp: str
    order_id: str | None = None
    data: Any = None
    error: ApiError | None = None
