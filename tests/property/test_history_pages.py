"""Pages read while orders come, trade and end: no row twice, none missed that is not told of."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from exchange.model.commands import CancelOrder
from exchange.model.events import ExecutionReport
from exchange.model.page import Span
from exchange.model.types import SelfTradePrevention, Side
from exchange.services.orders.listing import OrdersWanted, page_of_orders
from exchange.services.settlement.history import History
from tests.oracle.book import OracleVenue
from tests.support.settling import Desk, Floor, new_order

TEAM = 1
LIMITS = st.integers(1, 4)


class Paging(RuleBasedStateMachine):
    """Two readers go through the team's fills and orders, one page at a time, amid everything else."""

    @initialize(kept=st.sampled_from([3, 6, 1_000]))
    def start(self, kept: int) -> None:
        self.desk = Desk(finished_per_team=kept)
        self.history = self.desk.settlement.history = History(kept, kept)
        self.floor = Floor(self.desk, OracleVenue(SelfTradePrevention.NONE))
        self.entered: list[int] = []
        self.below: int | None = None
        self.seen_fills: list[int] = []
        self.missing_told = False
        self.begin_again()

    # --- what happens ---------------------------------------------------------------------------

    @rule(team=st.sampled_from([TEAM, TEAM, 2]), buys=st.booleans(), quantity=st.integers(1, 3))
    def enter(self, team: int, buys: bool, quantity: int) -> None:
        """At one price: whatever meets trades."""
        record = self.floor.admit(new_order(team, Side.BUY if buys else Side.SELL, quantity))
        if team == TEAM:
            self.entered.append(record.sequence)

    @rule(pairs=st.integers(1, 6), cancelled=st.integers(0, 4))
    def rush(self, pairs: int, cancelled: int) -> None:
        """More than is kept, in one go: trades, and orders that end in another order than they came."""
        resting = []
        for _ in range(cancelled):
            self.enter(TEAM, True, 1)
            resting.append(self.entered[-1])
        for _ in range(pairs):
            self.enter(TEAM, True, 1)
            self.enter(2, False, 1)
        self.floor.drain()
        for order_id in reversed(resting):
            self.cancel_order(order_id)
        self.floor.drain()

    @rule()
    def settle(self) -> None:
        self.floor.match()
        self.floor.settle()

    @precondition(lambda self: self.entered)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.cancel_order(data.draw(st.sampled_from(self.entered)))

    def cancel_order(self, order_id: int) -> None:
        order = self.desk.register.get(order_id)
        if order is not None and not order.status.is_final:
            self.floor.admit(CancelOrder(TEAM, order_id, "X", "cancel"))

    # --- what is read ---------------------------------------------------------------------------

    @rule(limit=LIMITS)
    def read_fills(self, limit: int) -> None:
        after = self.seen_fills[-1] if self.seen_fills else None
        page = self.history.executions(TEAM, limit, after)
        there = [each.exec_id for each in self.fills() if after is None or each.exec_id > after]
        rows = [each.exec_id for each in page.rows]
        if page.gone is None:
            assert rows == there[:limit]
        else:
            assert there[0] <= page.gone.number
            assert rows == [each for each in there if each > page.gone.number][:limit]
        assert page.has_more is (bool(rows) and rows[-1] < there[-1])
        self.seen_fills += rows

    @rule(limit=LIMITS)
    def read_orders(self, limit: int) -> None:
        wanted = OrdersWanted(limit=limit, after=self.below)
        page = page_of_orders(self.desk.register, TEAM, wanted)
        there = [each for each in reversed(self.entered) if self.below is None or each < self.below]
        rows = [each.order_id for each in page.rows]
        if page.gone is None:
            assert rows == there[:limit]
        else:
            kept = [each for each in there if self.desk.register.get(each) is not None]
            assert rows == kept[:limit]
        assert not set(rows) & set(self.seen_orders)
        self.seen_orders += rows
        self.missing_told |= page.gone is not None
        if page.has_more:
            self.below = rows[-1]
        else:
            self.finish_orders()

    @rule(first=st.integers(0, 20), length=st.integers(1, 20))
    def read_span(self, first: int, length: int) -> None:
        """A stretch of time has all its fills, or says that some are gone."""
        span = Span(1_000_000 + 10 * first, 1_000_000 + 10 * (first + length))
        page = self.history.executions(TEAM, 1_000, span=span)
        assert span.from_us is not None
        assert span.to_us is not None
        there = [each for each in self.fills() if span.from_us <= each.timestamp_us < span.to_us]
        assert page.rows == there or page.gone is not None

    def fills(self) -> list[ExecutionReport]:
        """All the team ever had."""
        told = (each for each in self.floor.told if isinstance(each, ExecutionReport))
        return [each for each in told if each.account == TEAM]

    def finish_orders(self) -> None:
        """Everything that was there when the first page was read was read, unless a page told otherwise."""
        if not self.missing_told:
            assert self.before <= set(self.seen_orders)
        self.begin_again()

    def begin_again(self) -> None:
        self.below = None
        self.seen_orders: list[int] = []
        self.missing_told = False
        self.before = set(self.entered)


TestPaging = Paging.TestCase
TestPaging.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
