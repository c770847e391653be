"""Stand-ins for what admission needs, and short ways to say what a test sends."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from exchange.model.answers import OrderReport
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelScope,
    NewOrder,
    OrderTerms,
    Record,
    RegisterTeam,
)
from exchange.model.instrument import Instrument
from exchange.model.order import OrderStatus
from exchange.model.roles import AnyConstraint, Role
from exchange.model.rules import GameRules
from exchange.model.types import InstrumentKind, OptionKind, OrderType, Side, TimeInForce

NOW_US = 1_704_067_200_000_000
SECOND_US = 1_000_000
ACCOUNT, OTHER_ACCOUNT = 1, 2
CALL, SPX, SPY = "SPX_CALL_4500_20240315", "SPX", "SPY"


class FakeOrder(msgspec.Struct):
    order_id: int
    timestamp_us: int
    command: NewOrder
    status: OrderStatus
    price_ticks: int | None
    quantity: int
    filled_quantity: int = 0


class FakeOrders:
    """Holds whatever was entered; a test moves the orders on by hand."""

    def __init__(self) -> None:
        self.orders: dict[int, FakeOrder] = {}
        self.amends: list[Record] = []
        self.forgotten: set[int] = set()
        self.ended: set[int] = set()

    def enter(self, record: Record) -> None:
        command = record.command
        assert isinstance(command, NewOrder)
        self.orders[record.sequence] = FakeOrder(
            record.sequence,
            record.timestamp_us,
            command,
            OrderStatus.ACCEPTED,
            command.price_ticks,
            command.quantity,
        )

    def get(self, order_id: int) -> FakeOrder | None:
        return None if order_id in self.forgotten else self.orders.get(order_id)

    def by_client_id(self, account: int, client_order_id: str) -> FakeOrder | None:
        for order in self.orders.values():
            if (order.command.account, order.command.client_order_id) == (account, client_order_id):
                return order
        return None

    def quoted(self, account: int, instrument_id: str, quote_group: str, side: Side) -> FakeOrder | None:
        for order in self.orders.values():
            command = order.command
            named = (command.account, command.instrument_id, command.all_terms.quote_group, command.side)
            if named == (account, instrument_id, quote_group, side) and order.order_id not in self.ended:
                return order
        return None

    def latest_limit(self, order_id: int) -> int | None:
        price_ticks = self.orders[order_id].price_ticks
        for record in self.amends:
            amend = record.command
            assert isinstance(amend, AmendOrder)
            if amend.order_id == order_id and amend.price_ticks is not None:
                price_ticks = amend.price_ticks
        return price_ticks

    def cancel_pending(self, order_id: int) -> None:
        self.ended.add(order_id)

    def cancels_pending(self, account: int | None, scopes: Iterable[CancelScope]) -> None:
        for order in self.orders.values():
            if account in (None, order.command.account) and any(
                each.covers(order.command) for each in scopes
            ):
                self.ended.add(order.order_id)

    def most(self, order_id: int) -> int:
        totals = [self.orders[order_id].quantity]
        for record in self.amends:
            amend = record.command
            assert isinstance(amend, AmendOrder)
            if amend.order_id == order_id and amend.quantity is not None:
                totals.append(amend.quantity)
        return max(totals)

    def amend_pending(self, record: Record) -> None:
        self.amends.append(record)

    def report(self, order_id: int) -> OrderReport | None:
        order = self.get(order_id)
        return (
            None if order is None else OrderReport(order.status, order.quantity, 0, 0, 0, order.price_ticks)
        )


class FakeExposure:
    """Holdings that a test sets by hand; reservations are written down."""

    def __init__(self) -> None:
        self.positions: dict[tuple[int, str], int] = defaultdict(int)
        self.open: dict[tuple[int, str, Side], int] = defaultdict(int)
        self.resting: dict[tuple[int, str, Side], int] = defaultdict(int)
        self.reducing: dict[tuple[int, str, Side], int] = defaultdict(int)
        self.stops: dict[tuple[int, str], int] = defaultdict(int)
        self.reserved: list[tuple[int, str, Side, int, bool | None]] = []

    def position(self, account: int, instrument_id: str) -> int:
        return self.positions[account, instrument_id]

    def open_quantity(self, account: int, instrument_id: str, side: Side) -> int:
        return self.open[account, instrument_id, side]

    def resting_orders(self, account: int, instrument_id: str, side: Side) -> int:
        return self.resting[account, instrument_id, side]

    def total_position(self, account: int) -> int:
        return sum(abs(lots) for (owner, _), lots in self.positions.items() if owner == account)

    def total_exposure(self, account: int) -> int:
        total = 0
        for instrument_id in (CALL, SPX, SPY):
            position = self.positions[account, instrument_id]
            longest = position + self.open[account, instrument_id, Side.BUY]
            shortest = position - self.open[account, instrument_id, Side.SELL]
            total += max(abs(longest), abs(shortest))
        return total

    def reducing_orders(self, account: int, instrument_id: str, side: Side) -> int:
        return self.reducing[account, instrument_id, side]

    def stop_orders(self, account: int, instrument_id: str) -> int:
        return self.stops[account, instrument_id]

    @property
    def reduce_only_orders(self) -> int:
        return sum(self.reducing.values())

    def reserve(
        self,
        account: int,
        instrument_id: str,
        side: Side,
        quantity: int,
        can_rest: bool,
        terms: OrderTerms | None = None,
    ) -> None:
        self.reserved.append((account, instrument_id, side, quantity, can_rest))
        self.open[account, instrument_id, side] += quantity
        self.resting[account, instrument_id, side] += can_rest
        if terms is not None:
            self.reducing[account, instrument_id, side] += terms.reduce_only
            self.stops[account, instrument_id] += terms.stop_price_ticks is not None

    def reserve_more(self, account: int, instrument_id: str, side: Side, quantity: int) -> None:
        self.reserved.append((account, instrument_id, side, quantity, None))
        self.open[account, instrument_id, side] += quantity


class FakeMarket:
    """Bands and frozen groups that a test sets; none where it sets none."""

    def __init__(self) -> None:
        self.bands: dict[str, tuple[int, int]] = {}
        self.frozen: dict[tuple[int, str], int] = {}

    def band(self, instrument_id: str) -> tuple[int, int] | None:
        return self.bands.get(instrument_id)

    def is_frozen(self, account: int, quote_group: str, now_us: int) -> bool:
        return now_us < self.frozen.get((account, quote_group), 0)


def instruments(tick_size: str = "0.01") -> tuple[Instrument, ...]:
    """An index, an ETF and an option."""

    def make(instrument_id: str, kind: InstrumentKind, option_kind: OptionKind | None = None) -> Instrument:
        return Instrument(
            instrument_id=instrument_id,
            kind=kind,
            tick_size=tick_size,
            multiplier=100,
            first_price_ticks=1000,
            option_kind=option_kind,
        )

    return (
        make(SPX, InstrumentKind.INDEX),
        make(SPY, InstrumentKind.ETF),
        make(CALL, InstrumentKind.OPTION, OptionKind.CALL),
    )


def rules(*constraints: AnyConstraint, tick_size: str = "0.01", max_teams: int = 1000) -> GameRules:
    """One open role "trader" with these constraints, and "house", which is not open."""
    trader = Role(name="trader", constraints=constraints, aliases=("trading_desk",))
    house = Role(name="house", open=False)
    return GameRules(
        preset="test", instruments=instruments(tick_size), roles=(trader, house), max_teams=max_teams
    )


def new_order(
    side: Side = Side.BUY,
    quantity: int = 10,
    price_ticks: int | None = 1000,
    *,
    account: int = ACCOUNT,
    instrument_id: str = CALL,
    time_in_force: TimeInForce | None = None,
    order_type: OrderType | None = None,
    client_order_id: str | None = None,
    request_id: str = "req",
    terms: OrderTerms | None = None,
) -> NewOrder:
    """A limit order, or a market order where there is no price."""
    if order_type is None:
        order_type = OrderType.MARKET if price_ticks is None else OrderType.LIMIT
    if time_in_force is None:
        time_in_force = TimeInForce.IOC if order_type is OrderType.MARKET else TimeInForce.GTC
    return NewOrder(
        account,
        instrument_id,
        side,
        order_type,
        price_ticks,
        quantity,
        time_in_force,
        client_order_id,
        request_id,
        terms,
    )


def cancel(order_id: int, account: int = ACCOUNT, instrument_id: str = "") -> CancelOrder:
    """The instrument is for admission to fill in."""
    return CancelOrder(account, order_id, instrument_id, "req")


def amend(
    order_id: int,
    quantity: int | None = None,
    price_ticks: int | None = None,
    account: int = ACCOUNT,
    stop_price_ticks: int | None = None,
) -> AmendOrder:
    """The instrument is for admission to fill in."""
    return AmendOrder(account, order_id, "", quantity, price_ticks, "req", stop_price_ticks)


def registration(name: str, role: str = "trader", by_operator: bool = False) -> RegisterTeam:
    """With a key hash of its own for each name."""
    key_hash = name.encode()[:32].ljust(32, b"\0")
    return RegisterTeam(name, role, key_hash, "req", by_operator=by_operator)
