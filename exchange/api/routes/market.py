"""Market data anyone may read."""

from __future__ import annotations

from typing import Final

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.inputs import invalid_request
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.views import candle_view, instrument_view, trade_view
from exchange.model.phases import PHASES
from exchange.model.reasons import Code, unknown_instrument
from exchange.model.types import Phase
from exchange.wire import data
from exchange.wire.ids import trade_number
from exchange.wire.queries import CandlesQuery, NoQuery, OrderbookQuery, TradesQuery
from exchange.wire.times import time_text, time_us


async def list_instruments(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Every instrument, in the order of the game's rules."""
    views = [instrument_view(context, each) for each in context.rules.instruments]
    return Answered(data.InstrumentList(instruments=views))


async def get_orderbook(context: ApiContext, call: Call[OrderbookQuery, None]) -> Reply:
    """Depth of one instrument, as it stands between two commands."""
    instrument_id = call.path["instrument_id"]
    grid = context.grids.get(instrument_id)
    if grid is None:
        return unknown_instrument(instrument_id)
    venue = context.venue
    depth = venue.depth(instrument_id, call.query.depth)
    phase = venue.phase_of(instrument_id)
    is_call, auction = PHASES[phase].is_call, venue.indicative(instrument_id)
    return Answered(
        data.Orderbook(
            instrument_id=instrument_id,
            bids=[(grid.decimal(ticks), quantity) for ticks, quantity in depth.bids],
            asks=[(grid.decimal(ticks), quantity) for ticks, quantity in depth.asks],
            timestamp=time_text(context.clock.now_us()),
            stale=context.health.is_stale,
            phase=None if phase is Phase.CONTINUOUS else phase,
            indicative_price=None if auction is None else grid.decimal(auction.price_ticks),
            indicative_volume=auction.quantity if auction else 0 if is_call else None,
            imbalance=auction.surplus if auction else 0 if is_call else None,
        )
    )


async def list_trades(context: ApiContext, call: Call[TradesQuery, None]) -> Reply:
    """A page of one instrument's trades, oldest first."""
    instrument_id, query = call.path["instrument_id"], call.query
    grid = context.grids.get(instrument_id)
    if grid is None:
        return unknown_instrument(instrument_id)
    after = None if query.after is None else trade_number(query.after)
    found = context.settlement.history.trades(instrument_id, query.limit + 1, after)
    views = [trade_view(trade, grid) for trade in found[: query.limit]]
    cursor = views[-1].trade_id if len(found) > query.limit else None
    return Answered(data.TradeList(instrument_id=instrument_id, trades=views, next_cursor=cursor))


async def list_candles(context: ApiContext, call: Call[CandlesQuery, None]) -> Reply:
    """A page of one instrument's candles, oldest first, as far as its trades are published."""
    instrument_id, query = call.path["instrument_id"], call.query
    grid = context.grids.get(instrument_id)
    if grid is None:
        return unknown_instrument(instrument_id)
    after_us = -1 if query.after is None else time_us(query.after)
    if after_us is None:
        return invalid_request("after is not a time")
    found = context.markets.tape(instrument_id).series[query.interval].since(after_us + 1)
    views = [candle_view(candle, grid) for candle in found[: query.limit]]
    cursor = views[-1].start if len(found) > query.limit else None
    return Answered(
        data.CandleList(
            instrument_id=instrument_id, interval=query.interval, candles=views, next_cursor=cursor
        )
    )


ROUTES: Final = (
    Operation(
        operation_id="get_orderbook",
        method="GET",
        path="/exchange/orderbook/{instrument_id}",
        topic=Topic.MARKET,
        access=Access.PUBLIC,
        handler=get_orderbook,
        summary="Order book of an instrument",
        description="Levels best first, each `[price, quantity]`.",
        query=OrderbookQuery,
        data=data.Orderbook,
        codes=(Code.UNKNOWN_INSTRUMENT,),
    ),
    Operation(
        operation_id="list_trades",
        method="GET",
        path="/exchange/trades/{instrument_id}",
        topic=Topic.MARKET,
        access=Access.PUBLIC,
        handler=list_trades,
        summary="Trades of an instrument, oldest first",
        description="The last 10,000. `side` is the taker's.",
        query=TradesQuery,
        data=data.TradeList,
        codes=(Code.UNKNOWN_INSTRUMENT,),
    ),
    Operation(
        operation_id="list_candles",
        method="GET",
        path="/exchange/candles/{instrument_id}",
        topic=Topic.MARKET,
        access=Access.PUBLIC,
        handler=list_candles,
        summary="Candles of an instrument, oldest first",
        description="The last 1,440 of each interval that have a trade; times are those of the trades.",
        query=CandlesQuery,
        data=data.CandleList,
        codes=(Code.UNKNOWN_INSTRUMENT, Code.INVALID_REQUEST),
    ),
    Operation(
        operation_id="list_instruments",
        method="GET",
        path="/exchange/instruments",
        topic=Topic.MARKET,
        access=Access.PUBLIC,
        handler=list_instruments,
        summary="Every instrument",
        description="With tick size, multiplier, and the reference price and price band of now.",
        data=data.InstrumentList,
    ),
)
