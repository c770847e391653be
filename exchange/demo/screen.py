"""What a person sees: where to look, a live line, and what it came to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from exchange.client import WebSocketTransport
from exchange.demo.meter import Figures, Meter
from exchange.demo.troupe import Troupe

REFRESH_S: Final = 0.5
"""Of the live display of a terminal."""
LINE_S: Final = 2.0
"""Between two lines where there is no terminal."""
_RATE_WINDOW_S: Final = 5.0
_SAMPLES: Final = 64


class Screen:
    """Draws on ``console``; ``now_s`` is monotonic."""

    def __init__(self, console: Console, meter: Meter, now_s: Callable[[], float]) -> None:
        self.interval_s = REFRESH_S if console.is_terminal else LINE_S
        self._console = console
        self.meter = meter
        self._now_s = now_s
        self._started_s = now_s()
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._live: Live | None = None

    def announce(self, url: str, troupe: Troupe) -> None:
        """Where to look, before anything moves; the time counts from here."""
        self._started_s = self._now_s()
        self._samples.append((self._started_s, 0))
        roles = len({member.part.role for member in troupe.members})
        self._print(f"A market with {len(troupe.members)} bots in {roles} roles, on {url}")
        self._print(f"  every route   {url}/docs")
        self._print(f"  a book        curl -s {url}/exchange/orderbook/SPX")
        self._print(f"  the rules     curl -s {url}/game/rules")
        self._print("Ctrl-C stops it.")

    @contextmanager
    def running(self) -> Iterator[None]:
        """While bots trade; on a terminal what is shown last stays."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield
        self._live = None

    def refresh(self, troupe: Troupe) -> None:
        """Show what the figures are now."""
        line = self._line(self.meter.figures())
        if self._live is None:
            self._print(line)
        else:
            self._live.update(Group(Text(line, no_wrap=True), _table(troupe)), refresh=True)

    def summary(self, left: int | None, data: str) -> None:
        """The last line. ``left`` orders are still open, None when nobody could ask."""
        figures, seconds = self.meter.figures(), self._now_s() - self._started_s
        rate = figures.orders / seconds if seconds else 0.0
        orders = "nobody knows which orders are open" if left is None else f"{left} orders left open"
        self._print(
            f"demo: {seconds:.1f} s, {figures.orders:,} orders ({rate:,.0f}/s), {figures.trades:,} trades,"
            f" p50 {figures.p50_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms; {orders}; {data}"
        )

    def _line(self, figures: Figures) -> str:
        now_s = self._now_s()
        self._samples.append((now_s, figures.orders))
        while len(self._samples) > 2 and now_s - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        since_s, orders = self._samples[0]
        rate = (figures.orders - orders) / (now_s - since_s) if now_s > since_s else 0.0
        return (
            f"{now_s - self._started_s:5.0f} s  {rate:5.0f} orders/s  {figures.trades:7,} trades"
            f"  p50 {figures.p50_ms:.1f} ms  p99 {figures.p99_ms:.1f} ms  {figures.refused} refused"
        )

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(troupe: Troupe) -> RenderableType:
    table = Table("bot", "does", "role", "orders by")
    for column in ("orders", "fills", "lots held", "equity"):
        table.add_column(column, justify="right")
    for member in troupe.members:
        part, client = member.part, member.client
        table.add_row(
            part.name,
            type(member.bot).__name__,
            part.role,
            "WebSocket" if part.transport is WebSocketTransport else "HTTP",
            f"{client.sent:,}",
            f"{client.filled:,}",
            f"{member.lots_held:,}",
            f"{member.equity(troupe.instruments):,.2f}",
        )
    return table
