"""What admission needs of the services and the venue beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from exchange.model.answers import OrderReport
from exchange.model.commands import CancelScope, NewOrder, OrderTerms, Record, RegisterTeam
from exchange.model.order import OrderStatus
from exchange.model.reasons import Refusal
from exchange.model.roles import Role
from exchange.model.types import Side


class OrderState(Protocol):
    """An order as the register knows it; ``quantity`` is its total now, ``price_ticks`` its limit now."""

    @property
    def order_id(self) -> int: ...
    @property
    def command(self) -> NewOrder: ...
    @property
    def status(self) -> OrderStatus: ...
    @property
    def price_ticks(self) -> int | None: ...
    @property
    def quantity(self) -> int: ...
    @property
    def filled_quantity(self) -> int: ...


class KnownOrder(Protocol):
    """The first use of a client's own order id."""

    @property
    def order_id(self) -> int: ...
    @property
    def timestamp_us(self) -> int: ...
    @property
    def command(self) -> NewOrder: ...


class Orders(Protocol):
    """The order register."""

    def enter(self, record: Record) -> None: ...
    def get(self, order_id: int) -> OrderState | None: ...
    def by_client_id(self, account: int, client_order_id: str) -> KnownOrder | None: ...
    def quoted(self, account: int, instrument_id: str, quote_group: str, side: Side) -> OrderState | None:
        """The order that is one side of a quote, unless its end was admitted or settled."""

    def latest_limit(self, order_id: int) -> int | None:
        """The limit in ticks that the order has once its amends in flight are through."""

    def most(self, order_id: int) -> int:
        """The largest total the order may come to, with its amends in flight: up to there it is reserved."""

    def amend_pending(self, record: Record) -> None: ...
    def cancel_pending(self, order_id: int) -> None: ...
    def cancels_pending(self, account: int | None, scopes: Iterable[CancelScope]) -> None: ...
    def report(self, order_id: int) -> OrderReport | None: ...


class Holdings(Protocol):
    """What a team holds and could come to hold, in lots. Open means open or in flight."""

    def position(self, account: int, instrument_id: str) -> int: ...
    def open_quantity(self, account: int, instrument_id: str, side: Side) -> int: ...
    def resting_orders(self, account: int, instrument_id: str, side: Side) -> int: ...
    def total_position(self, account: int) -> int: ...
    def total_exposure(self, account: int) -> int:
        """Sum over instruments of max(abs(position + open buys), abs(position - open sells))."""


class Controlled(Holdings, Protocol):
    """What order controls count besides lots, in orders that are open or in flight."""

    @property
    def reduce_only_orders(self) -> int:
        """Of all accounts, in all instruments."""

    def reducing_orders(self, account: int, instrument_id: str, side: Side) -> int: ...
    def stop_orders(self, account: int, instrument_id: str) -> int: ...


class Exposure(Controlled, Protocol):
    """Holdings that admission may reserve from."""

    def reserve(
        self,
        account: int,
        instrument_id: str,
        side: Side,
        quantity: int,
        can_rest: bool,
        terms: OrderTerms | None,
    ) -> None: ...
    def reserve_more(self, account: int, instrument_id: str, side: Side, quantity: int) -> None: ...


class TeamState(Protocol):
    """A registered team."""

    @property
    def role(self) -> Role: ...
    @property
    def disabled(self) -> bool: ...
    @property
    def protected_groups(self) -> frozenset[str]: ...


class Teams(Protocol):
    """The team registry. ``complete`` gives a registration its account and its role's own name."""

    def by_account(self, account: int) -> TeamState | None: ...
    def complete(self, command: RegisterTeam) -> RegisterTeam | Refusal: ...
    def register(self, record: Record) -> None: ...
    def rotate(self, record: Record) -> None: ...
    def disable(self, record: Record) -> None: ...
    def guard(self, record: Record) -> None: ...
    def protect(self, record: Record) -> None: ...


class Market(Protocol):
    """The venue, as far as it decides what is admitted."""

    def band(self, instrument_id: str) -> tuple[int, int] | None:
        """Lowest and highest price in ticks, None where there is no band."""

    def is_frozen(self, account: int, quote_group: str, now_us: int) -> bool:
        """Whether protection has ended the quotes of this group; match may know more."""
