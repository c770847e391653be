"""Candles and sessions from trades, by the times of the trades."""

from __future__ import annotations

import msgspec

from exchange.base.bounds import CANDLES_KEPT
from exchange.engine.tape import CandleSeries, Tape, Tapes, TapesSnapshot
from exchange.model.commands import Record, SetPhase
from exchange.model.events import PhaseChanged, Traded
from exchange.model.types import Interval, Phase, Side

SECOND = 1_000_000
DAY = 86_400 * SECOND


def test_tape_candle_is_first_highest_lowest_last() -> None:
    """Of the trades of one interval, which begins at a multiple of its length."""
    tape = Tape(daily=True)
    for price, quantity, at_us in ((100, 1, 61 * SECOND), (105, 2, 62 * SECOND), (98, 3, 119 * SECOND)):
        tape.traded(price, quantity, at_us)
    candle = tape.series[Interval.MINUTE].last
    assert candle is not None
    assert (candle.start_us, candle.volume, candle.trades) == (60 * SECOND, 6, 3)
    assert (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks) == (100, 105, 98, 98)
    tape.traded(101, 1, 120 * SECOND)
    starts = [each.start_us for each in tape.series[Interval.MINUTE].between(0)]
    assert starts == [60 * SECOND, 120 * SECOND]
    assert [each.trades for each in tape.series[Interval.HOUR].between(0)] == [4]


def test_tape_has_every_interval_at_once() -> None:
    """All of them have the same trades."""
    tape = Tape(daily=True)
    for at_us in range(0, 2 * DAY, DAY // 8):
        tape.traded(100, 1, at_us)
    for series in tape.series.values():
        assert sum(each.volume for each in series.between(0)) == 16


def test_candles_kept_are_bounded() -> None:
    """The oldest goes first, and where it began is known."""
    series = CandleSeries(SECOND, kept=3)
    for second in range(5):
        assert series.gone_us == (None if second < 4 else 0)
        series.add(100, 1, second * SECOND)
    assert [each.start_us // SECOND for each in series.between(0)] == [2, 3, 4]
    assert series.gone_us == SECOND
    assert [each.start_us // SECOND for each in series.between(3 * SECOND, 4 * SECOND)] == [3]


def test_tape_session_of_a_market_without_hours_is_a_day() -> None:
    """It begins anew with the first trade after midnight UTC; in a market with hours it goes on."""
    for daily, volume in ((True, 1), (False, 2)):
        tape = Tape(daily=daily)
        tape.traded(100, 1, DAY - 1)
        tape.traded(101, 1, DAY)
        assert tape.session is not None
        assert tape.session.volume == volume


def _phase(
    sequence: int, phase: Phase, instrument_id: str | None = None
) -> tuple[Record, list[PhaseChanged]]:
    command = SetPhase(phase, "test", instrument_id)
    return Record(sequence, sequence, command), [PhaseChanged(phase, "test", instrument_id)]


def test_tapes_session_begins_when_the_market_opens() -> None:
    """Leaving closed begins one; a halt does not, and neither does one instrument's own phase."""
    tapes = Tapes(("X",), daily=False)
    trade = Traded(1, "X", 100, 1, 1, 2, 1, 2, Side.BUY)
    days = (
        (Phase.PRE_OPEN, 1),
        (Phase.HALTED, 2),
        (Phase.CONTINUOUS, 3),
        (Phase.CLOSED, 4),
        (Phase.PRE_OPEN, 1),
    )
    for sequence, (phase, volume) in enumerate(days, 1):
        tapes.take(*_phase(sequence, phase))
        tapes.take(Record(sequence, sequence, SetPhase(phase, "test")), [trade])
        session = tapes.of("X").session
        assert session is not None
        assert session.volume == volume
    tapes.take(*_phase(9, Phase.HALTED, "X"))
    assert tapes.of("X").session is not None


def test_tapes_that_are_loaded_say_and_go_on_the_same() -> None:
    """Last trade, session, candles and what is gone of them, and that the market is closed."""
    tapes, loaded = (Tapes(["X"], daily=False) for _ in range(2))
    for second in range(CANDLES_KEPT + 2):
        tapes.of("X").traded(100 + second % 7, 1 + second, second * SECOND)
    tapes.enter(Phase.CLOSED)
    encoded = msgspec.json.encode(tapes.snapshot())
    loaded.load(msgspec.json.decode(encoded, type=TapesSnapshot))
    assert loaded.of("X").series[Interval.SECOND].gone_us == SECOND
    for each in (tapes, loaded):
        each.of("X").traded(99, 1, 10_000_000 * SECOND)
        each.enter(Phase.CONTINUOUS)
    assert msgspec.json.encode(loaded.snapshot()) == msgspec.json.encode(tapes.snapshot())
    assert loaded.of("X").session is None
