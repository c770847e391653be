"""Market-maker protection: quotes that are hit too often at once are taken away, and their group frozen.

Counted are the fills of a group's orders in continuous trading within a sliding window of time. In an auction
nobody is quicker than the maker, so its fills do not count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from exchange.base.bounds import MAX_PROTECTION_FILLS
from exchange.model.commands import SetProtection
from exchange.model.events import AnyVenueEvent, Cancelled, Traded

Group: TypeAlias = tuple[int, str]
"""Account and name of a group of quotes."""
IsLive: TypeAlias = Callable[[int, str, int], bool]
"""Whether an account has, in an instrument, an order."""

FOR_EVER: Final = 1 << 62
"""``frozen_until_us`` of a group that is frozen until its protection is set anew."""


class Counted(NamedTuple):
    """Fills within the window, and their lots."""

    fills: int
    lots: int


class ProtectedGroup(msgspec.Struct, frozen=True, array_like=True):
    """One group, its protection and its live orders."""

    settings: SetProtection
    frozen_until_us: int
    recent: list[tuple[int, int]]
    orders: list[int]


ProtectionsSnapshot: TypeAlias = list[ProtectedGroup]


class Protection:
    """One group: its bounds, the fills within the window, and until when it is frozen, 0 if it never was."""

    __slots__ = ("_lots", "_recent", "frozen_until_us", "settings")

    def __init__(self, settings: SetProtection) -> None:
        self.settings = settings
        self.frozen_until_us = 0
        self._recent: deque[tuple[int, int]] = deque()
        self._lots = 0

    def count(self, now_us: int, lots: int) -> bool:
        """Count one fill; whether that is one too many. As many as can be remembered always are."""
        recent, settings = self._recent, self.settings
        recent.append((now_us, lots))
        self._lots += lots
        while recent[0][0] <= now_us - settings.window_us:
            self._lots -= recent.popleft()[1]
        if len(recent) >= (settings.fills or MAX_PROTECTION_FILLS):
            return True
        return settings.lots is not None and self._lots >= settings.lots

    def freeze(self, now_us: int) -> None:
        """Keep the group out, and count anew after that."""
        self._recent.clear()
        self._lots = 0
        frozen_us = self.settings.frozen_us
        self.frozen_until_us = now_us + frozen_us if frozen_us else FOR_EVER

    def counted(self, now_us: int) -> Counted:
        """What the window holds now."""
        within = [lots for then_us, lots in self._recent if then_us > now_us - self.settings.window_us]
        return Counted(len(within), sum(within))

    def state(self) -> object:
        """Canonical content for the state hash."""
        return [self.settings, self.frozen_until_us, list(self._recent)]

    def snapshot(self, orders: list[int]) -> ProtectedGroup:
        """Everything, with the live orders of the group."""
        return ProtectedGroup(self.settings, self.frozen_until_us, list(self._recent), orders)

    @staticmethod
    def of(snapshot: ProtectedGroup) -> Protection:
        """What a snapshot was taken of."""
        protection = Protection(snapshot.settings)
        protection.frozen_until_us = snapshot.frozen_until_us
        protection._recent.extend(snapshot.recent)
        protection._lots = sum(lots for _, lots in snapshot.recent)
        return protection


class Protections:
    """All groups that are protected. ``orders`` has the group of each of their live orders, and stays the
    same object: while it is empty nobody need be asked.
    """

    def __init__(self) -> None:
        self._groups: dict[Group, Protection] = {}
        self.orders: dict[int, Group] = {}

    def set(self, command: SetProtection, live: Iterable[int]) -> None:
        """Protect a group anew, whose orders are ``live``, or no longer."""
        group = (command.account, command.quote_group)
        self._drop_orders((group,))
        self._groups.pop(group, None)
        if command.fills is None and command.lots is None:
            return
        self._groups[group] = Protection(command)
        self.orders.update(dict.fromkeys(live, group))

    def entered(self, order_id: int, account: int, quote_group: str) -> None:
        """A side of a quote of this group came in."""
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

    def take(self, events: Iterable[AnyVenueEvent], now_us: int, is_live: IsLive) -> list[Group]:
        """Count what happened to protected orders; gives the groups that this freezes, in order.

        Whoever asks ends their orders, which are not known here any more.
        """
        frozen: dict[Group, None] = {}
        traded: dict[int, str] = {}
        for event in events:
            if isinstance(event, Traded):
                frozen.update(dict.fromkeys(self._traded(event, now_us)))
                traded[event.maker_order_id] = traded[event.taker_order_id] = event.instrument_id
            elif isinstance(event, Cancelled):
                self.orders.pop(event.order_id, None)
        # Not before: all the fills of an order count, also where they were its end.
        self._forget_filled(traded, is_live)
        for group in frozen:
            self._groups[group].freeze(now_us)
        if frozen:
            self._drop_orders(frozen)
        return list(frozen)

    def state(self) -> object:
        """Canonical content for the state hash."""
        groups = [[*group, protection.state()] for group, protection in sorted(self._groups.items())]
        return [groups, sorted(self.orders.items())]

    def snapshot(self) -> ProtectionsSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        orders: dict[Group, list[int]] = {group: [] for group in self._groups}
        for order_id, group in self.orders.items():
            orders[group].append(order_id)
        return [protection.snapshot(orders[group]) for group, protection in self._groups.items()]

    def load(self, snapshot: ProtectionsSnapshot) -> None:
        """Take over a snapshot."""
        for each in snapshot:
            group = (each.settings.account, each.settings.quote_group)
            self._groups[group] = Protection.of(each)
            self.orders.update(dict.fromkeys(each.orders, group))

    def _traded(self, trade: Traded, now_us: int) -> list[Group]:
        full: list[Group] = []
        for order_id in (trade.maker_order_id, trade.taker_order_id):
            group = self.orders.get(order_id)
            if group is None:
                continue
            if trade.auction_id is None and self._groups[group].count(now_us, trade.quantity):
                full.append(group)
        return full

    def _forget_filled(self, traded: Mapping[int, str], is_live: IsLive) -> None:
        for order_id, instrument_id in traded.items():
            group = self.orders.get(order_id)
            if group is not None and not is_live(group[0], instrument_id, order_id):
                del self.orders[order_id]

    def _drop_orders(self, groups: Iterable[Group]) -> None:
        dropped = frozenset(groups)
        for order_id in [order_id for order_id, group in self.orders.items() if group in dropped]:
            del self.orders[order_id]
