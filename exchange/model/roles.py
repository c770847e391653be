"""Roles of the game as data: fees, limits and the constraints each order of a role must pass."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from exchange.model.types import OrderType, Phase


class Fees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money (1/10,000) per lot, signed like all money: a rebate is positive."""

    maker: int = 0
    taker: int = 0
    auction: int = 0


class Constraint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """One row of config. ``error_code`` and ``error_message`` replace the defaults of its type."""

    error_code: str | None = None
    error_message: str | None = None


class PositionLimit(Constraint, frozen=True, kw_only=True, tag="position_limit"):
    """Position plus every open and in-flight order of that side; never exceeded."""

    max_position: int
    symmetric: bool = True
    instruments: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None


class PortfolioLimit(Constraint, frozen=True, kw_only=True, tag="portfolio_limit"):
    """Sum of |position| plus the order itself; with ``count_open_orders`` every open order too."""

    max_total_position: int
    count_open_orders: bool = False


class OrderSize(Constraint, frozen=True, kw_only=True, tag="order_size"):
    """Quantity of one order, in lots."""

    min_size: int = 1
    max_size: int


class OrderRate(Constraint, frozen=True, kw_only=True, tag="order_rate"):
    """Orders and amends within any one second (a sliding window)."""

    max_orders_per_second: int


class OrderTypeAllowed(Constraint, frozen=True, kw_only=True, tag="order_type_allowed"):
    """The order types a role may send."""

    allowed_types: tuple[OrderType, ...]


class InstrumentAllowed(Constraint, frozen=True, kw_only=True, tag="instrument_allowed"):
    """The instruments a role may trade."""

    allowed_instruments: tuple[str, ...]


class PriceRange(Constraint, frozen=True, kw_only=True, tag="price_range"):
    """Limit prices in the currency, both ends allowed."""

    min_price: float
    max_price: float


class TradingWindow(Constraint, frozen=True, kw_only=True, tag="trading_window"):
    """The phases in which a role may send orders and amends."""

    allowed_phases: tuple[Phase, ...]


class NoTwoSided(Constraint, frozen=True, kw_only=True, tag="no_two_sided"):
    """No bid and ask of one team at rest in one instrument, in-flight orders included."""


AnyConstraint: TypeAlias = (
    PositionLimit
    | PortfolioLimit
    | OrderSize
    | OrderRate
    | OrderTypeAllowed
    | InstrumentAllowed
    | PriceRange
    | TradingWindow
    | NoTwoSided
)


class QuoteRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a quote must be: lots of each side, and where it has two the spread, which is at most the larger
    of ``max_spread_ppm`` of the mid price, in parts per million, and ``max_spread_ticks``. Any will do where
    neither is given.
    """

    min_quantity: int = 1
    max_spread_ppm: int | None = None
    max_spread_ticks: int | None = None


class Role(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a team of this role pays and may do. ``open`` roles can be registered over HTTP; a role without
    ``quotes`` may not quote.
    """

    name: str
    fees: Fees = Fees()
    constraints: tuple[AnyConstraint, ...] = ()
    aliases: tuple[str, ...] = ()
    open: bool = True
    quotes: QuoteRules | None = None
