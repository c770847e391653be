"""What one client may take of the server's connections, and what became of them."""

from __future__ import annotations

import msgspec

from exchange.base import bounds


class ProtocolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection, in seconds and bytes. Idle keep-alive is uvicorn's own setting."""

    max_header_bytes: int = bounds.MAX_HEADER_BYTES
    max_headers: int = bounds.MAX_HEADERS
    max_target_bytes: int = bounds.MAX_TARGET_BYTES
    max_body_bytes: int = bounds.MAX_BODY_BYTES
    max_message_bytes: int = bounds.MAX_MESSAGE_BYTES
    max_fragments: int = bounds.MAX_MESSAGE_FRAGMENTS
    max_in_flight: int = bounds.MAX_IN_FLIGHT_PER_CONNECTION
    max_buffered_bytes: int = bounds.CONNECTION_BUFFER_BYTES
    max_discarded_bytes: int = bounds.MAX_DISCARDED_BYTES
    head_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    write_timeout_s: float = 10.0
    """How long a client may leave its answer unread once buffers are full; then the connection is reset."""
    close_timeout_s: float = 2.0
    """How long a client may take to close after the server did; then the connection is reset."""


class ProtocolStatistics(msgspec.Struct, frozen=True):
    """A reading of :class:`ConnectionCounter`. ``refusals`` is by code; ``WS_1009`` is a close code."""

    connections_open: int
    refused_open: int
    addresses: int
    client_gone: int
    refusals: dict[str, int]


class ConnectionCounter:
    """Open connections by client address, over HTTP and WebSocket together, and counts for the metrics."""

    def __init__(
        self,
        max_per_address: int = bounds.MAX_CONNECTIONS_PER_ADDRESS,
        max_total: int = bounds.MAX_CONNECTIONS,
        max_refused: int = bounds.MAX_REFUSED_CONNECTIONS,
    ) -> None:
        self._max_per_address = max_per_address
        self._max_total = max_total
        self._max_refused = max_refused
        self._by_address: dict[str, int] = {}
        self._open = 0
        self._refused_open = 0
        self._refusals: dict[str, int] = {}
        self._client_gone = 0

    def admit(self, address: str | None) -> bool:
        """Take a place for ``address``; None (a Unix socket) counts only towards the total."""
        if self._open >= self._max_total:
            return False
        if address is not None:
            taken = self._by_address.get(address, 0)
            if taken >= self._max_per_address:
                return False
            self._by_address[address] = taken + 1
        self._open += 1
        return True

    def release(self, address: str | None) -> None:
        """Give back a place that :meth:`admit` granted."""
        self._open -= 1
        if address is None:
            return
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    def admit_refused(self) -> bool:
        """Take one of the few places in which a connection without a place hears why."""
        if self._refused_open >= self._max_refused:
            return False
        self._refused_open += 1
        return True

    def release_refused(self) -> None:
        """Give back a place that :meth:`admit_refused` granted."""
        self._refused_open -= 1

    def refused(self, code: str) -> None:
        """Count a refusal; ``code`` comes from a fixed set, never from the client."""
        self._refusals[code] = self._refusals.get(code, 0) + 1

    def client_gone(self) -> None:
        """Count a client that vanished while it was owed something."""
        self._client_gone += 1

    def statistics(self) -> ProtocolStatistics:
        """A consistent reading."""
        return ProtocolStatistics(
            self._open, self._refused_open, len(self._by_address), self._client_gone, dict(self._refusals)
        )
