"""Market-maker protection: quotes that are hit too often at once are taken away, and their group frozen.

Counted are the fills of a group's orders in continuous trading within a sliding window of time. In an auction
nobody is quicker than the maker, so its fills do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from exchange.model.commands import SetProtection
from exchange.model.events import AnyVenueEvent, Cancelled, Traded

Group: TypeAlias = tuple[int, str]
"""Account and name of a group of quotes."""


class Protection(msgspec.Struct, array_like=True):
    """One group: its bounds, the fills within the window, and until when it is frozen, 0 if it is not.

    ``frozen_until_us`` beyond all times means until it is set anew.
    """

    fills: int | None
    lots: int | None
    window_us: int
    frozen_us: int
    recent: list[tuple[int, int]]
    frozen_until_us: int = 0

    def count(self, now_us: int, lots: int) -> bool:
        """Count one fill; whether that is one too many."""
        recent = self.recent
        recent.append((now_us, lots))
        while recent[0][0] <= now_us - self.window_us:
            del recent[0]
        if self.fills is not None and len(recent) >= self.fills:
            return True
        return self.lots is not None and sum(each for _, each in recent) >= self.lots


FOR_EVER = 1 << 62


class ProtectedGroup(msgspec.Struct, frozen=True, array_like=True):
    """One group, its protection and its live orders."""

    account: int
    quote_group: str
    protection: Protection
    orders: list[int]


ProtectionsSnapshot: TypeAlias = list[ProtectedGroup]


class Protections:
    """All groups that are protected. ``orders`` knows the group of each of their live orders."""

    def __init__(self) -> None:
        self._groups: dict[Group, Protection] = {}
        self.orders: dict[int, Group] = {}

    def set(self, command: SetProtection, live: Iterable[int]) -> None:
        """Protect a group anew, whose orders are ``live``, or no longer."""
        group = (command.account, command.quote_group)
        self.orders = {order_id: each for order_id, each in self.orders.items() if each != group}
        self._groups.pop(group, None)
        if command.fills is None and command.lots is None:
            return
        self._groups[group] = Protection(
            command.fills, command.lots, command.window_us, command.frozen_us, []
        )
        self.orders.update(dict.fromkeys(live, group))

    def entered(self, order_id: int, account: int, quote_group: str) -> None:
        """A quote of this group came to rest."""
        group = (account, quote_group)
        if group in self._groups:
            self.orders[order_id] = group

    def is_frozen(self, account: int, quote_group: str, now_us: int) -> bool:
        """Whether the group may not quote."""
        protection = self._groups.get((account, quote_group))
        return protection is not None and now_us < protection.frozen_until_us

    def of(self, account: int, quote_group: str) -> Protection | None:
        """The protection of a group."""
        return self._groups.get((account, quote_group))

    def take(
        self, events: Iterable[AnyVenueEvent], now_us: int, is_live: Callable[[int, int], bool]
    ) -> list[Group]:
        """Count what happened to protected orders; gives the groups that this freezes, in order."""
        frozen: dict[Group, None] = {}
        for event in events:
            if isinstance(event, Traded):
                if event.auction_id is None:
                    for order_id in (event.maker_order_id, event.taker_order_id):
                        group = self.orders.get(order_id)
                        if group is not None and self._groups[group].count(now_us, event.quantity):
                            frozen[group] = None
                self._forget(event.maker_order_id, is_live)
                self._forget(event.taker_order_id, is_live)
            elif isinstance(event, Cancelled):
                self.orders.pop(event.order_id, None)
        for group in frozen:
            protection = self._groups[group]
            protection.recent.clear()
            protection.frozen_until_us = now_us + protection.frozen_us if protection.frozen_us else FOR_EVER
        return list(frozen)

    def state(self) -> object:
        """Canonical content for the state hash."""
        return [
            [group, protection, sorted(each for each, own in self.orders.items() if own == group)]
            for group, protection in sorted(self._groups.items())
        ]

    def snapshot(self) -> ProtectionsSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return [
            ProtectedGroup(*group, protection, [each for each, own in self.orders.items() if own == group])
            for group, protection in self._groups.items()
        ]

    def load(self, snapshot: ProtectionsSnapshot) -> None:
        """Take over a snapshot."""
        for each in snapshot:
            group = (each.account, each.quote_group)
            self._groups[group] = each.protection
            self.orders.update(dict.fromkeys(each.orders, group))

    def _forget(self, order_id: int, is_live: Callable[[int, int], bool]) -> None:
        group = self.orders.get(order_id)
        if group is not None and not is_live(group[0], order_id):
            del self.orders[order_id]
