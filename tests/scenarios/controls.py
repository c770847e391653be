"""Which orders are accepted, written down a second time: a table by hand, apart from the code it checks.

A :class:`Terms` is one point of the product of everything a client can say about an order and the state the
market is in when it comes. :func:`expected` gives the code it is refused with, None where it is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from exchange.app import build_core
from exchange.model.commands import (
    AnyCommand,
    NewOrder,
    OpenGame,
    OrderTerms,
    Record,
    RegisterTeam,
    SetPhase,
    Uncross,
)
from exchange.model.events import AnyPrivateEvent
from exchange.model.instrument import Instrument
from exchange.model.roles import Role
from exchange.model.rules import Bands, BatchAuctions, Closing, ClosingCancels, GameRules
from exchange.model.schedule import DayPhase, Schedule
from exchange.model.types import (
    InstrumentKind,
    OrderType,
    Phase,
    PostOnly,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.pipeline.core import Core

SECOND_US: Final = 1_000_000
NOON_US: Final = 1_705_320_000 * SECOND_US
"""2024-01-15, a Monday, 12:00 UTC; the market of these tests closes at 15:00."""
QUANTITY: Final = 5
POSITION: Final = 10
TRADER, OTHER, THIRD = 1, 2, 3
INSTRUMENT: Final = "X"

EXPIRIES: Final = {
    "none": None,
    "soon": NOON_US + 60 * SECOND_US,
    "tomorrow": NOON_US + 86_400 * SECOND_US,
    "past": NOON_US - SECOND_US,
    "next_year": NOON_US + 400 * 86_400 * SECOND_US,
}
DISPLAYS: Final = {"none": None, "part": 2, "more_than_all": QUANTITY + 1}

ALLOWED: Final = """
order_type | before the open     | before another auction | continuous
limit      | gtc day gtd ioc ato | gtc day gtd ioc        | gtc day gtd ioc fok
market     | ioc ato             | ioc                    | ioc fok
stop       | gtc day gtd         | gtc day gtd            | gtc day gtd
stop_limit | gtc day gtd         | gtc day gtd            | gtc day gtd
"""
COLUMNS: Final = {
    Phase.PRE_OPEN: "before the open",
    Phase.REOPENING: "before another auction",
    Phase.PRE_CLOSE: "before another auction",
    Phase.CONTINUOUS: "continuous",
}
"""In every other phase no order is taken."""
SHORT: Final = {"ato": "at_the_open"}

PRICES: Final = {
    "limit": (True, False),
    "market": (False, False),
    "stop": (False, True),
    "stop_limit": (True, True),
}
"""Whether a type has a price, a stop price."""


class Terms(NamedTuple):
    """What is said of an order."""

    order_type: OrderType
    price: bool
    stop_price: bool
    time_in_force: TimeInForce
    expires: str
    post_only: PostOnly | None
    display: str
    self_trade_prevention: SelfTradePrevention | None
    reduce_only: bool
    side: Side

    def order(self) -> NewOrder:
        """The command; without any term but those of a plain order it carries none."""
        terms = OrderTerms(
            stop_price_ticks=90 if self.stop_price else None,
            post_only=self.post_only,
            display_quantity=DISPLAYS[self.display],
            reduce_only=self.reduce_only,
            expires_at_us=EXPIRIES[self.expires],
            self_trade_prevention=self.self_trade_prevention,
        )
        return NewOrder(
            TRADER,
            INSTRUMENT,
            self.side,
            self.order_type,
            100 if self.price else None,
            QUANTITY,
            self.time_in_force,
            None,
            "r",
            None if terms == OrderTerms() else terms,
        )


def every_terms() -> Iterator[Terms]:
    """The whole product. A side matters to reduce-only alone: the trader is long."""
    sides = ((False, Side.BUY), (True, Side.BUY), (True, Side.SELL))
    prevention = (None, SelfTradePrevention.DECREMENT, SelfTradePrevention.NONE)
    either = (False, True)
    for order_type, price, stop_price, time_in_force in product(OrderType, either, either, TimeInForce):
        for expires, post_only, display in product(EXPIRIES, (None, *PostOnly), DISPLAYS):
            for mode, (reduce_only, side) in product(prevention, sides):
                yield Terms(
                    order_type,
                    price,
                    stop_price,
                    time_in_force,
                    expires,
                    post_only,
                    display,
                    mode,
                    reduce_only,
                    side,
                )


def _allowed() -> dict[tuple[str, str], frozenset[str]]:
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in ALLOWED.strip().splitlines()]
    return {
        (row[0], column): frozenset(SHORT.get(name, name) for name in cell.split())
        for row in rows
        for column, cell in zip(head[1:], row[1:], strict=True)
    }


TIMES: Final = _allowed()


def expected(terms: Terms, phase: Phase, closes: bool, batched: bool = False) -> str | None:
    """The code of the answer. ``closes``: the market closes at 15:00 and cancels everything then.

    ``batched``: the instrument trades in batch auctions, so that one more is always to come.
    """
    if phase not in COLUMNS:
        return "MARKET_CLOSED"
    order_type, time_in_force = terms.order_type.value, terms.time_in_force.value
    column = COLUMNS[phase]
    if batched and column == "continuous":
        column = "before another auction"
    if (terms.price, terms.stop_price) != PRICES[order_type]:
        return "ORDER_TYPE_CONTRADICTION"
    if time_in_force not in TIMES[order_type, column] or (closes and time_in_force == "gtc"):
        return "TIME_IN_FORCE_NOT_ALLOWED"
    return _expiry(terms, closes) or _controls(terms, column)


def _expiry(terms: Terms, closes: bool) -> str | None:
    if (terms.time_in_force.value == "gtd") != (terms.expires != "none"):
        return "CONTROL_CONTRADICTION"
    if terms.expires in ("past", "next_year"):
        return "EXPIRES_AT_OUT_OF_RANGE"
    return "TIME_IN_FORCE_NOT_ALLOWED" if closes and terms.expires == "tomorrow" else None


def _controls(terms: Terms, column: str) -> str | None:
    rests = terms.order_type.value == "limit" and terms.time_in_force.value in ("gtc", "day", "gtd")
    if terms.post_only is not None:
        if not rests:
            return "CONTROL_CONTRADICTION"
        if column != "continuous":
            return "POST_ONLY_NOT_ALLOWED"
    if terms.display != "none" and not rests:
        return "CONTROL_CONTRADICTION"
    if terms.display == "more_than_all":
        return "DISPLAY_QUANTITY_OUT_OF_RANGE"
    if terms.self_trade_prevention is SelfTradePrevention.NONE:
        return "SELF_TRADE_PREVENTION_NOT_ALLOWED"
    return "REDUCE_ONLY_REFUSED" if terms.reduce_only and terms.side is Side.BUY else None


# --- the games ----------------------------------------------------------------------------------------

HOURS: Final = (
    ("08:00", Phase.PRE_OPEN),
    ("08:59", Phase.OPENING_AUCTION),
    ("09:00", Phase.CONTINUOUS),
    ("14:55", Phase.PRE_CLOSE),
    ("14:59", Phase.CLOSING_AUCTION),
    ("15:00", Phase.CLOSED),
)


def game(closing: ClosingCancels | None, batched: bool = False) -> GameRules:
    """One instrument, one role without constraints; None: a market that never closes by the clock."""
    schedule = Schedule(day=tuple(DayPhase(at=at, phase=phase) for at, phase in HOURS))
    return GameRules(
        preset="test",
        instruments=(
            Instrument(
                instrument_id=INSTRUMENT,
                kind=InstrumentKind.INDEX,
                tick_size="0.01",
                multiplier=1,
                first_price_ticks=100,
            ),
        ),
        roles=(Role(name="trader"),),
        bands=Bands(enabled=False),
        schedule=None if closing is None else schedule,
        closing=Closing() if closing is None else Closing(cancels=closing),
        batch_auctions=BatchAuctions(interval_ms=1_000) if batched else None,
    )


WAYS: Final = {
    Phase.HALTED: (Phase.HALTED,),
    Phase.REOPENING: (Phase.HALTED, Phase.REOPENING),
}
"""How to get from continuous trading to a phase that does not follow it at once."""


class Run:
    """A game without pipes: each command is judged, matched and settled at once."""

    def __init__(self, rules: GameRules) -> None:
        self.core: Core = build_core(rules)
        self.told: list[AnyPrivateEvent] = []

    def enter(self, command: AnyCommand, now_us: int = NOON_US) -> Record:
        """Carry out a command, which must be accepted."""
        record = self.core.admission.admit(command, now_us)
        assert isinstance(record, Record), record
        for events in self.core.venue.steps(record):
            self.told += self.core.settlement.settle(record, events).private
        return record

    def open(self) -> None:
        """Begin the game with three teams."""
        self.enter(OpenGame(self.core.rules))
        for name in ("Trader", "Other", "Third"):
            self.enter(RegisterTeam(name, "trader", name.encode().ljust(32), "r"))

    def limit(self, account: int, side: Side, quantity: int, price_ticks: int) -> Record:
        """A plain order for the day."""
        return self.enter(limit_order(account, side, quantity, price_ticks))


def limit_order(account: int, side: Side, quantity: int, price_ticks: int = 100) -> NewOrder:
    """A plain order for the day."""
    return NewOrder(
        account, INSTRUMENT, side, OrderType.LIMIT, price_ticks, quantity, TimeInForce.DAY, None, "r"
    )


def open_game(closing: ClosingCancels | None, phase: Phase = Phase.CONTINUOUS, batched: bool = False) -> Run:
    """A game in ``phase`` in which the trader is long."""
    run = Run(game(closing, batched))
    run.open()
    if closing is not None:
        run.enter(SetPhase(Phase.CONTINUOUS, "test"))
    run.limit(OTHER, Side.SELL, POSITION, 100)
    run.limit(TRADER, Side.BUY, POSITION, 100)
    if batched:
        run.enter(Uncross(INSTRUMENT))
    for step in WAYS.get(phase, (phase,)):
        run.enter(SetPhase(step, "test"))
    return run
