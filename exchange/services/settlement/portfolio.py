"""The soft portfolio limit: what happens when fills carry a team past it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from exchange.model.commands import CancelOrders, CancelScope
from exchange.model.roles import PortfolioLimit, Role
from exchange.model.types import CancelReason, Side
from exchange.services.settlement.ports import Holdings

_NO_LIMIT: Final = 1 << 62


class PortfolioSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """By account: the last total of those past their limit, and how often each passed it."""

    past: dict[int, int]
    breaches: dict[int, int]


class PortfolioWatch:
    """Counts how often teams pass their limits, and wishes the orders away that would take them further."""

    def __init__(self, holdings: Holdings, role_of: Callable[[int], Role]) -> None:
        self._holdings = holdings
        self._role_of = role_of
        self._limits: dict[int, int] = {}
        self._past: dict[int, int] = {}
        self._breaches: dict[int, int] = {}

    def filled(self, accounts: Iterable[int]) -> tuple[CancelOrders, ...]:
        """Judge teams after their fills; gives at most one wish per team, none if nothing of it is open."""
        wishes: list[CancelOrders] = []
        for account in accounts:
            limit = self._limits.get(account)
            if limit is None:
                limit = self._limits[account] = _soft_limit(self._role_of(account))
            total = self._holdings.total_position(account)
            if total > limit:
                wishes += self._passed(account, total)
            elif account in self._past:
                del self._past[account]
        return tuple(wishes)

    def enforced(self, account: int) -> tuple[CancelOrders, ...]:
        """A wish came true. While it waited, others of the team were coalesced with it: look once more."""
        return tuple(self._wish(account)) if account in self._past else ()

    def outstanding(self) -> tuple[CancelOrders, ...]:
        """A wish for every team past its limit: after a crash, which may have taken the one it was given."""
        return tuple(wish for account in sorted(self._past) for wish in self._wish(account))

    def breaches(self, account: int) -> int:
        """How often fills carried ``account`` from within its limit past it."""
        return self._breaches.get(account, 0)

    def state(self) -> object:
        """Canonical content for the state hash."""
        return {"past": sorted(self._past.items()), "breaches": sorted(self._breaches.items())}

    def snapshot(self) -> PortfolioSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return PortfolioSnapshot(self._past, self._breaches)

    def load(self, snapshot: PortfolioSnapshot) -> None:
        """Take over a snapshot."""
        self._past, self._breaches = snapshot.past, snapshot.breaches

    def _passed(self, account: int, total: int) -> Iterable[CancelOrders]:
        before = self._past.get(account)
        self._past[account] = total
        if before is None:
            self._breaches[account] = self.breaches(account) + 1
        elif total <= before:
            return
        yield from self._wish(account)

    def _wish(self, account: int) -> Iterable[CancelOrders]:
        scopes = tuple(self._increasing(account))
        if scopes:
            yield CancelOrders(account, scopes, CancelReason.PORTFOLIO_LIMIT)

    def _increasing(self, account: int) -> Iterable[CancelScope]:
        # A side that reduces at first still counts if its open lots reach beyond the mirror of the position.
        for instrument_id in self._holdings.open_instruments(account):
            position = self._holdings.position(account, instrument_id)
            for side in (Side.BUY, Side.SELL):
                open_quantity = self._holdings.open_quantity(account, instrument_id, side)
                if abs(position + side.sign * open_quantity) > abs(position):
                    yield CancelScope(instrument_id, side)


def _soft_limit(role: Role) -> int:
    limits = [
        row.max_total_position
        for row in role.constraints
        if isinstance(row, PortfolioLimit) and not row.count_open_orders
    ]
    return min(limits, default=_NO_LIMIT)
