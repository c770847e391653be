"""What a quote must be, and which commands bring it about in which order."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.base.bounds import MAX_QUOTE_GROUPS
from exchange.model.answers import QuoteAnswer
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    NewOrder,
    Quote,
    QuoteSide,
    Record,
    SetPhase,
    SetProtection,
)
from exchange.model.order import OrderStatus
from exchange.model.reasons import Code, Refusal
from exchange.model.roles import AnyConstraint, OrderRate, OrderSize, PositionLimit, QuoteRules
from exchange.model.types import CancelReason, Phase, Side, TimeInForce
from exchange.services.game.teams import TeamRegistry
from exchange.services.validation.admission import Admission
from exchange.services.validation.quotes import judge_quote
from tests.unit.services.validation.fakes import (
    ACCOUNT,
    CALL,
    NOW_US,
    FakeExposure,
    FakeMarket,
    FakeOrders,
    amend,
    registration,
    rules,
)

BUY, SELL = Side.BUY, Side.SELL
BID, ASK = QuoteSide(100, 5), QuoteSide(102, 5)


def quote(bid: QuoteSide | None = BID, ask: QuoteSide | None = ASK, group: str = "g") -> Quote:
    """One of the first team."""
    return Quote(ACCOUNT, CALL, group, bid, ask, "q")


@pytest.mark.parametrize(
    ("sides", "quotes", "code"),
    [
        ((BID, ASK), None, Code.QUOTES_NOT_ALLOWED),
        ((None, None), QuoteRules(), Code.QUOTE_EMPTY),
        ((BID, ASK), QuoteRules(), None),
        ((BID, None), QuoteRules(max_spread_ticks=1), None),
        ((None, ASK), QuoteRules(max_spread_ticks=1), None),
        ((BID, QuoteSide(100, 5)), QuoteRules(), Code.QUOTE_CROSSED),
        ((BID, QuoteSide(99, 5)), QuoteRules(), Code.QUOTE_CROSSED),
        ((BID, QuoteSide(102, 4)), QuoteRules(min_quantity=5), Code.QUOTE_TOO_SMALL),
        ((QuoteSide(100, 4), None), QuoteRules(min_quantity=5), Code.QUOTE_TOO_SMALL),
        ((BID, ASK), QuoteRules(min_quantity=5), None),
        ((BID, ASK), QuoteRules(max_spread_ticks=2), None),
        ((BID, QuoteSide(103, 5)), QuoteRules(max_spread_ticks=2), Code.QUOTE_SPREAD_TOO_WIDE),
        # 2 % of the 101 in the middle is 2.02, of 101.5 2.03: a spread of 2 passes, one of 3 does not.
        ((BID, ASK), QuoteRules(max_spread_ppm=20_000), None),
        ((BID, QuoteSide(103, 5)), QuoteRules(max_spread_ppm=20_000), Code.QUOTE_SPREAD_TOO_WIDE),
        ((BID, QuoteSide(103, 5)), QuoteRules(max_spread_ppm=20_000, max_spread_ticks=3), None),
        ((BID, ASK), QuoteRules(max_spread_ppm=20_000, max_spread_ticks=1), None),
        ((BID, ASK), QuoteRules(max_spread_ppm=0), Code.QUOTE_SPREAD_TOO_WIDE),
        ((QuoteSide(1, 5), QuoteSide(3, 5)), QuoteRules(max_spread_ppm=999_999), Code.QUOTE_SPREAD_TOO_WIDE),
        ((QuoteSide(1, 5), QuoteSide(3, 5)), QuoteRules(max_spread_ppm=1_000_000), None),
    ],
)
def test_quote_is_what_the_role_wants(
    sides: tuple[QuoteSide | None, QuoteSide | None], quotes: QuoteRules | None, code: str | None
) -> None:
    """Allowed at all, not empty, large enough, not crossed, narrow enough: the first that fails answers."""
    refusal = judge_quote(quote(*sides), quotes)
    assert (None if refusal is None else refusal.code) == code


class Desk:
    """Admission of a role that may quote, with fakes around it."""

    def __init__(self, *constraints: AnyConstraint) -> None:
        game = rules(*constraints)
        roles = tuple(replace(role, quotes=QuoteRules()) if role.open else role for role in game.roles)
        game = replace(game, roles=roles)
        self.register, self.exposure, self.market = FakeOrders(), FakeExposure(), FakeMarket()
        self.admission = Admission(game, self.register, self.exposure, TeamRegistry(game), self.market)
        for name in ("Alpha", "Beta"):
            self.admission.admit(registration(name), NOW_US)

    def quote(self, asked: Quote, now_us: int = NOW_US) -> list[object]:
        """The commands of a quote that must be accepted."""
        verdict = self.admission.admit_quote(asked, now_us)
        assert not isinstance(verdict, Refusal), verdict
        records, _ = verdict
        assert [record.sequence for record in records] == list(
            range(self.admission.last_sequence - len(records) + 1, self.admission.last_sequence + 1)
        )
        return [record.command for record in records]

    def refuse(self, asked: Quote, now_us: int = NOW_US) -> Refusal:
        """The refusal of a quote, which must not have entered a thing."""
        before = (self.admission.state(), len(self.register.orders), len(self.exposure.reserved))
        verdict = self.admission.admit_quote(asked, now_us)
        assert isinstance(verdict, Refusal)
        assert before == (self.admission.state(), len(self.register.orders), len(self.exposure.reserved))
        return verdict


def test_quote_becomes_an_order_for_each_side() -> None:
    """For the day, named by the group, the request's; the answer has both numbers."""
    desk = Desk()
    verdict = desk.admission.admit_quote(quote(), NOW_US)
    assert isinstance(verdict, tuple)
    (ask, bid), answer = verdict
    assert answer == QuoteAnswer(NOW_US, CALL, bid.sequence, ask.sequence)
    for record, side, asked in ((bid, BUY, BID), (ask, SELL, ASK)):
        order = record.command
        assert isinstance(order, NewOrder)
        assert (order.side, order.price_ticks, order.quantity) == (side, asked.price_ticks, asked.quantity)
        assert (order.time_in_force, order.all_terms.quote_group) == (TimeInForce.DAY, "g")
        assert (order.client_order_id, order.request_id) == (None, "q")


@pytest.mark.parametrize(
    ("sides", "kinds"),
    [
        ((QuoteSide(101, 5), QuoteSide(103, 5)), [(AmendOrder, "ask"), (AmendOrder, "bid")]),
        ((QuoteSide(99, 5), QuoteSide(101, 5)), [(AmendOrder, "bid"), (AmendOrder, "ask")]),
        ((BID, ASK), [(AmendOrder, "bid"), (AmendOrder, "ask")]),
        ((None, QuoteSide(99, 5)), [(CancelOrder, "bid"), (AmendOrder, "ask")]),
        ((QuoteSide(103, 5), None), [(CancelOrder, "ask"), (AmendOrder, "bid")]),
    ],
)
def test_quote_moves_the_side_first_that_goes_away(
    sides: tuple[QuoteSide | None, QuoteSide | None], kinds: list[tuple[type, str]]
) -> None:
    """So the new bid never meets the old ask, nor the new ask the old bid."""
    desk = Desk()
    desk.quote(quote())
    numbers = {"ask": 3, "bid": 4}
    commands = desk.quote(quote(*sides))
    assert [(type(each), each.order_id) for each in commands] == [  # type: ignore[attr-defined]
        (kind, numbers[side]) for kind, side in kinds
    ]


def test_quote_asks_for_what_is_to_be_open_beyond_what_filled() -> None:
    """The total of a side that filled 3 is 3 and the lots asked for; its size is what is asked for."""
    desk = Desk(OrderSize(max_size=5), PositionLimit(max_position=20))
    desk.quote(quote())
    order = desk.register.orders[4]
    order.filled_quantity = 3
    assert desk.quote(quote())[0] == AmendOrder(ACCOUNT, 4, CALL, 8, 100, "q")
    assert desk.refuse(quote(QuoteSide(100, 6))).code == Code.ORDER_SIZE_OUT_OF_RANGE


def test_quote_with_a_side_refused_enters_neither() -> None:
    """Whichever of the two it is."""
    desk = Desk(PositionLimit(max_position=10))
    assert desk.refuse(quote(QuoteSide(100, 11))).code == Code.POSITION_LIMIT_EXCEEDED
    assert desk.refuse(quote(BID, QuoteSide(102, 11))).code == Code.POSITION_LIMIT_EXCEEDED
    desk.market.bands[CALL] = (50, 101)
    assert desk.refuse(quote()).code == Code.PRICE_OUT_OF_BAND


def test_quote_counts_both_sides_towards_the_rate_or_neither() -> None:
    """Two of three are left for a quote; one is not, and the attempt does not use it up."""
    desk = Desk(OrderRate(max_orders_per_second=3))
    desk.quote(quote())
    refusal = desk.refuse(quote(), NOW_US + 400_000)
    assert (refusal.code, refusal.retry_after_ms) == (Code.ORDER_RATE_EXCEEDED, 600)
    desk.quote(quote(None, ASK), NOW_US + 400_000)
    desk.quote(quote(), NOW_US + 1_000_000)
    # The bid is gone: to cancel it again costs nothing.
    desk.quote(quote(None, ASK), NOW_US + 1_400_000)


def test_quote_of_a_frozen_group_is_refused() -> None:
    """By the time of the record, which a clock that was set back does not turn."""
    desk = Desk()
    desk.market.frozen[ACCOUNT, "g"] = NOW_US + 10
    refusal = desk.refuse(quote())
    assert (refusal.code, refusal.details) == (Code.QUOTES_FROZEN, {"quote_group": "g"})
    desk.quote(quote(group="other"))
    desk.quote(quote(), NOW_US + 10)
    desk.quote(quote(), NOW_US)


@pytest.mark.parametrize(
    "end",
    [
        CancelOrder(ACCOUNT, 3, "", "r"),
        CancelOrders(ACCOUNT, (CancelScope(quote_group="g"),), CancelReason.REQUESTED, "r"),
        CancelOrders(ACCOUNT, (CancelScope(side=SELL),), CancelReason.PORTFOLIO_LIMIT),
        CancelOrders(ACCOUNT, (CancelScope(),), CancelReason.DISCONNECTED),
    ],
)
def test_quote_behind_a_cancel_enters_a_new_order(end: CancelOrder | CancelOrders) -> None:
    """The ask's end is under way: amending it would be refused by match and leave half a quote."""
    desk = Desk()
    desk.quote(quote())
    assert isinstance(desk.admission.admit(end, NOW_US), Record)
    kinds = {type(each) for each in desk.quote(quote()) if getattr(each, "order_id", None) != 4}
    assert kinds == {NewOrder}


def test_quote_behind_the_end_of_all_orders_enters_new_ones() -> None:
    """A team that was disabled and let back, a market that closed and opened."""
    for ends in (
        (DisableTeam(ACCOUNT, True, "t", "r"), DisableTeam(ACCOUNT, False, "t", "r")),
        (SetPhase(Phase.CLOSED, "t"), SetPhase(Phase.PRE_OPEN, "t")),
    ):
        desk = Desk()
        desk.quote(quote())
        for end in ends:
            assert isinstance(desk.admission.admit(end, NOW_US), Record)
        assert [type(each) for each in desk.quote(quote())] == [NewOrder, NewOrder]


def test_quote_is_changed_by_quoting_alone() -> None:
    """An amend by number would leave the rules of the role behind; a cancel is the maker's right."""
    desk = Desk()
    desk.quote(quote())
    desk.register.orders[3].status = OrderStatus.OPEN
    refusal = desk.admission.admit(amend(3, quantity=4), NOW_US)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.details) == (Code.CONTROL_CONTRADICTION, {"field": "quote_group"})
    assert isinstance(desk.admission.admit(CancelOrder(ACCOUNT, 3, "", "r"), NOW_US), Record)


def test_protection_is_for_a_bounded_number_of_groups() -> None:
    """Known groups may always be set; removing one makes room for another."""
    desk = Desk()

    def protect(group: str, fills: int | None = 1) -> Record | Refusal:
        verdict = desk.admission.admit(SetProtection(ACCOUNT, group, fills, None, 1, 0, "r"), NOW_US)
        assert isinstance(verdict, (Record, Refusal))
        return verdict

    for number in range(MAX_QUOTE_GROUPS):
        assert isinstance(protect(f"g{number}"), Record)
    refusal = protect("more")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.details) == (Code.TOO_MANY_QUOTE_GROUPS, {"limit": MAX_QUOTE_GROUPS})
    assert isinstance(protect("g0"), Record)
    assert isinstance(protect("g1", None), Record)
    assert isinstance(protect("more"), Record)
