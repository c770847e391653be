"""How each constraint type refuses, and what an organiser may put in place of it."""

from __future__ import annotations

import re
from string import Formatter
from typing import Any, Final, NamedTuple

from exchange.model.reasons import Category, Code, Refusal
from exchange.model.roles import (
    Constraint,
    InstrumentAllowed,
    NoTwoSided,
    OrderRate,
    OrderSize,
    OrderTypeAllowed,
    PortfolioLimit,
    PositionLimit,
    PriceRange,
    TradingWindow,
)


class ReplyDefaults(NamedTuple):
    """``keys`` are the details of the refusal, and so what a message may name in braces."""

    category: Category
    code: Code
    message: str
    keys: tuple[str, ...]


DEFAULTS: Final[dict[type[Constraint], ReplyDefaults]] = {
    PositionLimit: ReplyDefaults(
        Category.INVALID,
        Code.POSITION_LIMIT_EXCEEDED,
        "Order would exceed position limit of {limit}",
        ("instrument_id", "current_position", "open_quantity", "order_quantity", "limit"),
    ),
    PortfolioLimit: ReplyDefaults(
        Category.INVALID,
        Code.PORTFOLIO_LIMIT_EXCEEDED,
        "Order would exceed portfolio limit of {limit}",
        ("total_position", "order_quantity", "limit"),
    ),
    OrderSize: ReplyDefaults(
        Category.INVALID,
        Code.ORDER_SIZE_OUT_OF_RANGE,
        "Order quantity must be {min_size} to {max_size}",
        ("order_quantity", "min_size", "max_size"),
    ),
    OrderRate: ReplyDefaults(
        Category.TOO_FAST,
        Code.ORDER_RATE_EXCEEDED,
        "More than {limit} orders and amends within one second",
        ("limit",),
    ),
    OrderTypeAllowed: ReplyDefaults(
        Category.INVALID,
        Code.ORDER_TYPE_NOT_ALLOWED,
        "Your role may not send {order_type} orders",
        ("order_type", "allowed_types"),
    ),
    InstrumentAllowed: ReplyDefaults(
        Category.INVALID,
        Code.INSTRUMENT_NOT_ALLOWED,
        "Your role may not trade {instrument_id}",
        ("instrument_id",),
    ),
    PriceRange: ReplyDefaults(
        Category.INVALID,
        Code.PRICE_OUT_OF_RANGE,
        "Limit price must be {min_price} to {max_price}",
        ("instrument_id", "price_ticks", "min_price", "max_price"),
    ),
    TradingWindow: ReplyDefaults(
        Category.CONFLICT,
        Code.MARKET_CLOSED,
        "Your role may not trade while the market is {phase}",
        ("phase", "allowed_phases"),
    ),
    NoTwoSided: ReplyDefaults(
        Category.INVALID,
        Code.TWO_SIDED_NOT_ALLOWED,
        "Your role may not rest a bid and an ask in {instrument_id} at the same time",
        ("instrument_id", "side", "resting_orders"),
    ),
}

_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Reply:
    """The refusal of one row of config; its own ``error_code`` and ``error_message`` come first.

    Raises ValueError for a code that is not in capitals or a message with a placeholder its type cannot fill.
    """

    def __init__(self, row: Constraint) -> None:
        defaults = DEFAULTS[type(row)]
        self._category = defaults.category
        self._code = str(defaults.code) if row.error_code is None else row.error_code
        self._message = defaults.message if row.error_message is None else row.error_message
        if not _CODE.fullmatch(self._code):
            raise ValueError(f"error_code {self._code!r} must be capitals, digits and underscores")
        _require_placeholders(self._message, defaults.keys)

    def refuse(self, details: dict[str, Any], retry_after_ms: int | None = None) -> Refusal:
        message = self._message.format_map(details)
        return Refusal(self._category, self._code, message, details, retry_after_ms)


def _require_placeholders(message: str, keys: tuple[str, ...]) -> None:
    # The wire turns ticks in details into decimals; inside a message they would stay bare ticks.
    allowed = [key for key in keys if not key.endswith("_ticks")]
    for _, name, specification, conversion in Formatter().parse(message):
        if name is not None and (name not in allowed or specification or conversion):
            raise ValueError(f"error_message may only name {', '.join(allowed)} in braces: {message!r}")
