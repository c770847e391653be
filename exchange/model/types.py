"""Enumerations that appear in commands, events and messages. Values are what clients see."""

from __future__ import annotations

from exchange.base.enums import FastEnum


class Side(FastEnum):
    """FIX Side (54)."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: multiplied by a quantity it is the change of position."""
        return 1 if self is Side.BUY else -1


class OrderType(FastEnum):
    """FIX OrdType (40)."""

    LIMIT = "limit"
    MARKET = "market"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"

    @property
    def has_price(self) -> bool:
        """Whether it has a limit price."""
        return self is OrderType.LIMIT or self is OrderType.STOP_LIMIT

    @property
    def is_stop(self) -> bool:
        """Whether it waits for the last trade price to reach its stop price."""
        return self is OrderType.STOP or self is OrderType.STOP_LIMIT


class TimeInForce(FastEnum):
    """FIX TimeInForce (59)."""

    GTC = "gtc"
    DAY = "day"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"
    AT_THE_OPEN = "at_the_open"


class Liquidity(FastEnum):
    """FIX LastLiquidityInd (851): who was resting."""

    MAKER = "maker"
    TAKER = "taker"
    AUCTION = "auction"


class SelfTradePrevention(FastEnum):
    """What happens when a team's order would trade with its own resting order."""

    NONE = "none"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_MAKER = "cancel_maker"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class PostOnly(FastEnum):
    """What becomes of an order that must not take when it would: FIX ExecInst (18) 6, participate only."""

    REFUSE = "refuse"
    REPRICE = "reprice"


class Phase(FastEnum):
    """State of the market day; :mod:`exchange.model.phases` has the table of what each one allows."""

    PRE_OPEN = "pre_open"
    OPENING_AUCTION = "opening_auction"
    CONTINUOUS = "continuous"
    HALTED = "halted"
    REOPENING = "reopening"
    PRE_CLOSE = "pre_close"
    CLOSING_AUCTION = "closing_auction"
    CLOSED = "closed"


class CancelReason(FastEnum):
    """Why an order ended without being filled; ``reason`` of ``order_cancelled``."""

    REQUESTED = "requested"
    IOC_REMAINDER = "ioc_remainder"
    NO_LIQUIDITY = "no_liquidity"
    SELF_TRADE = "self_trade"
    FOK = "fok"
    POST_ONLY = "post_only"
    EXPIRED = "expired"
    MARKET_MAKER_PROTECTION = "market_maker_protection"
    AMENDED_BELOW_FILLED = "amended_below_filled"
    PORTFOLIO_LIMIT = "portfolio_limit"
    TEAM_DISABLED = "team_disabled"
    MARKET_CLOSE = "market_close"
    DISCONNECTED = "disconnected"
    DEAD_MAN_SWITCH = "dead_man_switch"
    OPERATOR = "operator"


class Interval(FastEnum):
    """How much time one candle covers."""

    SECOND = "1s"
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"


class InstrumentKind(FastEnum):
    """What an instrument is."""

    INDEX = "index"
    ETF = "etf"
    OPTION = "option"


class OptionKind(FastEnum):
    """Right of an option."""

    CALL = "call"
    PUT = "put"


class Scope(FastEnum):
    """What an API key may do."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"
