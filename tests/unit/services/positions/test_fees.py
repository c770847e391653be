"""Fees by role and liquidity."""

from __future__ import annotations

import pytest

from exchange.model.roles import Fees, Role
from exchange.model.types import Liquidity
from exchange.services.positions.fees import FeeSchedule

ROLES = {
    1: Role(name="market_maker", fees=Fees(maker=200, taker=-100, auction=0)),
    2: Role(name="hedge_fund", fees=Fees(maker=100, taker=-200, auction=-5)),
}


@pytest.mark.parametrize(
    ("account", "liquidity", "fee"),
    [
        (1, Liquidity.MAKER, 2_000),
        (1, Liquidity.TAKER, -1_000),
        (1, Liquidity.AUCTION, 0),
        (2, Liquidity.MAKER, 1_000),
        (2, Liquidity.TAKER, -2_000),
        (2, Liquidity.AUCTION, -50),
    ],
)
def test_fee_is_per_lot_by_role_and_liquidity(account: int, liquidity: Liquidity, fee: int) -> None:
    """Ten lots, signed: a rebate is positive."""
    assert FeeSchedule(ROLES.__getitem__).fee(account, liquidity, 10) == fee


def test_fee_of_an_unknown_account_is_a_bug() -> None:
    """Nobody trades without a role."""
    with pytest.raises(KeyError):
        FeeSchedule(ROLES.__getitem__).fee(3, Liquidity.MAKER, 1)
