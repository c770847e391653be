"""Token buckets at the edge: how fast a team, an address or a socket may ask, whatever it asks for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

from exchange.api.replies import Header
from exchange.base.bounds import RATE_BUCKETS, RATE_HEADERS
from exchange.config import LimitsConfig
from exchange.model.reasons import Category, Code, Refusal

_NS: Final = 1_000_000_000


class _Shown(NamedTuple):
    headers: tuple[Header, ...]
    lines: bytes


class RateLimiter:
    """One bucket per key, kept as the moment at which it is full again (GCRA): no timer refills anything.

    At ``keys`` buckets those that are full are forgotten, and if there are none the oldest.
    """

    __slots__ = (
        "_burst",
        "_burst_ns",
        "_full_at",
        "_interval_ns",
        "_keys",
        "_limit",
        "_message",
        "_shown",
        "per_second",
    )

    def __init__(self, per_second: float, burst: int, what: str, keys: int = RATE_BUCKETS) -> None:
        self.per_second = per_second
        self._interval_ns = max(1, round(_NS / per_second))
        self._burst_ns = self._interval_ns * burst
        self._keys = keys
        self._full_at: dict[Hashable, int] = {}
        self._burst = burst
        self._limit: Header = (b"x-ratelimit-limit", b"%d" % burst)
        self._shown: dict[int, _Shown] = {}
        self._message = f"More than {per_second:g} {what} a second"

    def take(self, key: Hashable, now_ns: int) -> int:
        """Take a token: how many are left, or, below zero, minus the nanoseconds until there is one."""
        full_at = self._full_at.get(key)
        if full_at is None:
            self._make_room(now_ns)
            full_at = now_ns
        elif full_at < now_ns:
            full_at = now_ns
        full_at += self._interval_ns
        room = self._burst_ns - full_at + now_ns
        if room < 0:
            return room
        self._full_at[key] = full_at
        return room // self._interval_ns

    @property
    def buckets(self) -> int:
        """Keys that are remembered."""
        return len(self._full_at)

    def headers(self, left: int) -> tuple[Header, ...]:
        """The bucket's size, what is left, and the seconds until it is full again."""
        return self._show(left).headers

    def header_lines(self, left: int) -> bytes:
        """The same as they stand in a response, each with its line end."""
        return self._show(left).lines

    def _show(self, left: int) -> _Shown:
        shown = self._shown.get(left)
        if shown is None:
            if len(self._shown) >= RATE_HEADERS:
                self._shown.clear()
            headers = self._make_headers(left)
            shown = self._shown[left] = _Shown(headers, b"".join(b"%b: %b\r\n" % each for each in headers))
        return shown

    def _make_headers(self, left: int) -> tuple[Header, ...]:
        left = max(left, 0)
        room = left * self._interval_ns
        reset = -(-(self._burst_ns - room) // _NS)
        return (
            self._limit,
            (b"x-ratelimit-remaining", b"%d" % left),
            (b"x-ratelimit-reset", b"%d" % reset),
        )

    def refusal(self, left: int) -> Refusal:
        """For a ``left`` below zero."""
        return Refusal(
            Category.TOO_FAST,
            Code.RATE_LIMITED,
            self._message,
            {"limit_per_second": self.per_second, "limit": self._burst, "remaining": 0},
            -(left // 1_000_000),
        )

    def _make_room(self, now_ns: int) -> None:
        if len(self._full_at) < self._keys:
            return
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now_ns}
        if len(self._full_at) >= self._keys:
            del self._full_at[next(iter(self._full_at))]


class RateLimits:
    """All buckets of one server; ``for_socket`` makes those of one socket."""

    def __init__(self, config: LimitsConfig) -> None:
        self._config = config
        self.orders = RateLimiter(config.team_orders_per_second, config.team_orders_burst, "orders")
        self.reads = RateLimiter(config.team_reads_per_second, config.team_reads_burst, "requests")
        self.addresses = RateLimiter(config.address_per_second, config.address_burst, "requests")
        self._abuse = self._refusals()

    @property
    def enabled(self) -> bool:
        """Off, nothing is counted and no header is sent."""
        return self._config.enabled

    def goes_on(self, key: Hashable, now_ns: int) -> bool:
        """Note a refusal; whether there have been so many that the connection is closed."""
        return self._abuse.take(key, now_ns) < 0

    def for_socket(self) -> tuple[RateLimiter, RateLimiter]:
        """Messages of one socket, and its refusals: below zero it is closed."""
        config = self._config
        per_second, burst = config.socket_messages_per_second, config.socket_messages_burst
        return RateLimiter(per_second, burst, "messages", 1), self._refusals()

    def _refusals(self) -> RateLimiter:
        refusals = self._config.refusals
        return RateLimiter(refusals / self._config.refusals_window_s, refusals, "refusals")
