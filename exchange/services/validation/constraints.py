"""The constraints of a role, compiled once into an ordered row of small checks."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchange.base.bounds import MAX_QUANTITY
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
from exchange.model.types import OrderType
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
    try:
        _require_quotable(role)
    except ValueError as error:
        raise ValueError(f"role {role.name}: {error}") from error
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


def _require_quotable(role: Role) -> None:
    """Raises ValueError for rules of quotes, or constraints beside them, that no quote could satisfy."""
    quotes = role.quotes
    if quotes is None:
        return
    if not 1 <= quotes.min_quantity <= MAX_QUANTITY:
        raise ValueError(f"quotes: min_quantity must be 1 to {MAX_QUANTITY}")
    if quotes.max_spread_ppm is not None and quotes.max_spread_ppm < 0:
        raise ValueError("quotes: max_spread_ppm must not be negative")
    if quotes.max_spread_ticks is not None and quotes.max_spread_ticks < 1:
        raise ValueError("quotes: max_spread_ticks must be at least 1")
    for row in role.constraints:
        match row:
            case NoTwoSided():
                raise ValueError("no_two_sided forbids what quotes are")
            case OrderRate(max_orders_per_second=1):
                raise ValueError("order_rate: a quote counts as two orders, so quotes need at least 2")
            case OrderSize() if row.max_size < quotes.min_quantity:
                raise ValueError("quotes: min_quantity is above the max_size of order_size")
            case OrderTypeAllowed() if OrderType.LIMIT not in row.allowed_types:
                raise ValueError("quotes: order_type_allowed must allow limit")
            case _:
                pass


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
