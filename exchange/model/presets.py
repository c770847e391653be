"""Named sets of rules an organiser can start with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from exchange.model.defaults import default_instruments, default_roles
from exchange.model.instrument import Instrument
from exchange.model.roles import Role
from exchange.model.rules import Bands, GameRules
from exchange.model.schedule import WEEK, DayPhase, Schedule, Weekday
from exchange.model.types import InstrumentKind, Phase, SelfTradePrevention

FLOW_INSTRUMENT: Final = "FLOW"
_P = Phase


def _always_open() -> GameRules:
    return GameRules(preset="always_open", instruments=default_instruments(), roles=default_roles())


def _small() -> GameRules:
    return GameRules(preset="small", instruments=default_instruments(small=True), roles=default_roles())


def _office_hours(preset: str, weekdays: tuple[Weekday, ...], close: str) -> GameRules:
    day = (
        ("08:00", _P.PRE_OPEN),
        ("09:29:30", _P.OPENING_AUCTION),
        ("09:30", _P.CONTINUOUS),
        (close, _P.CLOSED),
    )
    schedule = Schedule(day=_day(day), time_zone="America/Chicago", weekdays=weekdays)
    return replace(_always_open(), preset=preset, schedule=schedule)


def _competition() -> GameRules:
    return _office_hours("competition", (Weekday.TUESDAY, Weekday.THURSDAY), "15:00")


def _weekday() -> GameRules:
    return _office_hours("weekday", WEEK[:5], "16:00")


def _sprint() -> GameRules:
    day = (
        ("00:00:00", _P.PRE_OPEN),
        ("00:00:55", _P.OPENING_AUCTION),
        ("00:01:00", _P.CONTINUOUS),
        ("00:09:00", _P.PRE_CLOSE),
        ("00:09:25", _P.CLOSING_AUCTION),
        ("00:09:30", _P.CLOSED),
    )
    return replace(_small(), preset="sprint", schedule=Schedule(day=_day(day), repeat_s=600))


def _day(rows: Iterable[tuple[str, Phase]]) -> tuple[DayPhase, ...]:
    return tuple(DayPhase(at=at, phase=phase) for at, phase in rows)


def _flow() -> GameRules:
    instrument = Instrument(
        instrument_id=FLOW_INSTRUMENT,
        kind=InstrumentKind.INDEX,
        tick_size="0.005",
        multiplier=1,
        first_price_ticks=33_504,
    )
    return GameRules(
        preset="flow",
        instruments=(instrument,),
        roles=(Role(name="player"),),
        bands=Bands(enabled=False),
        self_trade_prevention=SelfTradePrevention.NONE,
    )


PRESETS: Final[dict[str, Callable[[], GameRules]]] = {
    "always_open": _always_open,
    "small": _small,
    "competition": _competition,
    "weekday": _weekday,
    "sprint": _sprint,
    "flow": _flow,
}


def preset_rules(name: str) -> GameRules:
    """The rules of preset ``name``; raises KeyError."""
    return PRESETS[name]()
