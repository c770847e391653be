"""Constraints that look at what a team holds."""

from __future__ import annotations

from collections.abc import Mapping

from exchange.model.instrument import Instrument
from exchange.model.reasons import Refusal
from exchange.model.roles import NoTwoSided, PortfolioLimit, PositionLimit
from exchange.model.types import InstrumentKind, Side
from exchange.services.validation.ports import Holdings
from exchange.services.validation.proposal import Proposal
from exchange.services.validation.replies import Reply


class Position:
    """Position with everything open on the order's side filled, and nothing on the other.

    ``instruments`` and ``kinds`` together name those limited, neither means all. Not ``symmetric``: only the
    long side is limited.
    """

    def __init__(self, row: PositionLimit, instruments: Mapping[str, Instrument], holdings: Holdings) -> None:
        if row.max_position < 0:
            raise ValueError("position_limit: max_position must not be negative")
        self._limit = row.max_position
        self._symmetric = row.symmetric
        self._instruments = _limited(row, instruments)
        self._holdings = holdings
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        order, increase = proposal.order, proposal.increase
        side, instrument_id = order.side, order.instrument_id
        is_buy = side is Side.BUY
        if instrument_id not in self._instruments or not increase or not (is_buy or self._symmetric):
            return None
        position = self._holdings.position(order.account, instrument_id)
        open_quantity = self._holdings.open_quantity(order.account, instrument_id, side)
        if (position if is_buy else -position) + open_quantity + increase <= self._limit:
            return None
        return self._reply.refuse(
            {
                "instrument_id": instrument_id,
                "current_position": position,
                "open_quantity": open_quantity,
                "order_quantity": increase,
                "limit": self._limit,
            }
        )


def _limited(row: PositionLimit, instruments: Mapping[str, Instrument]) -> frozenset[str]:
    if row.instruments is None and row.kinds is None:
        return frozenset(instruments)
    require_known(row.instruments or (), instruments)
    kinds = {InstrumentKind(kind) for kind in row.kinds or ()}
    of_kinds = (each.instrument_id for each in instruments.values() if each.kind in kinds)
    return frozenset(row.instruments or ()).union(of_kinds)


def require_known(instrument_ids: tuple[str, ...], instruments: Mapping[str, Instrument]) -> None:
    """Raises ValueError where config names an instrument that is not traded."""
    unknown = sorted(set(instrument_ids) - set(instruments))
    if unknown:
        raise ValueError(f"unknown instruments {', '.join(unknown)}")


class Portfolio:
    """Positions with the order itself filled; fills of other open orders may still carry a team past it."""

    def __init__(self, row: PortfolioLimit, holdings: Holdings) -> None:
        if row.max_total_position < 0:
            raise ValueError("portfolio_limit: max_total_position must not be negative")
        self._limit = row.max_total_position
        self._holdings = holdings
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        order, increase = proposal.order, proposal.increase
        position = self._holdings.position(order.account, order.instrument_id)
        after = position + increase if order.side is Side.BUY else position - increase
        growth = abs(after) - abs(position)
        if growth < 0 or not increase:
            return None
        return self._judge(self._holdings.total_position(order.account), growth, increase)

    def _judge(self, total: int, growth: int, increase: int) -> Refusal | None:
        if total + growth <= self._limit:
            return None
        details = {"total_position": total, "order_quantity": increase, "limit": self._limit}
        return self._reply.refuse(details)


class HardPortfolio(Portfolio):
    """``count_open_orders``: every open order too, so that no fill can pass the limit.

    What does not raise the worst case of its instrument passes: an order that reduces the position, as long
    as the open orders of its side do not already turn it round.
    """

    def check(self, proposal: Proposal) -> Refusal | None:
        order, increase, holdings = proposal.order, proposal.increase, self._holdings
        account, instrument_id = order.account, order.instrument_id
        position = holdings.position(account, instrument_id)
        longest = position + holdings.open_quantity(account, instrument_id, Side.BUY)
        shortest = position - holdings.open_quantity(account, instrument_id, Side.SELL)
        worst = max(longest, -shortest)
        changed = longest + increase if order.side is Side.BUY else increase - shortest
        if changed <= worst:
            return None
        return self._judge(holdings.total_exposure(account), changed - worst, increase)


class OneSided:
    """An order that can rest needs the other side free of orders that can."""

    def __init__(self, row: NoTwoSided, holdings: Holdings) -> None:
        self._holdings = holdings
        self._reply = Reply(row)

    def check(self, proposal: Proposal) -> Refusal | None:
        order = proposal.order
        if not order.can_rest:
            return None
        other = order.side.opposite
        resting = self._holdings.resting_orders(order.account, order.instrument_id, other)
        if not resting:
            return None
        return self._reply.refuse(
            {"instrument_id": order.instrument_id, "side": order.side.value, "resting_orders": resting}
        )
