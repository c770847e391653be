from dataclasses import replace
from typing import Any

import msgspec
import pytest

from exchange.api.app import build_api
from exchange.model.presets import preset_rules
from exchange.model.roles import Role
from tests.support.api import ask, still_context


async def _rules(**settings: Any) -> dict[str, Any]:
    answer = await ask(build_api(still_context(**settings)), "GET", "/game/rules")
    assert answer is not None
    assert answer.status == 200
    data: dict[str, Any] = answer.envelope["data"]
    return data


async def test_rules_tell_fees_and_constraints_of_every_role() -> None:
    """Fees are decimals, constraints stand in their order with the parameters of the configuration."""
    roles = {role["role"]: role for role in (await _rules())["roles"]}
    assert set(roles) == {role.name for role in preset_rules("small").roles}
    assert roles["hedge_fund"]["fees"] == {"maker": 0.01, "taker": -0.02, "auction": 0.0}
    assert roles["hedge_fund"]["constraints"][0] == {
        "type": "order_rate",
        "parameters": {"max_orders_per_second": 5},
        "error_code": "ORDER_RATE_EXCEEDED",
    }
    assert [row["type"] for row in roles["hedge_fund"]["constraints"]] == [
        "order_rate",
        "order_size",
        "position_limit",
        "position_limit",
        "portfolio_limit",
        "no_two_sided",
    ]
    assert roles["hedge_fund"]["constraints"][2]["parameters"] == {
        "max_position": 150,
        "symmetric": True,
        "kinds": ["option"],
    }
    assert [name for name, role in roles.items() if not role["open"]] == ["retail"]
    assert roles["arbitrage"]["aliases"] == ["arbitrage_desk"]


async def test_rules_tell_bands_and_self_trade_prevention() -> None:
    """Shares are decimals, not parts per million."""
    rules = await _rules()
    assert rules["self_trade_prevention"] == "cancel_taker"
    assert rules["bands"] == {
        "underlying": 0.2,
        "option": 0.2,
        "option_underlying": 0.02,
        "option_min_ticks": 10,
    }


@pytest.mark.parametrize(("code", "needed"), [(None, False), ("open sesame", True)])
async def test_rules_tell_whether_registration_needs_a_code(code: str | None, needed: bool) -> None:
    """That there is a code is no secret, the code is."""
    rules = await _rules(invite_code=code)
    assert rules["invite_code_needed"] is needed
    assert "open sesame" not in str(rules)


async def test_rules_tell_the_code_that_an_organiser_chose() -> None:
    """A constraint that refuses with a code of its own says so beforehand."""
    context = still_context()
    (row, *_), name = context.rules.roles[0].constraints, context.rules.roles[0].name
    role = Role(name=name, constraints=(msgspec.structs.replace(row, error_code="SLOW_DOWN"),))
    rules = msgspec.structs.replace(context.rules, roles=(role,))
    answer = await ask(build_api(replace(context, rules=rules)), "GET", "/game/rules")
    assert answer is not None
    assert answer.envelope["data"]["roles"][0]["constraints"][0]["error_code"] == "SLOW_DOWN"


async def test_rules_without_bands_have_none() -> None:
    """Where any price may be sent, nothing is told about bands."""
    context = replace(still_context(), rules=preset_rules("flow"))
    answer = await ask(build_api(context), "GET", "/game/rules")
    assert answer is not None
    assert "bands" not in answer.envelope["data"]


@pytest.mark.parametrize(("preset", "told"), [("competition", "all"), ("small", None)])
async def test_rules_tell_what_the_close_cancels(preset: str, told: str | None) -> None:
    """Where the market closes by the clock, since it decides how long an order may last."""
    context = replace(still_context(), rules=preset_rules(preset))
    answer = await ask(build_api(context), "GET", "/game/rules")
    assert answer is not None
    assert answer.envelope["data"].get("closing_cancels") == told
