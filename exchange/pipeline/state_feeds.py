"""Channels that tell where one instrument stands: its ticker, its phase, its candles."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from exchange.engine.tape import Candle
from exchange.model.types import Interval
from exchange.pipeline.market_view import MarketView
from exchange.pipeline.streams import ConflatedFeed, StateFeed
from exchange.wire.events import AnyEvent, CandleUpdate, InstrumentStatus, Ticker
from exchange.wire.prices import PriceGrid
from exchange.wire.times import time_text


class TickerFeed(StateFeed):
    """``ticker.{instrument}``: best prices, last trade and session."""

    def __init__(self, market: MarketView, now_us: int) -> None:
        super().__init__(f"ticker.{market.instrument_id}", now_us)
        self._market = market

    def figures(self) -> object:
        session = self._market.tape.session
        # The session's trades tell of the last one too.
        return self._market.best, None if session is None else (session.start_us, session.trades)

    def state(self, seq: int, timestamp_us: int, prev_seq: int | None = None) -> AnyEvent:
        market, tape, decimal = self._market, self._market.tape, self._market.grid.decimal
        (bid, ask), session = market.best, tape.session
        return Ticker(
            seq=seq,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            volume=0 if session is None else session.volume,
            trades=0 if session is None else session.trades,
            mark_price=self._mark_price(),
            best_bid=None if bid is None else decimal(bid[0]),
            best_bid_quantity=None if bid is None else bid[1],
            best_ask=None if ask is None else decimal(ask[0]),
            best_ask_quantity=None if ask is None else ask[1],
            last_price=None if tape.last_ticks is None else decimal(tape.last_ticks),
            last_quantity=None if tape.last_ticks is None else tape.last_quantity,
            open=None if session is None else decimal(session.open_ticks),
            high=None if session is None else decimal(session.high_ticks),
            low=None if session is None else decimal(session.low_ticks),
            prev_seq=prev_seq,
        )

    def _mark_price(self) -> float:
        bid, ask = self._market.best
        grid = self._market.grid
        if bid is None or ask is None:
            return grid.decimal(self._market.reference_ticks)
        return grid.mean_decimal(bid[0] + ask[0], 2)


class StatusFeed(StateFeed):
    """``status.{instrument}``: its phase, and in a call what an uncross would come to."""

    def __init__(self, market: MarketView, now_us: int) -> None:
        super().__init__(f"status.{market.instrument_id}", now_us)
        self._market = market

    def figures(self) -> object:
        return self._market.phase, self._market.reason, self._market.indicative()

    def state(self, seq: int, timestamp_us: int, prev_seq: int | None = None) -> AnyEvent:
        market, found = self._market, self._market.indicative()
        nothing = 0 if market.is_call else None
        return InstrumentStatus(
            seq=seq,
            timestamp=time_text(timestamp_us),
            channel=self.name,
            phase=market.phase,
            reason=market.reason,
            indicative_price=None if found is None else market.grid.decimal(found.price_ticks),
            indicative_volume=nothing if found is None else found.quantity,
            imbalance=nothing if found is None else found.surplus,
            prev_seq=prev_seq,
        )


class CandlesFeed(ConflatedFeed):
    """``candles.{instrument}.{interval}``: the candle that grows, each time a turn of the loop had trades."""

    def __init__(self, market: MarketView, interval: Interval, now_us: int) -> None:
        super().__init__(f"candles.{market.instrument_id}.{interval.value}")
        self._grid: PriceGrid = market.grid
        self._series = market.tape.series[interval]
        self._timestamp_us = now_us
        self._told = self._newest()

    def light(self) -> None:
        if not self.is_kept:
            self._told = self._newest()
        super().light()

    def news(self, timestamp_us: int) -> list[AnyEvent]:
        told_start_us, told_trades = self._told
        newest = self._newest()
        if newest == self._told:
            return []
        self._told = newest
        self._timestamp_us = timestamp_us
        messages: list[AnyEvent] = []
        for candle in self._series.between(told_start_us):
            if candle.start_us == told_start_us and candle.trades == told_trades:
                continue
            message = self._message(candle, self.last_seq + 1)
            self.keep(message)
            messages.append(message)
        return messages

    def begin(self) -> tuple[Iterator[AnyEvent], int]:
        last = self._series.last
        return iter(() if last is None else (self._message(last, self.last_seq),)), self.last_seq

    def outcome(self, seq: int) -> list[AnyEvent] | None:
        """The last word on each candle still kept here; ``GET /exchange/candles`` has the others."""
        known = max(seq, self.oldest_resume)
        missed = [each for each in self.after(known, self.last_seq - known) if isinstance(each, CandleUpdate)]
        by_start = {each.start: each for each in missed}
        told: list[AnyEvent] = []
        for each in by_start.values():
            told.append(_after(each, seq))
            seq = each.seq
        return told

    def _newest(self) -> tuple[int, int]:
        last = self._series.last
        return (0, 0) if last is None else (last.start_us, last.trades)

    def _message(self, candle: Candle, seq: int) -> CandleUpdate:
        decimal = self._grid.decimal
        return CandleUpdate(
            seq=seq,
            timestamp=time_text(self._timestamp_us),
            channel=self.name,
            start=time_text(candle.start_us),
            open=decimal(candle.open_ticks),
            high=decimal(candle.high_ticks),
            low=decimal(candle.low_ticks),
            close=decimal(candle.close_ticks),
            volume=candle.volume,
            trades=candle.trades,
        )


def _after(message: CandleUpdate, prev_seq: int) -> CandleUpdate:
    return message if message.seq == prev_seq + 1 else replace(message, prev_seq=prev_seq)
