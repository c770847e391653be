"""Settlement behind two queues: validate, match and settle run apart, in any interleaving."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exchange.base.streams import random_stream
from exchange.engine.venue import Venue
from exchange.model.answers import OrderAnswer
from exchange.model.commands import HOUSE_ACCOUNT, AmendOrder, CancelOrder, NewOrder
from exchange.model.events import AnyPrivateEvent, ExecutionReport, OrderCancelled, PositionUpdate
from exchange.model.order import OrderStatus
from exchange.model.reasons import Code, Refusal
from exchange.model.rules import Bands, GameRules
from exchange.model.types import CancelReason, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import order_terms
from tests.oracle.book import OracleVenue
from tests.support.settling import INSTRUMENTS, AnyVenue, Desk, Floor, new_order

ACCOUNTS = (1, 2, 3)
NAMES = tuple(each.instrument_id for each in INSTRUMENTS)
SIDES = (Side.BUY, Side.SELL)
KINDS = (
    "limit",
    "limit",
    "terms",
    "terms",
    "ioc",
    "market",
    "cancel",
    "amend",
    "amend",
    *("match", "settle") * 6,
)
LIMIT = 30
"""Lots that a team may reach on one side of an instrument: what the floor's admission enforces."""

accounts, names, sides = st.sampled_from(ACCOUNTS), st.sampled_from(NAMES), st.sampled_from(SIDES)
prices, quantities = st.integers(98, 102), st.integers(1, 12)
which = st.integers(0, 99)
short = st.lists(
    st.one_of(
        st.tuples(st.just("limit"), accounts, names, sides, quantities, prices),
        st.tuples(st.just("limit"), accounts, names, sides, quantities, prices),
        st.tuples(st.just("ioc"), accounts, names, sides, quantities, prices),
        st.tuples(st.just("market"), accounts, names, sides, quantities),
        st.tuples(st.just("terms"), accounts, names, sides, quantities, prices, st.integers(0, 10_000)),
        st.tuples(st.just("cancel"), which),
        st.tuples(st.just("amend"), which, st.none() | quantities, st.none() | prices),
        st.tuples(st.just("amend"), which, st.none() | quantities, st.none() | prices),
        st.just(("match",)),
        st.just(("match",)),
        st.just(("settle",)),
        st.just(("settle",)),
    ),
    max_size=60,
)
long = st.integers(0, 10_000).map(lambda seed: _steps(seed, 200))
steps = short | long
"""Short ones shrink to something readable, long ones meet more."""
Step = tuple[Any, ...]
NewVenue = Callable[[], AnyVenue]


def _plain(prevent: SelfTradePrevention) -> AnyVenue:
    return OracleVenue(prevent, instrument_ids=NAMES)


def _real(prevent: SelfTradePrevention) -> AnyVenue:
    return Venue(
        GameRules(
            preset="test",
            instruments=INSTRUMENTS,
            roles=(),
            bands=Bands(enabled=False),
            self_trade_prevention=prevent,
        )
    )


VENUES = [partial(venue, prevent) for venue in (_plain, _real) for prevent in SelfTradePrevention]
venues = st.sampled_from(VENUES)


def _steps(seed: int, count: int) -> list[Step]:
    random = random_stream(seed, "floor")
    return [_step(random) for _ in range(count)]


def _step(random: Random) -> Step:
    kind = random.choice(KINDS)
    if kind in ("match", "settle"):
        return (kind,)
    quantity, price_ticks = random.randint(1, 12), random.randint(98, 102)
    if kind in ("cancel", "amend"):
        terms = (quantity, None), (None, price_ticks), (quantity, price_ticks)
        return (kind, random.randrange(100), *random.choice(terms))
    end = {"market": (), "terms": (price_ticks, random.randrange(10_000))}.get(kind, (price_ticks,))
    return (kind, random.choice(ACCOUNTS), random.choice(NAMES), random.choice(SIDES), quantity, *end)


def _headroom(desk: Desk, account: int, instrument_id: str, side: Side) -> int:
    position = desk.exposure.position(account, instrument_id)
    return LIMIT - side.sign * position - desk.exposure.open_quantity(account, instrument_id, side)


def _enter(floor: Floor, step: Step) -> None:
    kind, account, instrument_id, side, quantity, *price = step
    if quantity > _headroom(floor.desk, account, instrument_id, side):
        return
    if kind == "terms":
        order = order_terms(price[1], account, instrument_id, side, quantity, price[0])
        floor.admit(replace(order, request_id=f"order-{floor.desk.sequence}"))
        return
    floor.admit(
        new_order(
            account,
            side,
            quantity,
            price[0] if price else None,
            instrument_id,
            TimeInForce.GTC if kind == "limit" else TimeInForce.IOC,
            request_id=f"order-{floor.desk.sequence}",
        )
    )


def _change(floor: Floor, step: Step) -> None:
    desk = floor.desk
    live = [order for account in ACCOUNTS for order in desk.register.open_orders(account)]
    if not live:
        return
    order = live[step[1] % len(live)]
    own = order.command
    request_id = f"{step[0]}-{desk.sequence}"
    if step[0] == "cancel":
        floor.admit(CancelOrder(own.account, order.order_id, own.instrument_id, request_id))
        return
    quantity, price_ticks = step[2], None if order.price_ticks is None else step[3]
    amend = AmendOrder(own.account, order.order_id, own.instrument_id, quantity, price_ticks, request_id)
    if desk.growth(amend) <= _headroom(desk, own.account, own.instrument_id, own.side):
        floor.admit(amend)


def _play(done: list[Step], venue: AnyVenue, finished_per_team: int = 10_000) -> Floor:
    floor = Floor(Desk(finished_per_team), venue)
    for step in done:
        if step[0] == "match":
            floor.match()
        elif step[0] == "settle":
            floor.settle()
            _check_always(floor)
        elif step[0] in ("cancel", "amend"):
            _change(floor, step)
        else:
            _enter(floor, step)
    floor.drain()
    _check_always(floor)
    return floor


def _check_always(floor: Floor) -> None:
    """What holds after every settled command, whatever is in flight."""
    ledger, exposure = floor.desk.ledger, floor.desk.exposure
    held = {account: ledger.positions(account) for account in ACCOUNTS}
    for instrument_id in NAMES:
        lots = [held[each][instrument_id].position for each in ACCOUNTS if instrument_id in held[each]]
        assert sum(lots) == 0
        assert all(abs(position) <= LIMIT for position in lots)
    assert sum(map(ledger.cash, ACCOUNTS)) == 0
    assert sum(map(ledger.fees, ACCOUNTS)) == -ledger.fees(HOUSE_ACCOUNT)
    for account in ACCOUNTS:
        positions = {name: exposure.position(account, name) for name in NAMES}
        assert positions == {
            name: held[account][name].position if name in held[account] else 0 for name in NAMES
        }
        assert exposure.total_position(account) == sum(map(abs, positions.values()))
        _check_open(floor, account)


def _check_open(floor: Floor, account: int) -> None:
    desk, total = floor.desk, 0
    amends = [record.command for record in floor.in_flight() if isinstance(record.command, AmendOrder)]
    amending = {(amend.account, amend.instrument_id) for amend in amends}
    for name in NAMES:
        position = desk.exposure.position(account, name)
        opened = {side: desk.exposure.open_quantity(account, name, side) for side in SIDES}
        orders = desk.register.open_orders(account, name)
        for side in SIDES:
            own = [order for order in orders if order.command.side is side]
            remaining = sum(order.remaining_quantity for order in own)
            assert opened[side] >= remaining
            assert opened[side] == remaining or (account, name) in amending
            resting = sum(order.command.can_rest for order in own)
            assert desk.exposure.resting_orders(account, name, side) == resting
        total += max(abs(position + opened[Side.BUY]), abs(position - opened[Side.SELL]))
    assert desk.exposure.total_exposure(account) == total


@given(steps, venues)
def test_settlement_keeps_its_sums_and_limits(done: list[Step], new_venue: NewVenue) -> None:
    """Money sums to nothing and no limit is passed, ever; at rest open lots are those of live orders."""
    desk = _play(done, new_venue()).desk
    for account in ACCOUNTS:
        for name in NAMES:
            for side in SIDES:
                orders = desk.register.open_orders(account, name)
                remaining = sum(each.remaining_quantity for each in orders if each.command.side is side)
                assert desk.exposure.open_quantity(account, name, side) == remaining


@given(steps, venues)
def test_settlement_ends_every_order_once(done: list[Step], new_venue: NewVenue) -> None:
    """One terminal event per finished order, none per live one, and nothing about an order after a cancel."""
    floor = _play(done, new_venue())
    ends: dict[int, int] = defaultdict(int)
    cancelled: set[int] = set()
    filled: dict[int, int] = defaultdict(int)
    for event in floor.told:
        if isinstance(event, PositionUpdate):
            continue
        assert event.order_id not in cancelled
        if isinstance(event, ExecutionReport):
            filled[event.order_id] += event.quantity
            assert event.filled_quantity == filled[event.order_id]
            ends[event.order_id] += event.remaining_quantity == 0
        elif isinstance(event, OrderCancelled):
            cancelled.add(event.order_id)
            ends[event.order_id] += 1
    for account in ACCOUNTS:
        for order in _orders(floor, account):
            assert ends[order.order_id] == order.status.is_final
            assert filled[order.order_id] == order.filled_quantity


def _orders(floor: Floor, account: int) -> list[Any]:
    """Every order of ``account``, live or finished."""
    register = floor.desk.register
    return [*register.open_orders(account), *register.finished(account)]


@given(steps, venues)
def test_settlement_numbers_each_stream_without_gaps(done: list[Step], new_venue: NewVenue) -> None:
    """Each team's events count 1, 2, 3, ... in the order in which they are told; time never goes back."""
    floor = _play(done, new_venue())
    for account in ACCOUNTS:
        told = [event for event in floor.told if event.account == account]
        assert [event.seq for event in told] == list(range(1, len(told) + 1))
        assert [event.timestamp_us for event in told] == sorted(event.timestamp_us for event in told)
        assert floor.desk.settlement.streams.last(account) == len(told)


@given(steps, venues)
def test_settlement_says_what_the_preview_said(done: list[Step], new_venue: NewVenue) -> None:
    """A preview is the report that settlement gives later; a new order always has one."""
    for record, settled, preview in _play(done, new_venue()).settled:
        if preview is None:
            assert not isinstance(record.command, NewOrder)
        else:
            assert isinstance(settled.answer, OrderAnswer)
            assert settled.answer.report == preview


@given(steps, venues, st.sampled_from([1, 3, 10_000]))
def test_settlement_replays_to_the_same_state_and_events(
    done: list[Step], new_venue: NewVenue, finished_per_team: int
) -> None:
    """The records alone, applied in step, give the same events, answers and bytes of state, twice."""
    live = _play(done, new_venue(), finished_per_team)
    for _ in range(2):
        desk, venue = Desk(finished_per_team), new_venue()
        told: list[AnyPrivateEvent] = []
        answers = []
        for record in live.records:
            desk.apply(record)
            settled = desk.settlement.settle(record, venue.apply(record))
            told += settled.private
            answers.append(settled.answer)
        assert told == live.told
        assert answers == [settled.answer for _, settled, _ in live.settled]
        assert desk.encoded_state() == live.desk.encoded_state()


@given(steps, venues)
def test_settlement_reports_value_and_fees_of_its_fills(done: list[Step], new_venue: NewVenue) -> None:
    """Value and fees of an order are the sums over its execution reports, a team's fees over all of them."""
    floor = _play(done, new_venue())
    reports = [event for event in floor.told if isinstance(event, ExecutionReport)]
    assert len({report.exec_id for report in reports}) == len(reports)
    for account in ACCOUNTS:
        own = [report for report in reports if report.account == account]
        assert floor.desk.ledger.fees(account) == sum(report.fees for report in own)
        assert floor.desk.settlement.history.executions(account, 10_000).rows == own
        for order in _orders(floor, account):
            fills = [report for report in own if report.order_id == order.order_id]
            assert order.value == sum(fill.price_ticks * fill.quantity for fill in fills)
            assert order.fees == sum(fill.fees for fill in fills)
            if order.status is OrderStatus.FILLED:
                assert sum(fill.quantity for fill in fills) == order.quantity


@pytest.mark.parametrize("new_venue", VENUES)
def test_settlement_floor_meets_what_it_is_meant_to_test(new_venue: NewVenue) -> None:
    """A long seeded run holds the same, and has fills, refusals and every reason to cancel of this floor."""
    floor = _play(_steps(2, 4_000), new_venue())
    reasons = {event.reason for event in floor.told if isinstance(event, OrderCancelled)}
    codes = {settled.answer.code for _, settled, _ in floor.settled if isinstance(settled.answer, Refusal)}
    assert reasons >= {
        CancelReason.REQUESTED,
        CancelReason.IOC_REMAINDER,
        CancelReason.NO_LIQUIDITY,
        CancelReason.AMENDED_BELOW_FILLED,
        CancelReason.PORTFOLIO_LIMIT,
    }
    assert codes - {Code.POST_ONLY_WOULD_TRADE} == {Code.CANCEL_FAILED, Code.AMEND_FAILED}
    assert floor.desk.settlement.portfolio.breaches(3) > 0


@given(steps, st.sampled_from(SelfTradePrevention))
def test_settlement_tells_the_same_behind_either_venue(
    done: list[Step], prevent: SelfTradePrevention
) -> None:
    """The heap and the sorted list report the same, so teams are told the same and hold the same."""
    plain, real = _play(done, _plain(prevent)), _play(done, _real(prevent))
    assert plain.told == real.told
    assert plain.desk.encoded_state() == real.desk.encoded_state()
