"""Named sets of rules an organiser can start with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exchange.model.defaults import default_instruments, default_roles
from exchange.model.instrument import Instrument
from exchange.model.roles import Role
from exchange.model.rules import Bands, GameRules
from exchange.model.types import InstrumentKind, SelfTradePrevention

FLOW_INSTRUMENT: Final = "FLOW"


def _always_open() -> GameRules:
    return GameRules(preset="always_open", instruments=default_instruments(), roles=default_roles())


def _small() -> GameRules:
    return GameRules(preset="small", instruments=default_instruments(small=True), roles=default_roles())


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
    "flow": _flow,
}


def preset_rules(name: str) -> GameRules:
    """The rules of preset ``name``; raises KeyError."""
    return PRESETS[name]()
