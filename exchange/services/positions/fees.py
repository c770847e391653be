"""What a fill costs, by the role of the account and by who was resting."""

from __future__ import annotations

from collections.abc import Callable

from exchange.model.roles import Fees, Role
from exchange.model.types import Liquidity

_MAKER, _TAKER = Liquidity.MAKER, Liquidity.TAKER


class FeeSchedule:
    """Fees in money (1/10,000), signed like all money: a rebate is positive.

    ``role_of`` gives the role of an account; an account keeps its role for the whole game.
    """

    def __init__(self, role_of: Callable[[int], Role]) -> None:
        self._role_of = role_of
        self._fees: dict[int, Fees] = {}

    def fee(self, account: int, liquidity: Liquidity, quantity: int) -> int:
        """Fees of ``quantity`` lots."""
        fees = self._fees.get(account)
        if fees is None:
            fees = self._fees[account] = self._role_of(account).fees
        if liquidity is _MAKER:
            return fees.maker * quantity
        if liquidity is _TAKER:
            return fees.taker * quantity
        return fees.auction * quantity
