"""The order register. Validate enters orders, settle moves them on; nobody else changes one."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator

from exchange.base.bounds import CLIENT_ORDER_IDS_PER_TEAM, FINISHED_ORDERS_PER_TEAM
from exchange.model.answers import OrderReport
from exchange.model.commands import AmendOrder, CancelScope, NewOrder, Record
from exchange.model.order import OrderStatus, Trigger, next_status
from exchange.model.page import Gone
from exchange.model.types import CancelReason, Side
from exchange.services.orders.order import (
    FreedLots,
    KnownOrder,
    Order,
    PendingAmend,
    RegisterSnapshot,
    TeamOrders,
)

_ACCEPTED = OrderStatus.ACCEPTED
_ACKNOWLEDGE, _AMEND, _CANCEL = Trigger.ACKNOWLEDGE, Trigger.AMEND, Trigger.CANCEL
_PARK, _TRIGGER = Trigger.PARK, Trigger.TRIGGER
_FILL_PARTLY, _FILL_FULLY = Trigger.FILL_PARTLY, Trigger.FILL_FULLY


class _Team:
    """Orders of one account. The deques say what is oldest: a dict that is eaten from its front is slow."""

    __slots__ = ("finished", "gone", "known", "known_ids", "open", "quotes")

    def __init__(self) -> None:
        self.gone: Order | None = None
        self.open: dict[int, Order] = {}
        self.finished: deque[int] = deque()
        self.known: dict[str, KnownOrder] = {}
        self.known_ids: deque[str] = deque()
        self.quotes: dict[tuple[str, str, Side], Order] = {}


class OrderRegister:
    """Every live order, the last finished ones of each team and the client order ids they used."""

    def __init__(
        self,
        finished_per_team: int = FINISHED_ORDERS_PER_TEAM,
        known_per_team: int = CLIENT_ORDER_IDS_PER_TEAM,
    ) -> None:
        self._finished_per_team = finished_per_team
        self._known_per_team = known_per_team
        self._orders: dict[int, Order] = {}
        self._teams: dict[int, _Team] = {}
        self._amends: dict[int, PendingAmend] = {}
        self._amends_of: dict[int, list[int]] = {}
        self._last_order_id = 0

    # --- what validate does ---------------------------------------------------------------------

    def enter(self, record: Record) -> None:
        """Take up an accepted order: ``record.command`` is a NewOrder, its sequence the order's number."""
        command, order_id, timestamp_us = record.command, record.sequence, record.timestamp_us
        assert isinstance(command, NewOrder)
        assert order_id > self._last_order_id, "orders are entered in the order of their numbers"
        self._last_order_id = order_id
        order = Order(order_id, timestamp_us, command, _ACCEPTED, command.price_ticks, command.quantity)
        order.updated_at_us = timestamp_us
        team, terms = self._team(command.account), command.terms
        if terms is not None:
            order.stop_price_ticks = terms.stop_price_ticks
            self._note_quote(team, order)
        self._orders[order_id] = team.open[order_id] = order
        if command.client_order_id is not None:
            self._remember(team, command.client_order_id, KnownOrder(order_id, timestamp_us, command))

    def amend_pending(self, record: Record) -> None:
        """An amend of a live order was admitted: remember it until it settles."""
        command = record.command
        assert isinstance(command, AmendOrder)
        order = self._orders[command.order_id]
        pending = PendingAmend(order, command.quantity, command.price_ticks)
        assert record.sequence not in self._amends
        self._keep_amend(record.sequence, pending)

    def cancel_pending(self, order_id: int) -> None:
        """A cancel was admitted: match will find no order to amend, so a new quote needs a new one."""
        order = self._orders.get(order_id)
        if order is not None and order.command.terms is not None:
            self._unquote(order)

    def cancels_pending(self, account: int | None, scopes: Iterable[CancelScope]) -> None:
        """The same for a mass cancel, of one account or of all."""
        for team in self._teams.values() if account is None else [self._team(account)]:
            for order in [*team.quotes.values()] if team.quotes else ():
                if any(scope.covers(order.command) for scope in scopes):
                    self._unquote(order)

    # --- what settle does -----------------------------------------------------------------------

    def acknowledge(self, order_id: int) -> Order:
        """Match took the order."""
        order = self._orders[order_id]
        order.status = next_status(order.status, _ACKNOWLEDGE)
        return order

    def reprice(self, order_id: int, price_ticks: int) -> None:
        """Match gave a post-only order another limit than it came with."""
        self._orders[order_id].price_ticks = price_ticks

    def park(self, order_id: int) -> Order:
        """Match took a stop: it waits."""
        order = self._orders[order_id]
        order.status = next_status(order.status, _PARK)
        return order

    def trigger(self, order_id: int) -> Order:
        """A stop entered the market."""
        order = self._orders[order_id]
        order.status = next_status(order.status, _TRIGGER)
        return order

    def fill(self, order_id: int, price_ticks: int, quantity: int, fees: int, timestamp_us: int) -> Order:
        """Book one fill; the last lot finishes the order."""
        order = self._orders[order_id]
        filled = order.filled_quantity + quantity
        assert quantity > 0
        assert filled <= order.quantity, "an order is never filled beyond its quantity"
        done = filled == order.quantity
        order.status = next_status(order.status, _FILL_FULLY if done else _FILL_PARTLY)
        order.filled_quantity = filled
        order.value += price_ticks * quantity
        order.fees += fees
        order.updated_at_us = timestamp_us
        if done:
            self._finish(order)
        return order

    def amend(
        self,
        order_id: int,
        price_ticks: int | None,
        quantity: int,
        timestamp_us: int,
        stop_price_ticks: int | None = None,
    ) -> Order:
        """Give the order its new limit, total and stop price; a stop price of None keeps what is."""
        order = self._orders[order_id]
        assert quantity >= order.filled_quantity
        order.status = next_status(order.status, _AMEND)
        order.price_ticks = price_ticks
        order.quantity = quantity
        order.updated_at_us = timestamp_us
        if stop_price_ticks is not None:
            order.stop_price_ticks = stop_price_ticks
        return order

    def decrement(self, order_id: int, quantity: int, timestamp_us: int) -> int:
        """Self-trade prevention lowered the total to ``quantity``; gives the lots that are free by that."""
        order = self._orders[order_id]
        before = self._most(order)
        self.amend(order_id, order.price_ticks, quantity, timestamp_us)
        return before - self._most(order)

    def cancel(self, order_id: int, reason: CancelReason, timestamp_us: int) -> Order:
        """Finish the order; what it has not filled is given up."""
        order = self._orders[order_id]
        order.status = next_status(order.status, _CANCEL)
        order.cancel_reason = reason
        order.updated_at_us = timestamp_us
        self._finish(order)
        return order

    def amend_settled(self, record: Record, applied: bool) -> FreedLots | None:
        """An amend took effect or did not; gives the lots that are free by that, None if it is unknown.

        Comes before the trades of the amend, which are of its new total.
        """
        command, pending = record.command, self._amends.get(record.sequence)
        assert isinstance(command, AmendOrder)
        if pending is None:
            return None
        order = pending.order
        before = self._most(order)
        del self._amends[record.sequence]
        others = self._amends_of[order.order_id]
        others.remove(record.sequence)
        if not others:
            del self._amends_of[order.order_id]
        if applied:
            price_ticks = order.price_ticks if command.price_ticks is None else command.price_ticks
            quantity = order.quantity if command.quantity is None else command.quantity
            self.amend(order.order_id, price_ticks, quantity, record.timestamp_us, command.stop_price_ticks)
        return FreedLots(order.command, before - self._most(order))

    # --- what anyone may ask --------------------------------------------------------------------

    def get(self, order_id: int) -> Order | None:
        """The order, live or among the last finished of its team."""
        return self._orders.get(order_id)

    def by_client_id(self, account: int, client_order_id: str) -> KnownOrder | None:
        """The accepted order that used this id, also after the order itself left the register."""
        team = self._teams.get(account)
        return None if team is None else team.known.get(client_order_id)

    def quoted(self, account: int, instrument_id: str, quote_group: str, side: Side) -> Order | None:
        """The order that is one side of a quote, unless its end was admitted or settled."""
        team = self._teams.get(account)
        return None if team is None else team.quotes.get((instrument_id, quote_group, side))

    def most(self, order_id: int) -> int:
        """The largest total the order may come to: now's, or that of an amend in flight.

        What is open of an order is reserved up to here: whatever becomes of its amends, it fills no further.
        """
        return self._most(self._orders[order_id])

    def latest_limit(self, order_id: int) -> int | None:
        """The limit in ticks that the order has once its amends in flight are through."""
        for sequence in reversed(self._amends_of.get(order_id, ())):
            price_ticks = self._amends[sequence].price_ticks
            if price_ticks is not None:
                return price_ticks
        return self._orders[order_id].price_ticks

    def has_pending_amend(self, order_id: int) -> bool:
        """Whether an amend of this order was admitted and not yet settled."""
        return order_id in self._amends_of

    def report(self, order_id: int) -> OrderReport | None:
        """How the order stands, for an answer."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        return OrderReport(
            order.status,
            order.quantity,
            order.filled_quantity,
            order.value,
            order.fees,
            order.price_ticks,
            order.stop_price_ticks,
        )

    def open_orders(self, account: int, instrument_id: str | None = None) -> list[Order]:
        """Live orders by order_id, those in flight included; costs as much as the team has open."""
        team = self._teams.get(account)
        if team is None:
            return []
        if instrument_id is None:
            return list(team.open.values())
        return [order for order in team.open.values() if order.command.instrument_id == instrument_id]

    def finished(self, account: int, after: int | None = None) -> Iterator[Order]:
        """Finished orders still kept, highest order_id first; ``after`` continues below that order_id."""
        team = self._teams.get(account)
        if team is None:
            return iter(())
        kept = sorted(team.finished)
        end = len(kept) if after is None else bisect_left(kept, after)
        return (self._orders[kept[place]] for place in range(end - 1, -1, -1))

    def gone(self, account: int) -> Gone | None:
        """The highest of the finished orders that are no longer kept; others below it may be."""
        team = self._teams.get(account)
        if team is None or team.gone is None:
            return None
        return Gone(team.gone.order_id, team.gone.timestamp_us)

    def first_finished(self, account: int) -> int | None:
        """Of the finished orders still kept the one that ended first: after all those that are not."""
        team = self._teams.get(account)
        return team.finished[0] if team is not None and team.finished else None

    def state(self) -> object:
        """Canonical content for the state hash: encode it before the next command, it is not a copy."""
        return {
            "teams": [[account, self._team_state(team)] for account, team in sorted(self._teams.items())],
            "amends": sorted(self._amends.items()),
        }

    # --- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> RegisterSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        teams = [self._team_snapshot(account, team) for account, team in self._teams.items()]
        return RegisterSnapshot(teams, list(self._amends.items()), self._last_order_id)

    def load(self, snapshot: RegisterSnapshot) -> None:
        """Take over a snapshot, as an empty register."""
        for row in snapshot.teams:
            self._load_team(self._team(row.account), row)
        for sequence, pending in snapshot.amends:
            order = self._orders.get(pending.order.order_id, pending.order)
            self._keep_amend(sequence, PendingAmend(order, pending.quantity, pending.price_ticks))
        self._last_order_id = snapshot.last_order_id

    def _team_snapshot(self, account: int, team: _Team) -> TeamOrders:
        orders = self._orders
        known = [each.order_id if each.order_id in orders else each for each in team.known.values()]
        finished = [orders[order_id] for order_id in team.finished]
        return TeamOrders(account, list(team.open.values()), finished, known, team.gone)

    def _load_team(self, team: _Team, row: TeamOrders) -> None:
        orders = self._orders
        team.gone = row.gone
        for order in row.open:
            orders[order.order_id] = team.open[order.order_id] = order
            self._note_quote(team, order)
        for order in row.finished:
            orders[order.order_id] = order
            team.finished.append(order.order_id)
        for each in row.known:
            if isinstance(each, int):
                order = orders[each]
                known = KnownOrder(each, order.timestamp_us, order.command)
            else:
                known = each
            assert known.command.client_order_id is not None
            self._remember(team, known.command.client_order_id, known)

    # --------------------------------------------------------------------------------------------

    def _most(self, order: Order) -> int:
        totals = [self._amends[each].quantity or 0 for each in self._amends_of.get(order.order_id, ())]
        return max(order.quantity, *totals) if totals else order.quantity

    def _note_quote(self, team: _Team, order: Order) -> None:
        if order.command.all_terms.quote_group is not None:
            team.quotes[_quote_key(order.command)] = order

    def _keep_amend(self, sequence: int, pending: PendingAmend) -> None:
        self._amends[sequence] = pending
        self._amends_of.setdefault(pending.order.order_id, []).append(sequence)

    def _team(self, account: int) -> _Team:
        team = self._teams.get(account)
        if team is None:
            team = self._teams[account] = _Team()
        return team

    def _remember(self, team: _Team, client_order_id: str, known: KnownOrder) -> None:
        assert client_order_id not in team.known, "a known client order id is a resend, not an order"
        team.known[client_order_id] = known
        team.known_ids.append(client_order_id)
        if len(team.known_ids) > self._known_per_team:
            del team.known[team.known_ids.popleft()]

    def _finish(self, order: Order) -> None:
        team = self._teams[order.command.account]
        del team.open[order.order_id]
        if order.command.terms is not None:
            self._unquote(order)
        team.finished.append(order.order_id)
        if len(team.finished) > self._finished_per_team:
            forgotten = self._orders.pop(team.finished.popleft())
            if team.gone is None or forgotten.order_id > team.gone.order_id:
                team.gone = forgotten

    def _unquote(self, order: Order) -> None:
        command = order.command
        if command.all_terms.quote_group is None:
            return
        quotes, key = self._teams[command.account].quotes, _quote_key(command)
        if quotes.get(key) is order:
            del quotes[key]

    def _team_state(self, team: _Team) -> object:
        return {
            "open": list(team.open.values()),
            "quotes": sorted(order.order_id for order in team.quotes.values()),
            "finished": [self._orders[order_id] for order_id in team.finished],
            "known": list(team.known.items()),
            "gone": None if team.gone is None else (team.gone.order_id, team.gone.timestamp_us),
        }


def _quote_key(order: NewOrder) -> tuple[str, str, Side]:
    group = order.all_terms.quote_group
    assert group is not None
    return order.instrument_id, group, order.side
