"""What the trades of one instrument come to: the last price, figures of the session, candles.

Times are those of the commands that made the trades, so that a replay makes the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from exchange.base.bounds import CANDLES_KEPT
from exchange.model.commands import Record
from exchange.model.events import AnyVenueEvent, PhaseChanged, Traded
from exchange.model.types import Interval, Phase

_SECOND_US: Final = 1_000_000
SPANS_US: Final[Mapping[Interval, int]] = {
    Interval.SECOND: _SECOND_US,
    Interval.MINUTE: 60 * _SECOND_US,
    Interval.FIVE_MINUTES: 300 * _SECOND_US,
    Interval.QUARTER_HOUR: 900 * _SECOND_US,
    Interval.HOUR: 3_600 * _SECOND_US,
    Interval.DAY: 86_400 * _SECOND_US,
}
"""Length of each interval in microseconds. Candles start at multiples of it since 1970, UTC."""
_DAY_US: Final = SPANS_US[Interval.DAY]


class Candle(msgspec.Struct, array_like=True, gc=False):
    """Trades from ``start_us`` on, for one interval. Prices in ticks; ``volume`` in lots."""

    start_us: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume: int
    trades: int

    def add(self, price_ticks: int, quantity: int) -> None:
        """One more trade."""
        if price_ticks > self.high_ticks:
            self.high_ticks = price_ticks
        elif price_ticks < self.low_ticks:
            self.low_ticks = price_ticks
        self.close_ticks = price_ticks
        self.volume += quantity
        self.trades += 1


class CandleSeries:
    """The last ``CANDLES_KEPT`` candles of one interval that have a trade; the last is still growing."""

    __slots__ = ("_candles", "_span_us", "gone_us")

    def __init__(self, span_us: int, kept: int = CANDLES_KEPT) -> None:
        self._span_us = span_us
        self.gone_us: int | None = None
        """Start of the newest candle that is no longer kept."""
        self._candles: deque[Candle] = deque(maxlen=kept)

    def add(self, price_ticks: int, quantity: int, timestamp_us: int) -> None:
        """Count a trade; times never go back."""
        start_us = timestamp_us - timestamp_us % self._span_us
        candles = self._candles
        if candles and candles[-1].start_us >= start_us:
            candles[-1].add(price_ticks, quantity)
        else:
            if len(candles) == candles.maxlen:
                self.gone_us = candles[0].start_us
            candles.append(Candle(start_us, price_ticks, price_ticks, price_ticks, price_ticks, quantity, 1))

    def between(self, first_us: int, end_us: int | None = None) -> list[Candle]:
        """Those that start at ``first_us`` or later and, with ``end_us``, before it; oldest first."""
        found: list[Candle] = []
        for candle in reversed(self._candles):
            if candle.start_us < first_us:
                break
            if end_us is None or candle.start_us < end_us:
                found.append(candle)
        found.reverse()
        return found

    def snapshot(self) -> SeriesSnapshot:
        """Everything, to be encoded before the next trade: it is not a copy."""
        return SeriesSnapshot(list(self._candles), self.gone_us)

    def load(self, snapshot: SeriesSnapshot) -> None:
        """Take over a snapshot, as an empty series."""
        self._candles.extend(snapshot.candles)
        self.gone_us = snapshot.gone_us

    @property
    def last(self) -> Candle | None:
        """The one that grows."""
        return self._candles[-1] if self._candles else None


class SeriesSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The candles of one interval."""

    candles: list[Candle]
    gone_us: int | None


class TapeSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The whole tape of one instrument; its series in the order of the intervals."""

    last_ticks: int | None
    last_quantity: int
    session: Candle | None
    series: list[SeriesSnapshot]


class TapesSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """All tapes, by instrument."""

    tapes: dict[str, TapeSnapshot]
    is_closed: bool


class Tape:
    """The trades of one instrument. A session lasts until :meth:`begin_session`; with ``daily`` also until
    midnight UTC. ``session`` is None before its first trade.
    """

    __slots__ = ("_daily", "last_quantity", "last_ticks", "series", "session")

    def __init__(self, *, daily: bool) -> None:
        self._daily = daily
        self.last_ticks: int | None = None
        self.last_quantity = 0
        self.session: Candle | None = None
        self.series = {interval: CandleSeries(span_us) for interval, span_us in SPANS_US.items()}

    def traded(self, price_ticks: int, quantity: int, timestamp_us: int) -> None:
        """Count one trade."""
        self.last_ticks, self.last_quantity = price_ticks, quantity
        for series in self.series.values():
            series.add(price_ticks, quantity, timestamp_us)
        session = self.session
        if session is None or (self._daily and timestamp_us // _DAY_US > session.start_us // _DAY_US):
            self.session = Candle(
                timestamp_us, price_ticks, price_ticks, price_ticks, price_ticks, quantity, 1
            )
        else:
            session.add(price_ticks, quantity)

    def snapshot(self) -> TapeSnapshot:
        """Everything, to be encoded before the next trade: it is not a copy."""
        series = [each.snapshot() for each in self.series.values()]
        return TapeSnapshot(self.last_ticks, self.last_quantity, self.session, series)

    def load(self, snapshot: TapeSnapshot) -> None:
        """Take over a snapshot, as an empty tape."""
        self.last_ticks, self.last_quantity = snapshot.last_ticks, snapshot.last_quantity
        self.session = snapshot.session
        for series, saved in zip(self.series.values(), snapshot.series, strict=True):
            series.load(saved)

    def begin_session(self) -> None:
        """The market opens: what was before counts no more."""
        self.session = None


class Tapes:
    """Those of all instruments. A session begins when the market leaves ``closed``; in a market that has no
    hours, ``daily``, at midnight UTC too.
    """

    def __init__(self, instruments: Iterable[str], *, daily: bool) -> None:
        self._by_instrument = {each: Tape(daily=daily) for each in instruments}
        self._is_closed = False

    def of(self, instrument_id: str) -> Tape:
        """The tape of one instrument."""
        return self._by_instrument[instrument_id]

    def take(self, record: Record, events: Iterable[AnyVenueEvent]) -> None:
        """Note what one command did."""
        for event in events:
            if isinstance(event, Traded):
                tape = self._by_instrument[event.instrument_id]
                tape.traded(event.price_ticks, event.quantity, record.timestamp_us)
            elif isinstance(event, PhaseChanged) and event.instrument_id is None:
                self.enter(event.phase)

    def snapshot(self) -> TapesSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return TapesSnapshot(
            {name: tape.snapshot() for name, tape in self._by_instrument.items()}, self._is_closed
        )

    def load(self, snapshot: TapesSnapshot) -> None:
        """Take over a snapshot, as empty tapes of the same instruments."""
        self._is_closed = snapshot.is_closed
        for name, tape in self._by_instrument.items():
            tape.load(snapshot.tapes[name])

    def enter(self, phase: Phase) -> None:
        """The whole market is in ``phase`` from now on."""
        was_closed, self._is_closed = self._is_closed, phase is Phase.CLOSED
        if was_closed and not self._is_closed:
            for tape in self._by_instrument.values():
                tape.begin_session()
