"""What a row of each table holds, from what the services say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exchange.model.events import ExecutionReport, PositionUpdate
from exchange.model.instrument import Instrument
from exchange.model.types import Side
from exchange.services.game.teams import Team
from exchange.services.orders.order import Order
from exchange.storage.changes import Row
from exchange.storage.types import PRICE_SCALE, day_of

_PRICE_UNIT: Final = 10**PRICE_SCALE
_BUY: Final = Side.BUY


class Grid:
    """Prices of one instrument in the unit of the tables."""

    def __init__(self, instrument: Instrument) -> None:
        self.tick_value = instrument.tick_value
        self._numerator, self._denominator = instrument.tick_ratio

    def price(self, ticks: int) -> int:
        """``ticks`` as a price; rounded to nearest where the tick size needs more decimals."""
        return _rounded(ticks * self._numerator * _PRICE_UNIT, self._denominator)

    def mean(self, value: int, quantity: int) -> int | None:
        """The average price of ``quantity`` lots with ``value`` = sum of ticks * quantity."""
        if quantity == 0:
            return None
        scaled, unit = value * self._numerator * _PRICE_UNIT, self._denominator * quantity
        return _rounded(scaled, unit)

    def average(self, cost: int, position: int) -> int | None:
        """The average price of a position, of its cost in money."""
        if position == 0:
            return None
        scaled = cost * self._numerator * _PRICE_UNIT
        return _rounded(scaled, self._denominator * self.tick_value * position)


Grids = Mapping[str, Grid]


def order_row(order: Order, grid: Grid) -> Row:
    """An order as it stands, and as it was sent."""
    command, ticks = order.command, order.price_ticks
    reason = order.cancel_reason
    return {
        "order_id": order.order_id,
        "day": day_of(order.timestamp_us),
        "team_id": command.account,
        "instrument_id": command.instrument_id,
        "side": command.side.value,
        "order_type": command.order_type.value,
        "time_in_force": command.time_in_force.value,
        "client_order_id": command.client_order_id,
        "request_id": plain(command.request_id),
        "entered_at": order.timestamp_us,
        "updated_at": order.updated_at_us,
        "status": order.status.value,
        "cancel_reason": None if reason is None else reason.value,
        "price_ticks": ticks,
        "price": None if ticks is None else grid.price(ticks),
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "average_price": grid.mean(order.value, order.filled_quantity),
        "filled_ticks": order.value,
        "fees": order.fees,
        "sent_price_ticks": command.price_ticks,
        "sent_quantity": command.quantity,
        **_terms(order, grid),
    }


def _terms(order: Order, grid: Grid) -> Row:
    terms, stop_ticks = order.command.all_terms, order.stop_price_ticks
    post_only, prevention = terms.post_only, terms.self_trade_prevention
    return {
        "stop_price_ticks": stop_ticks,
        "stop_price": None if stop_ticks is None else grid.price(stop_ticks),
        "post_only": None if post_only is None else post_only.value,
        "display_quantity": terms.display_quantity,
        "reduce_only": terms.reduce_only,
        "expires_at": terms.expires_at_us,
        "label": terms.label,
        "self_trade_prevention": None if prevention is None else prevention.value,
        "quote_group": terms.quote_group,
    }


def execution_row(report: ExecutionReport, grid: Grid) -> Row:
    """One order's half of a trade."""
    return {
        "exec_id": report.exec_id,
        "day": day_of(report.timestamp_us),
        "trade_id": report.trade_id,
        "order_id": report.order_id,
        "team_id": report.account,
        "seq": report.seq,
        "instrument_id": report.instrument_id,
        "side": report.side.value,
        "liquidity": report.liquidity.value,
        "price_ticks": report.price_ticks,
        "price": grid.price(report.price_ticks),
        "quantity": report.quantity,
        "fees": report.fees,
        "filled_quantity": report.filled_quantity,
        "remaining_quantity": report.remaining_quantity,
        "executed_at": report.timestamp_us,
        "client_order_id": report.client_order_id,
        "request_id": plain(report.request_id),
        "auction_id": report.auction_id,
    }


def trade_row(sequence: int, maker: ExecutionReport, taker: ExecutionReport, grid: Grid) -> Row:
    """A trade, of its two halves."""
    buy, sell = (taker, maker) if taker.side is _BUY else (maker, taker)
    return {
        "trade_id": taker.trade_id,
        "day": day_of(taker.timestamp_us),
        "sequence": sequence,
        "auction_id": taker.auction_id,
        "instrument_id": taker.instrument_id,
        "traded_at": taker.timestamp_us,
        "price_ticks": taker.price_ticks,
        "price": grid.price(taker.price_ticks),
        "quantity": taker.quantity,
        "value": taker.price_ticks * taker.quantity * grid.tick_value,
        "taker_side": taker.side.value,
        "buy_order_id": buy.order_id,
        "buy_team_id": buy.account,
        "sell_order_id": sell.order_id,
        "sell_team_id": sell.account,
    }


def position_row(update: PositionUpdate, grid: Grid) -> Row:
    """What a team holds of one instrument after its last fill."""
    return {
        "team_id": update.account,
        "instrument_id": update.instrument_id,
        "position": update.position,
        "cost": update.cost,
        "average_price": grid.average(update.cost, update.position),
        "realised_pnl": update.realised_pnl,
        "updated_at": update.timestamp_us,
    }


def team_row(team: Team, cash: int, fees: int) -> Row:
    """A team with what it has paid and received."""
    return {
        "team_id": team.account,
        "name": plain(team.name),
        "role": plain(team.role.name),
        "disabled": team.disabled,
        "registered_at": team.registered_at_us,
        "cash": cash,
        "fees": fees,
    }


def instrument_row(instrument: Instrument, grids: Grids) -> Row:
    """An instrument. A strike is a price of the underlying."""
    grid = grids[instrument.instrument_id]
    strike_grid = grids.get(instrument.underlying_id or "", grid)
    strike, right = instrument.strike_ticks, instrument.option_kind
    return {
        "instrument_id": instrument.instrument_id,
        "kind": instrument.kind.value,
        "tick_size": grid.price(1),
        "multiplier": instrument.multiplier,
        "tick_value": grid.tick_value,
        "first_price": grid.price(instrument.first_price_ticks),
        "underlying_id": instrument.underlying_id,
        "option_kind": None if right is None else right.value,
        "strike": None if strike is None else strike_grid.price(strike),
        "expiry": instrument.expiry,
    }


def plain(text: str) -> str:
    """``text`` without NUL, which PostgreSQL cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _rounded(numerator: int, denominator: int) -> int:
    # To nearest, halves away from zero, as NUMERIC does.
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    numerator, denominator = abs(numerator), abs(denominator)
    return sign * ((2 * numerator + denominator) // (2 * denominator))
