"""The constraints of a role, compiled once into an ordered row of small checks."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchange.model.instrument import Instrument
from exchange.model.roles import (
    AnyConstraint,
    InstrumentAllowed,
    NoTwoSided,
    OrderRate,
    OrderSize,
    OrderTypeAllowed,
    PortfolioLimit,
    PositionLimit,
    PriceRange,
    Role,
    TradingWindow,
)
from exchange.services.validation import limits, terms
from exchange.services.validation.ports import Holdings
from exchange.services.validation.proposal import Check
from exchange.services.validation.rate import RateWindow


class RoleChecks(msgspec.Struct, frozen=True):
    """The checks of one role in the order of its config; those of ``dry`` remember nothing."""

    live: tuple[Check, ...]
    dry: tuple[Check, ...]


def compile_role(role: Role, instruments: Mapping[str, Instrument], holdings: Holdings) -> RoleChecks:
    """Raises ValueError, naming the role, for a row that makes no sense with these instruments."""
    live: list[Check] = []
    dry: list[Check] = []
    for row in role.constraints:
        try:
            counting, peeking = _compile(row, instruments, holdings)
        except ValueError as error:
            raise ValueError(f"role {role.name}: {error}") from error
        live.append(counting)
        dry.append(peeking)
    return RoleChecks(tuple(live), tuple(dry))


def _compile(
    row: AnyConstraint, instruments: Mapping[str, Instrument], holdings: Holdings
) -> tuple[Check, Check]:
    check: Check
    match row:
        case OrderRate():
            window = RateWindow(row)
            return window.count, window.peek
        case PositionLimit():
            check = limits.Position(row, instruments, holdings).check
        case PortfolioLimit(count_open_orders=False):
            check = limits.Portfolio(row, holdings).check
        case PortfolioLimit():
            check = limits.HardPortfolio(row, holdings).check
        case NoTwoSided():
            check = limits.OneSided(row, holdings).check
        case OrderSize():
            check = terms.Size(row).check
        case OrderTypeAllowed():
            check = terms.Type(row).check
        case InstrumentAllowed():
            check = terms.Tradable(row, instruments).check
        case PriceRange():
            check = terms.Price(row, instruments).check
        case TradingWindow():
            check = terms.Window(row).check
    return check, check
