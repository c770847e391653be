from typing import Any

import pytest

from exchange.flow.recording import Action, Message, Recording
from exchange.flow.terms import Terms, broken_rules
from exchange.model.rules import ClosingCancels
from exchange.model.types import InstrumentKind, Phase, SelfTradePrevention
from exchange.wire import data

TIME = "2024-01-15T10:00:00.000000Z"
RECORDING = Recording(
    (
        Message(seq=0, action=Action.NEW, order_id=1, price_ticks=33_000, quantity=10),
        Message(seq=1, action=Action.NEW, order_id=2, price_ticks=34_000, quantity=90),
        Message(seq=2, action=Action.CANCEL, order_id=1),
    )
)
"""Prices of 165 to 170, 100 lots in all."""


def _instrument(**changes: Any) -> data.InstrumentView:
    fields: dict[str, Any] = {
        "instrument_id": "FLOW",
        "kind": InstrumentKind.INDEX,
        "tick_size": 0.005,
        "multiplier": 1,
        "reference_price": 167.52,
    }
    return data.InstrumentView(**fields | changes)


def _role(*constraints: tuple[str, dict[str, Any]]) -> data.RoleView:
    return data.RoleView(
        role="player",
        open=True,
        fees=data.FeesView(maker=0, taker=0, auction=0),
        constraints=[
            data.ConstraintView(type=kind, parameters=given, error_code="NO") for kind, given in constraints
        ],
    )


def _terms(
    *,
    phase: Phase = Phase.CONTINUOUS,
    failed: bool = False,
    prevention: SelfTradePrevention = SelfTradePrevention.NONE,
    role: data.RoleView | None = None,
    instrument: data.InstrumentView | None = None,
    bids: list[tuple[float, int]] | None = None,
    closing: ClosingCancels | None = None,
) -> Terms:
    role = role or _role()
    return Terms(
        status=data.GameStatus(
            preset="flow",
            phase=phase,
            teams=0,
            instruments=1,
            sequence=1,
            timestamp=TIME,
            api_version="1",
            halted_by_failure=failed,
        ),
        rules=data.GameRulesView(
            preset="flow",
            self_trade_prevention=prevention,
            roles=[role],
            max_teams=9,
            invite_code_needed=False,
            closing_cancels=closing,
        ),
        role=role,
        instrument=instrument or _instrument(),
        book=data.Orderbook(instrument_id="FLOW", bids=bids or [], asks=[], timestamp=TIME),
    )


def test_terms_of_the_flow_preset_break_no_rule() -> None:
    """What flows are recorded for reproduces them."""
    assert broken_rules(_terms(), RECORDING) == []


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        (_terms(phase=Phase.HALTED), "market phase: the market is halted"),
        (_terms(failed=True), "market phase: the market is halted by a failure"),
        (_terms(instrument=_instrument(tick_size=0.01)), "tick grid: FLOW has ticks of 0.01"),
        (
            _terms(instrument=_instrument(low_band=166.0, high_band=180.0)),
            "price bands: FLOW takes 166.0 to 180.0",
        ),
        (
            _terms(instrument=_instrument(low_band=160.0, high_band=169.9)),
            "price bands: FLOW takes 160.0 to 169.9",
        ),
        (_terms(prevention=SelfTradePrevention.CANCEL_TAKER), "self-trade prevention: it is cancel_taker"),
        (_terms(bids=[(1.0, 1)]), "empty book: orders are at rest in FLOW"),
        (_terms(closing=ClosingCancels.ALL), "close of the market: it cancels every order"),
    ],
)
def test_terms_name_the_rule_that_is_broken(terms: Terms, rule: str) -> None:
    """One rule is broken, and that one is named."""
    (found,) = broken_rules(terms, RECORDING)
    assert found.startswith(rule)


def test_terms_allow_bands_that_hold_every_price() -> None:
    """A band is no obstacle while it is not reached."""
    assert broken_rules(_terms(instrument=_instrument(low_band=165.0, high_band=170.0)), RECORDING) == []


HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("position_limit", {"max_position": 100, "symmetric": True}),
    ("position_limit", {"max_position": 1, "kinds": ["option"]}),
    ("position_limit", {"max_position": 1, "instruments": ["SPX"]}),
    ("portfolio_limit", {"max_total_position": 100}),
    ("order_size", {"min_size": 10, "max_size": 90}),
    ("order_rate", {"max_orders_per_second": 3}),
    ("order_type_allowed", {"allowed_types": ["limit"]}),
    ("instrument_allowed", {"allowed_instruments": ["FLOW"]}),
    ("price_range", {"min_price": 165.0, "max_price": 170.0}),
    ("trading_window", {"allowed_phases": ["continuous"]}),
]

HARMFUL: list[tuple[str, dict[str, Any]]] = [
    ("position_limit", {"max_position": 99, "symmetric": True}),
    ("position_limit", {"max_position": 99, "kinds": ["index"]}),
    ("portfolio_limit", {"max_total_position": 99}),
    ("order_size", {"min_size": 11, "max_size": 90}),
    ("order_size", {"min_size": 1, "max_size": 89}),
    ("order_rate", {"max_orders_per_second": 2}),
    ("order_type_allowed", {"allowed_types": ["market"]}),
    ("instrument_allowed", {"allowed_instruments": ["SPX"]}),
    ("price_range", {"min_price": 165.5, "max_price": 170.0}),
    ("price_range", {"min_price": 165.0, "max_price": 169.5}),
    ("trading_window", {"allowed_phases": ["halted"]}),
    ("no_two_sided", {}),
    ("one_of_tomorrow", {}),
]


@pytest.mark.parametrize(("kind", "given"), HARMLESS)
def test_terms_allow_a_constraint_that_refuses_nothing(kind: str, given: dict[str, Any]) -> None:
    """A limit that the whole flow stays within changes no report."""
    assert broken_rules(_terms(role=_role((kind, given))), RECORDING) == []


@pytest.mark.parametrize(("kind", "given"), HARMFUL)
def test_terms_name_a_constraint_that_may_refuse(kind: str, given: dict[str, Any]) -> None:
    """A limit that the flow can reach, and one that is not known."""
    (found,) = broken_rules(_terms(role=_role((kind, given))), RECORDING)
    assert found.startswith(f"role constraint: player has {kind}")
