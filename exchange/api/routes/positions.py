"""Positions, profit and loss, and the limits of a team."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.instrument import Instrument
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.roles import AnyConstraint, OrderRate, OrderSize, PortfolioLimit, PositionLimit
from exchange.model.types import Side
from exchange.services.game.teams import Team
from exchange.services.positions.pnl import PositionPnl, account_pnl, mark_half_ticks
from exchange.wire import data
from exchange.wire.ids import team_id_text, team_number
from exchange.wire.prices import PriceGrid, money_decimal
from exchange.wire.queries import NoQuery

_NOT_YOURS: Final = Refusal(
    Category.FORBIDDEN, Code.FORBIDDEN, "Only a team itself and the operator see this"
)


async def get_own_positions(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Positions of the team that asks."""
    return Answered(positions_view(context, call.caller.account))


async def get_positions(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Positions of a team, for itself or the operator."""
    team = _team(context, call)
    return team if isinstance(team, Refusal) else Answered(positions_view(context, team.account))


async def get_limits(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Limits of a team, for itself or the operator."""
    team = _team(context, call)
    if isinstance(team, Refusal):
        return team
    limits = [
        view for constraint in team.role.constraints for view in _limits(context, team.account, constraint)
    ]
    return Answered(data.Limits(team_id=team_id_text(team.account), role=team.role.name, limits=limits))


def _team(context: ApiContext, call: Call[NoQuery, None]) -> Team | Refusal:
    # A team learns nothing about ids that are not its own, not even whether they exist.
    account = team_number(call.path["team_id"])
    caller = call.caller.account
    if caller not in (HOUSE_ACCOUNT, account):
        return _NOT_YOURS
    team = None if account is None else context.teams.by_account(account)
    return team or Refusal(Category.UNKNOWN, Code.UNKNOWN_TEAM, "No such team")


def positions_view(context: ApiContext, account: int) -> data.Positions:
    """Every position of ``account``, valued now."""
    pnl = account_pnl(context.ledger, account, lambda instrument_id: _mark(context, instrument_id))
    return data.Positions(
        team_id=team_id_text(account),
        positions={each: line.position for each, line in pnl.positions.items()},
        details={
            each: _detail(line, context.instruments[each], context.grids[each])
            for each, line in pnl.positions.items()
        },
        cash=money_decimal(pnl.cash),
        fees=money_decimal(pnl.fees),
        realised_pnl=money_decimal(pnl.realised_pnl),
        unrealised_pnl=money_decimal(pnl.unrealised_pnl),
        equity=money_decimal(pnl.equity),
        stale=context.health.is_stale,
    )


def _mark(context: ApiContext, instrument_id: str) -> int:
    best = context.venue.best(instrument_id)
    return mark_half_ticks(best.bid_ticks, best.ask_ticks, context.venue.reference(instrument_id))


def _detail(line: PositionPnl, instrument: Instrument, grid: PriceGrid) -> data.PositionDetail:
    lots = line.position * instrument.multiplier
    return data.PositionDetail(
        position=line.position,
        average_price=money_decimal(line.cost) / lots if lots else None,
        realised_pnl=money_decimal(line.realised_pnl),
        unrealised_pnl=money_decimal(line.unrealised_pnl),
        mark_price=grid.mean_decimal(line.mark_half_ticks, 2),
    )


def _limits(context: ApiContext, account: int, constraint: AnyConstraint) -> Iterator[data.LimitView]:
    match constraint:
        case PositionLimit():
            yield from _position_limits(context, account, constraint)
        case PortfolioLimit():
            exposure = context.exposure
            total = exposure.total_exposure if constraint.count_open_orders else exposure.total_position
            yield data.LimitView(
                type="portfolio_limit", limit=constraint.max_total_position, used=total(account)
            )
        case OrderSize():
            yield data.LimitView(type="order_size", limit=constraint.max_size)
        case OrderRate():
            yield data.LimitView(type="order_rate", limit=constraint.max_orders_per_second)
        case _:  # the other constraints allow or forbid, they have no amount
            pass


def _position_limits(
    context: ApiContext, account: int, constraint: PositionLimit
) -> Iterator[data.LimitView]:
    exposure = context.exposure
    for instrument_id in exposure.open_instruments(account):
        if not _applies(constraint, context.instruments[instrument_id]):
            continue
        position = exposure.position(account, instrument_id)
        used = position + exposure.open_quantity(account, instrument_id, Side.BUY)
        if constraint.symmetric:
            used = max(used, exposure.open_quantity(account, instrument_id, Side.SELL) - position)
        yield data.LimitView(
            type="position_limit", limit=constraint.max_position, used=used, instrument_id=instrument_id
        )


def _applies(constraint: PositionLimit, instrument: Instrument) -> bool:
    instruments, kinds = constraint.instruments, constraint.kinds
    if instruments is None and kinds is None:
        return True
    return instrument.instrument_id in (instruments or ()) or instrument.kind.value in (kinds or ())


ROUTES: Final = (
    Operation(
        operation_id="get_own_positions",
        method="GET",
        path="/positions",
        topic=Topic.POSITIONS,
        access=Access.TEAM,
        handler=get_own_positions,
        summary="Positions of your team",
        description=(
            "`positions` is net lots by instrument, every instrument the team ever traded. Money received is"
            " positive. `equity` is cash plus fees plus the value of what is open: at the middle of the book"
            " or, where that is wider than 10 %, at the reference price."
        ),
        data=data.Positions,
    ),
    Operation(
        operation_id="get_positions",
        method="GET",
        path="/positions/{team_id}",
        topic=Topic.POSITIONS,
        access=Access.KEY,
        handler=get_positions,
        summary="Positions of a team",
        description="A team sees only its own; the operator sees every team's.",
        data=data.Positions,
        codes=(Code.UNKNOWN_TEAM,),
    ),
    Operation(
        operation_id="get_limits",
        method="GET",
        path="/positions/{team_id}/limits",
        topic=Topic.POSITIONS,
        access=Access.KEY,
        handler=get_limits,
        summary="Limits of a team and how much of them is used",
        description=(
            "Position limits appear for instruments in which something is held or open; `used` is the worst"
            " case with every open order of one side filled."
        ),
        data=data.Limits,
        codes=(Code.UNKNOWN_TEAM,),
    ),
)
