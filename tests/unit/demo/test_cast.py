from exchange.client import HttpTransport, WebSocketTransport
from exchange.demo.cast import CAST, everything, options, underlyings
from exchange.model.instrument import Instrument
from exchange.model.presets import preset_rules
from exchange.model.types import InstrumentKind
from exchange.wire.data import InstrumentView


def _view(instrument: Instrument) -> InstrumentView:
    return InstrumentView(
        instrument_id=instrument.instrument_id,
        kind=instrument.kind,
        tick_size=0.01,
        multiplier=1,
        reference_price=1.0,
    )


SMALL = [_view(each) for each in preset_rules("small").instruments]


def test_cast_has_nine_bots_in_three_open_roles() -> None:
    """Names differ, each role is one of the game's, and three bots play each."""
    assert len({part.name for part in CAST}) == 9
    roles = [part.role for part in CAST]
    assert {role: roles.count(role) for role in roles} == {"market_maker": 3, "hedge_fund": 3, "arbitrage": 3}
    assert set(roles) <= {role.name for role in preset_rules("small").roles if role.open}


def test_cast_trades_over_both_transports_in_every_role() -> None:
    """No role is tied to HTTP or to WebSocket."""
    for role in {part.role for part in CAST}:
        transports = {part.transport for part in CAST if part.role == role}
        assert transports == {HttpTransport, WebSocketTransport}


def test_cast_divides_the_instruments() -> None:
    """Underlyings and options are everything, and somebody makes a market in each."""
    assert set(underlyings(SMALL)) == {"SPX", "SPY"}
    assert {each.kind for each in SMALL if each.instrument_id in options(SMALL)} == {InstrumentKind.OPTION}
    assert sorted(underlyings(SMALL) + options(SMALL)) == sorted(everything(SMALL))
    assert any(part.role == "market_maker" and part.instruments is everything for part in CAST)
