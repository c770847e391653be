"""The rules of the game, for whoever writes a bot: fees, constraints, bands."""

from __future__ import annotations

from typing import Final

import msgspec

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.model.roles import AnyConstraint, Constraint, QuoteRules, Role
from exchange.model.rules import Bands
from exchange.services.validation.replies import DEFAULTS
from exchange.wire import data
from exchange.wire.prices import money_decimal
from exchange.wire.queries import NoQuery

_NO_PARAMETERS: Final = frozenset((*Constraint.__struct_fields__, "type"))
_PARTS_PER_MILLION: Final = 1_000_000


async def get_game_rules(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """What every order is judged by, and what it costs."""
    rules = context.rules
    return Answered(
        data.GameRulesView(
            preset=rules.preset,
            self_trade_prevention=rules.self_trade_prevention,
            roles=[_role(role) for role in rules.roles],
            max_teams=rules.max_teams,
            invite_code_needed=context.settings.invite_code is not None,
            bands=_bands(rules.bands) if rules.bands.enabled else None,
            closing_cancels=None if rules.schedule is None else rules.closing.cancels,
        )
    )


def _role(role: Role) -> data.RoleView:
    fees = role.fees
    return data.RoleView(
        role=role.name,
        open=role.open,
        fees=data.FeesView(
            maker=money_decimal(fees.maker),
            taker=money_decimal(fees.taker),
            auction=money_decimal(fees.auction),
        ),
        constraints=[_constraint(row) for row in role.constraints],
        aliases=list(role.aliases),
        quotes=None if role.quotes is None else _quotes(role.quotes),
    )


def _quotes(rules: QuoteRules) -> data.QuoteRulesView:
    ppm = rules.max_spread_ppm
    return data.QuoteRulesView(
        min_quantity=rules.min_quantity,
        max_spread=None if ppm is None else ppm / _PARTS_PER_MILLION,
        max_spread_ticks=rules.max_spread_ticks,
    )


def _constraint(row: AnyConstraint) -> data.ConstraintView:
    fields = msgspec.to_builtins(row)
    return data.ConstraintView(
        type=fields["type"],
        parameters={
            name: value for name, value in fields.items() if name not in _NO_PARAMETERS and value is not None
        },
        error_code=row.error_code or DEFAULTS[type(row)].code,
    )


def _bands(bands: Bands) -> data.BandsView:
    return data.BandsView(
        underlying=bands.underlying_ppm / _PARTS_PER_MILLION,
        option=bands.option_ppm / _PARTS_PER_MILLION,
        option_underlying=bands.option_underlying_ppm / _PARTS_PER_MILLION,
        option_min_ticks=bands.option_min_ticks,
    )


ROUTES: Final = (
    Operation(
        operation_id="get_game_rules",
        method="GET",
        path="/game/rules",
        topic=Topic.GAME,
        access=Access.PUBLIC,
        handler=get_game_rules,
        summary="The rules: fees and constraints of each role, price bands, self-trade prevention",
        description="They are the same for the whole game.",
        data=data.GameRulesView,
    ),
)
