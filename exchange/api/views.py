"""State of the services as clients see it."""

from __future__ import annotations

from msgspec.structs import replace

from exchange.api.context import ApiContext
from exchange.model.events import ExecutionReport
from exchange.model.instrument import Instrument
from exchange.model.phases import batch_interval_ms
from exchange.model.reasons import Refusal
from exchange.pipeline.responses import PendingRequest
from exchange.services.game.teams import Team
from exchange.services.orders.order import Order
from exchange.services.settlement.history import PublicTrade
from exchange.wire import data
from exchange.wire.errors import http_status
from exchange.wire.ids import auction_id_text, exec_id_text, order_id_text, team_id_text, trade_id_text
from exchange.wire.prices import PriceGrid, money_decimal
from exchange.wire.terms import shown_terms
from exchange.wire.times import time_text
from exchange.wire.views import average_price


def order_view(order: Order, grid: PriceGrid) -> data.OrderView:
    """An order as it stands."""
    command = order.command
    view = data.OrderView(
        order_id=order_id_text(order.order_id),
        instrument_id=command.instrument_id,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        status=order.status,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        remaining_quantity=order.remaining_quantity,
        fees=money_decimal(order.fees),
        timestamp=time_text(order.timestamp_us),
        price=None if order.price_ticks is None else grid.decimal(order.price_ticks),
        average_price=average_price(order.value, order.filled_quantity, grid),
        client_order_id=command.client_order_id,
        cancel_reason=order.cancel_reason,
    )
    if command.terms is None:
        return view
    return replace(view, **shown_terms(command.terms, grid, order.stop_price_ticks))


def execution_view(report: ExecutionReport, grid: PriceGrid) -> data.Execution:
    """One fill."""
    return data.Execution(
        exec_id=exec_id_text(report.exec_id),
        trade_id=trade_id_text(report.trade_id),
        order_id=order_id_text(report.order_id),
        instrument_id=report.instrument_id,
        side=report.side,
        price=grid.decimal(report.price_ticks),
        quantity=report.quantity,
        liquidity_type=report.liquidity,
        fees=money_decimal(report.fees),
        timestamp=time_text(report.timestamp_us),
        client_order_id=report.client_order_id,
        auction_id=auction_id_text(report.auction_id),
    )


def trade_view(trade: PublicTrade, grid: PriceGrid) -> data.PublicTrade:
    """A trade, without who made it."""
    return data.PublicTrade(
        trade_id=trade_id_text(trade.trade_id),
        price=grid.decimal(trade.price_ticks),
        quantity=trade.quantity,
        side=trade.taker_side,
        timestamp=time_text(trade.timestamp_us),
        auction_id=auction_id_text(trade.auction_id),
    )


def instrument_view(context: ApiContext, instrument: Instrument) -> data.InstrumentView:
    """An instrument with the reference price and price band of now."""
    instrument_id = instrument.instrument_id
    grid = context.grids[instrument_id]
    # A strike is a price of the underlying.
    strike_grid = context.grids.get(instrument.underlying_id or "", grid)
    band = context.venue.band(instrument_id)
    strike = instrument.strike_ticks
    return data.InstrumentView(
        instrument_id=instrument_id,
        kind=instrument.kind,
        tick_size=grid.decimal(1),
        multiplier=instrument.multiplier,
        reference_price=grid.decimal(context.venue.reference(instrument_id)),
        underlying_id=instrument.underlying_id,
        option_kind=instrument.option_kind,
        strike=None if strike is None else strike_grid.decimal(strike),
        expiry=instrument.expiry,
        low_band=None if band is None else grid.decimal(band[0]),
        high_band=None if band is None else grid.decimal(band[1]),
        batch_interval_ms=batch_interval_ms(context.rules, instrument_id),
    )


def team_view(team: Team) -> data.TeamView:
    """A team, without its key."""
    return data.TeamView(
        team_id=team_id_text(team.account),
        name=team.name,
        role=team.role.name,
        registered_at=time_text(team.registered_at_us),
        disabled=team.disabled,
    )


def request_view(pending: PendingRequest) -> data.RequestView:
    """Where a request is; its order is named once the journal has it."""
    answer = pending.answer
    finished = answer is not None
    order_id = pending.order_id if pending.durable else None
    return data.RequestView(
        request_id=pending.request_id,
        status=pending.status.value,
        registered_at=time_text(pending.registered_us),
        order_id=None if order_id is None else order_id_text(order_id),
        http_status=None if answer is None else http_status(answer) if isinstance(answer, Refusal) else 200,
        processing_time_us=(pending.finished_ns - pending.registered_ns) // 1000 if finished else None,
    )
