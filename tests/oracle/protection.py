"""Market-maker protection that is slow and obviously right: every fill since the group began anew is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from exchange.base.bounds import MAX_PROTECTION_FILLS
from exchange.model.commands import NewOrder, SetProtection
from exchange.model.events import AnyVenueEvent, Traded

Group: TypeAlias = tuple[int, str]
"""Account and name of a group of quotes."""


@dataclass
class _Protection:
    bounds: SetProtection
    fills: list[tuple[int, int]] = field(default_factory=list)
    """When, and how many lots."""
    frozen_until_us: float = 0

    def count(self, now_us: int, lots: int) -> bool:
        self.fills.append((now_us, lots))
        within = [each for when_us, each in self.fills if when_us > now_us - self.bounds.window_us]
        too_many = len(within) >= (self.bounds.fills or MAX_PROTECTION_FILLS)
        return too_many or (self.bounds.lots is not None and sum(within) >= self.bounds.lots)


class OracleProtections:
    """``command_of`` gives the order with a number, live or not."""

    def __init__(self, command_of: Callable[[int], NewOrder]) -> None:
        self._groups: dict[Group, _Protection] = {}
        self._command_of = command_of

    def set(self, command: SetProtection) -> None:
        """Protect a group anew, or no longer."""
        group = (command.account, command.quote_group)
        self._groups.pop(group, None)
        if command.fills is not None or command.lots is not None:
            self._groups[group] = _Protection(command)

    def is_frozen(self, order: NewOrder, now_us: int) -> bool:
        """Whether this side of a quote is kept out."""
        found = self._group(order)
        return found is not None and now_us < self._groups[found].frozen_until_us

    def freeze(self, events: Sequence[AnyVenueEvent], now_us: int) -> list[Group]:
        """Count the fills of continuous trading; gives the groups that have had too many."""
        frozen: list[Group] = []
        for event in events:
            if isinstance(event, Traded) and event.auction_id is None:
                for order_id in (event.maker_order_id, event.taker_order_id):
                    group = self._group(self._command_of(order_id))
                    if group is not None and self._groups[group].count(now_us, event.quantity):
                        frozen.append(group)
        for group in frozen:
            protection = self._groups[group]
            frozen_us = protection.bounds.frozen_us
            protection.frozen_until_us = now_us + frozen_us if frozen_us else float("inf")
            protection.fills.clear()
        return list(dict.fromkeys(frozen))

    def _group(self, order: NewOrder) -> Group | None:
        name = order.all_terms.quote_group
        group = None if name is None else (order.account, name)
        return group if group in self._groups else None
