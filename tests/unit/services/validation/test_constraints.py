from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from exchange.model.commands import NewOrder
from exchange.model.reasons import Category, Code, Refusal
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
    QuoteRules,
    Role,
    TradingWindow,
)
from exchange.model.types import OrderType, Phase, Side, TimeInForce
from exchange.services.validation.constraints import compile_role
from exchange.services.validation.proposal import Proposal
from tests.unit.services.validation.fakes import (
    ACCOUNT,
    CALL,
    NOW_US,
    SPX,
    SPY,
    FakeExposure,
    instruments,
    new_order,
)

BUY, SELL = Side.BUY, Side.SELL
INSTRUMENTS = {each.instrument_id: each for each in instruments()}


def judge(
    row: AnyConstraint,
    order: NewOrder,
    holdings: FakeExposure | None = None,
    *,
    increase: int | None = None,
    phase: Phase = Phase.CONTINUOUS,
) -> Refusal | None:
    """What a role of this one row says, live and dry, which must agree."""
    checks = compile_role(Role(name="trader", constraints=(row,)), INSTRUMENTS, holdings or FakeExposure())
    proposal = Proposal(order, order.quantity if increase is None else increase, NOW_US, phase)
    [live], [dry] = checks.live, checks.dry
    verdict = dry(proposal)
    assert verdict == live(proposal)
    return verdict


def holding(position: int = 0, buys: int = 0, sells: int = 0, elsewhere: int = 0) -> FakeExposure:
    """Position and open lots in the call, and a position in SPX."""
    exposure = FakeExposure()
    exposure.positions[ACCOUNT, CALL] = position
    exposure.positions[ACCOUNT, SPX] = elsewhere
    exposure.open[ACCOUNT, CALL, BUY] = buys
    exposure.open[ACCOUNT, CALL, SELL] = sells
    return exposure


class Held(NamedTuple):
    """A row of a table: what is held, what is sent, and whether it passes."""

    position: int
    buys: int
    sells: int
    elsewhere: int
    side: Side
    quantity: int
    passes: bool


POSITION_LIMIT_50 = [
    Held(0, 0, 0, 0, BUY, 50, True),
    Held(0, 0, 0, 0, BUY, 51, False),
    Held(0, 0, 0, 0, SELL, 50, True),
    Held(0, 0, 0, 0, SELL, 51, False),
    Held(45, 0, 0, 0, BUY, 5, True),
    Held(45, 0, 0, 0, BUY, 6, False),
    Held(45, 5, 0, 0, BUY, 1, False),
    Held(45, 5, 0, 0, SELL, 95, True),
    Held(45, 5, 0, 0, SELL, 96, False),
    Held(-45, 0, 5, 0, SELL, 1, False),
    Held(-45, 0, 0, 0, SELL, 5, True),
    Held(-50, 0, 0, 0, BUY, 100, True),
    Held(-50, 0, 0, 0, BUY, 101, False),
    # What is open on the other side may never fill: it makes no room.
    Held(50, 0, 50, 0, BUY, 1, False),
    # Past the limit by other means: back is open, further is not.
    Held(80, 0, 0, 0, SELL, 10, True),
    Held(80, 0, 0, 0, BUY, 1, False),
    # Another instrument does not matter.
    Held(0, 0, 0, 500, BUY, 50, True),
]


@pytest.mark.parametrize("row", POSITION_LIMIT_50)
def test_position_limit_counts_position_and_open_lots_of_the_side(row: Held) -> None:
    """Position plus everything open on that side plus the order stays within the limit, either way."""
    refusal = judge(
        PositionLimit(max_position=50),
        new_order(row.side, row.quantity),
        holding(row.position, row.buys, row.sells, row.elsewhere),
    )
    assert (refusal is None) is row.passes


def test_position_limit_says_what_stands_in_the_way() -> None:
    """The details are those of the API's document, with the open lots that explain the sum."""
    refusal = judge(PositionLimit(max_position=50), new_order(BUY, 100), holding(45, buys=2))
    assert refusal == Refusal(
        Category.INVALID,
        Code.POSITION_LIMIT_EXCEEDED,
        "Order would exceed position limit of 50",
        {
            "instrument_id": CALL,
            "current_position": 45,
            "open_quantity": 2,
            "order_quantity": 100,
            "limit": 50,
        },
    )


@pytest.mark.parametrize(
    ("row", "limited"),
    [
        (PositionLimit(max_position=0), {SPX, SPY, CALL}),
        (PositionLimit(max_position=0, kinds=("option",)), {CALL}),
        (PositionLimit(max_position=0, kinds=("index", "etf")), {SPX, SPY}),
        (PositionLimit(max_position=0, instruments=(SPX,)), {SPX}),
        (PositionLimit(max_position=0, instruments=(SPX,), kinds=("option",)), {SPX, CALL}),
        (PositionLimit(max_position=0, kinds=()), set()),
    ],
)
def test_position_limit_applies_to_its_instruments_and_kinds(row: PositionLimit, limited: set[str]) -> None:
    """Instruments and kinds add up; without either every instrument is limited."""
    refused = {each for each in INSTRUMENTS if judge(row, new_order(instrument_id=each)) is not None}
    assert refused == limited


def test_position_limit_not_symmetric_limits_the_long_side_only() -> None:
    """A short position has no bound then."""
    row = PositionLimit(max_position=5, symmetric=False)
    assert judge(row, new_order(SELL, 1000)) is None
    assert judge(row, new_order(BUY, 6)) is not None


def test_position_limit_judges_an_amend_by_its_increase() -> None:
    """Total 50, of which 45 are reserved already: only five are new. No increase asks for nothing."""
    row = PositionLimit(max_position=50)
    assert judge(row, new_order(BUY, 50), holding(buys=45), increase=5) is None
    assert judge(row, new_order(BUY, 51), holding(buys=45), increase=6) is not None
    assert judge(row, new_order(BUY, 51), holding(60), increase=0) is None


PORTFOLIO_LIMIT_200 = [
    Held(0, 0, 0, 0, BUY, 200, True),
    Held(0, 0, 0, 0, SELL, 201, False),
    Held(50, 0, 0, 140, BUY, 10, True),
    Held(50, 0, 0, 140, BUY, 11, False),
    Held(50, 0, 0, -140, BUY, 11, False),
    # Open orders do not count.
    Held(50, 500, 500, 140, BUY, 10, True),
    # What reduces the position passes whatever the rest.
    Held(50, 0, 0, 500, SELL, 50, True),
    Held(50, 0, 0, 500, SELL, 99, True),
    Held(50, 0, 0, 500, SELL, 100, False),
    Held(-50, 0, 0, 500, BUY, 99, True),
    Held(-50, 0, 0, 500, SELL, 1, False),
    # Through zero, only what is added counts: 10 long to 30 short adds 20.
    Held(10, 0, 0, 170, SELL, 40, True),
    Held(10, 0, 0, 171, SELL, 40, False),
]


@pytest.mark.parametrize("row", PORTFOLIO_LIMIT_200)
def test_portfolio_limit_counts_positions_and_the_order(row: Held) -> None:
    """The sum of |position| with the order filled stays within the limit, unless the order reduces it."""
    refusal = judge(
        PortfolioLimit(max_total_position=200),
        new_order(row.side, row.quantity),
        holding(row.position, row.buys, row.sells, row.elsewhere),
    )
    assert (refusal is None) is row.passes


HARD_PORTFOLIO_LIMIT_200 = [
    Held(0, 0, 0, 0, BUY, 200, True),
    Held(0, 0, 0, 0, BUY, 201, False),
    Held(0, 150, 0, 0, BUY, 50, True),
    Held(0, 150, 0, 0, BUY, 51, False),
    # The two sides of a quote do not both fill and stay.
    Held(0, 150, 0, 0, SELL, 200, True),
    Held(0, 150, 0, 0, SELL, 201, False),
    Held(50, 0, 0, 150, SELL, 50, True),
    Held(50, 0, 0, 150, SELL, 100, True),
    Held(50, 0, 0, 150, SELL, 101, False),
    # The position is sold already: more of it opens the other way.
    Held(50, 0, 100, 150, SELL, 1, False),
    Held(50, 0, 99, 150, SELL, 1, True),
]


@pytest.mark.parametrize("row", HARD_PORTFOLIO_LIMIT_200)
def test_portfolio_limit_with_open_orders_counts_the_worst_case(row: Held) -> None:
    """With ``count_open_orders`` no set of fills of what is open can pass the limit."""
    refusal = judge(
        PortfolioLimit(max_total_position=200, count_open_orders=True),
        new_order(row.side, row.quantity),
        holding(row.position, row.buys, row.sells, row.elsewhere),
    )
    assert (refusal is None) is row.passes


@pytest.mark.parametrize("count_open_orders", [False, True])
def test_portfolio_limit_lets_an_amend_without_increase_pass(count_open_orders: bool) -> None:
    """A new price asks for no lots, also of a team past its limit."""
    row = PortfolioLimit(max_total_position=5, count_open_orders=count_open_orders)
    assert judge(row, new_order(), holding(elsewhere=10), increase=0) is None


def test_portfolio_limit_says_what_stands_in_the_way() -> None:
    """Total, order and limit, in lots."""
    refusal = judge(PortfolioLimit(max_total_position=50), new_order(BUY, 20), holding(elsewhere=-40))
    assert refusal is not None
    assert (refusal.code, refusal.category) == (Code.PORTFOLIO_LIMIT_EXCEEDED, Category.INVALID)
    assert refusal.details == {"total_position": 40, "order_quantity": 20, "limit": 50}


@pytest.mark.parametrize(("quantity", "passes"), [(4, False), (5, True), (10, True), (11, False)])
def test_order_size_allows_both_ends(quantity: int, passes: bool) -> None:
    """The total of the order, of an amend too, lies within the ends."""
    row = OrderSize(min_size=5, max_size=10)
    refusal = judge(row, new_order(quantity=quantity), increase=1)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code == Code.ORDER_SIZE_OUT_OF_RANGE
        assert refusal.details == {"order_quantity": quantity, "min_size": 5, "max_size": 10}


def test_order_type_allowed_refuses_the_others() -> None:
    """A role that may only send limits may not send a market order."""
    row = OrderTypeAllowed(allowed_types=(OrderType.LIMIT,))
    assert judge(row, new_order()) is None
    refusal = judge(row, new_order(price_ticks=None))
    assert refusal is not None
    assert refusal.code == Code.ORDER_TYPE_NOT_ALLOWED
    assert refusal.details == {"order_type": "market", "allowed_types": ["limit"]}


def test_instrument_allowed_refuses_the_others() -> None:
    """A role trades what its config names."""
    row = InstrumentAllowed(allowed_instruments=(SPX, SPY))
    assert judge(row, new_order(instrument_id=SPY)) is None
    refusal = judge(row, new_order(instrument_id=CALL))
    assert refusal is not None
    assert (refusal.code, refusal.details) == (Code.INSTRUMENT_NOT_ALLOWED, {"instrument_id": CALL})


@pytest.mark.parametrize(
    ("price_ticks", "passes"), [(99, False), (100, True), (2005, True), (2006, False), (None, True)]
)
def test_price_range_allows_both_ends(price_ticks: int | None, passes: bool) -> None:
    """The ends are in the currency, exact in ticks of 0.01; a market order has no price to judge."""
    row = PriceRange(min_price=1.0, max_price=20.05)
    refusal = judge(row, new_order(price_ticks=price_ticks))
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code == Code.PRICE_OUT_OF_RANGE
        assert refusal.details == {
            "instrument_id": CALL,
            "price_ticks": price_ticks,
            "min_price": 1.0,
            "max_price": 20.05,
        }


@pytest.mark.parametrize(("price_ticks", "passes"), [(2, False), (3, True), (4, True), (5, False)])
def test_price_range_between_ticks_is_cut_inwards(price_ticks: int, passes: bool) -> None:
    """With ticks of 0.01 the range 0.021 to 0.049 holds the prices 0.03 and 0.04."""
    row = PriceRange(min_price=0.021, max_price=0.049)
    assert (judge(row, new_order(price_ticks=price_ticks)) is None) is passes


def test_trading_window_refuses_other_phases() -> None:
    """A role outside its phases gets the answer of a closed market."""
    row = TradingWindow(allowed_phases=(Phase.HALTED,))
    assert judge(row, new_order(), phase=Phase.HALTED) is None
    refusal = judge(row, new_order(), phase=Phase.CONTINUOUS)
    assert refusal is not None
    assert (refusal.code, refusal.category) == (Code.MARKET_CLOSED, Category.CONFLICT)
    assert refusal.details == {"phase": "continuous", "allowed_phases": ["halted"]}


IOC = TimeInForce.IOC


@pytest.mark.parametrize(
    ("order", "passes"),
    [
        (new_order(BUY), False),
        (new_order(BUY, time_in_force=TimeInForce.DAY), False),
        (new_order(SELL), True),
        (new_order(BUY, time_in_force=IOC), True),
        (new_order(BUY, price_ticks=None), True),
        (new_order(BUY, instrument_id=SPX), True),
    ],
)
def test_no_two_sided_looks_at_orders_that_can_rest(order: NewOrder, passes: bool) -> None:
    """With an ask in flight or at rest no bid of the same instrument may rest."""
    exposure = FakeExposure()
    exposure.reserve(ACCOUNT, CALL, SELL, 1, can_rest=True)
    refusal = judge(NoTwoSided(), order, exposure)
    assert (refusal is None) is passes
    if refusal is not None:
        assert refusal.code == Code.TWO_SIDED_NOT_ALLOWED
        assert refusal.details == {"instrument_id": CALL, "side": "buy", "resting_orders": 1}


def test_no_two_sided_ignores_orders_that_cannot_rest() -> None:
    """An immediate-or-cancel ask in flight does not stand in the way of a bid."""
    exposure = FakeExposure()
    exposure.reserve(ACCOUNT, CALL, SELL, 1, can_rest=False)
    assert judge(NoTwoSided(), new_order(BUY), exposure) is None


def test_first_failure_answers() -> None:
    """Rows are checked in the order of the config."""
    size, limit = OrderSize(max_size=5), PositionLimit(max_position=5)
    for rows, code in (
        ((size, limit), Code.ORDER_SIZE_OUT_OF_RANGE),
        ((limit, size), Code.POSITION_LIMIT_EXCEEDED),
    ):
        checks = compile_role(Role(name="trader", constraints=rows), INSTRUMENTS, FakeExposure())
        proposal = Proposal(new_order(quantity=6), 6, NOW_US, Phase.CONTINUOUS)
        refusals = [refusal for check in checks.live if (refusal := check(proposal)) is not None]
        assert refusals[0].code == code


BROKEN: list[tuple[Callable[[], Any], str]] = [
    (lambda: PositionLimit(max_position=-1), "max_position"),
    (lambda: PositionLimit(max_position=1, kinds=("options",)), "options"),
    (lambda: PositionLimit(max_position=1, instruments=("SPQ",)), "SPQ"),
    (lambda: PortfolioLimit(max_total_position=-1), "max_total_position"),
    (lambda: OrderSize(min_size=0, max_size=1), "min_size"),
    (lambda: OrderSize(min_size=3, max_size=2), "min_size"),
    (lambda: OrderRate(max_orders_per_second=0), "max_orders_per_second"),
    (lambda: OrderRate(max_orders_per_second=100_001), "max_orders_per_second"),
    (lambda: OrderTypeAllowed(allowed_types=()), "allowed_types"),
    (lambda: InstrumentAllowed(allowed_instruments=()), "allowed_instruments"),
    (lambda: InstrumentAllowed(allowed_instruments=("SPQ",)), "SPQ"),
    (lambda: PriceRange(min_price=2.0, max_price=1.0), "min_price"),
    (lambda: PriceRange(min_price=0.0, max_price=float("inf")), "min_price"),
    (lambda: TradingWindow(allowed_phases=()), "allowed_phases"),
    (lambda: NoTwoSided(error_message="{limit}"), "error_message"),
    (lambda: NoTwoSided(error_code="two sided"), "error_code"),
]


@pytest.mark.parametrize(("make", "named"), BROKEN)
def test_compile_role_refuses_a_row_that_makes_no_sense(make: Callable[[], Any], named: str) -> None:
    """The organiser is told the role and what is wrong when the config loads, not when an order comes."""
    with pytest.raises(ValueError, match=rf"role trader: .*{named}"):
        compile_role(Role(name="trader", constraints=(make(),)), INSTRUMENTS, FakeExposure())


NEVER_QUOTED: list[tuple[QuoteRules, AnyConstraint | None, str]] = [
    (QuoteRules(min_quantity=0), None, "min_quantity"),
    (QuoteRules(max_spread_ppm=-1), None, "max_spread_ppm"),
    (QuoteRules(max_spread_ticks=0), None, "max_spread_ticks"),
    (QuoteRules(), NoTwoSided(), "no_two_sided"),
    (QuoteRules(), OrderRate(max_orders_per_second=1), "order_rate"),
    (QuoteRules(min_quantity=6), OrderSize(max_size=5), "min_quantity"),
    (QuoteRules(), OrderTypeAllowed(allowed_types=(OrderType.MARKET,)), "order_type_allowed"),
]


@pytest.mark.parametrize(("quotes", "row", "named"), NEVER_QUOTED)
def test_compile_role_refuses_quotes_that_nobody_could_send(
    quotes: QuoteRules, row: AnyConstraint | None, named: str
) -> None:
    """A role that may quote, and beside it a rule that forbids every quote; each alone is fine."""
    rows = () if row is None else (row,)
    with pytest.raises(ValueError, match=rf"role trader: .*{named}"):
        compile_role(Role(name="trader", constraints=rows, quotes=quotes), INSTRUMENTS, FakeExposure())
    compile_role(Role(name="trader", constraints=rows), INSTRUMENTS, FakeExposure())


def test_compile_role_takes_quotes_beside_what_leaves_room_for_them() -> None:
    """The least of each that lets a quote through."""
    rows = (
        OrderRate(max_orders_per_second=2),
        OrderSize(max_size=5),
        OrderTypeAllowed(allowed_types=(OrderType.LIMIT,)),
    )
    quotes = QuoteRules(min_quantity=5, max_spread_ppm=0, max_spread_ticks=1)
    compile_role(Role(name="trader", constraints=rows, quotes=quotes), INSTRUMENTS, FakeExposure())
