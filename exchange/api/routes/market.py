"""Market data anyone may read."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.history import beyond
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.api.views import instrument_view, trade_view
from exchange.model.page import Span
from exchange.model.reasons import Code, unknown_instrument
from exchange.model.types import Phase
from exchange.wire import data
from exchange.wire.ids import trade_id_text, trade_number
from exchange.wire.queries import NoQuery, OrderbookQuery, TradesQuery
from exchange.wire.times import time_text


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
    is_call, auction = venue.is_call(instrument_id), venue.indicative(instrument_id)
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
    after = None if query.after is UNSET else trade_number(query.after)
    side = query.side
    matches = None if side is UNSET else lambda trade: trade.taker_side is side
    span = Span(query.from_us, query.to_us)
    page = context.settlement.history.trades(instrument_id, query.limit, after, span, matches)
    views = [trade_view(trade, grid) for trade in page.rows]
    cursor = views[-1].trade_id if page.has_more else None
    limited = beyond(page.gone, trade_id_text)
    return Answered(
        data.TradeList(instrument_id=instrument_id, trades=views, next_cursor=cursor, limited=limited)
    )


async def get_time(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """The server's clock."""
    now_us = context.clock.now_us()
    return Answered(data.ServerTime(timestamp=time_text(now_us), unix_us=now_us))


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
        description=(
            "`side` is the taker's. The last 10,000 are kept: a page that may lack some before its first says"
            " so in `limited`, with the code `HISTORY_LIMITED`."
        ),
        query=TradesQuery,
        data=data.TradeList,
        codes=(Code.UNKNOWN_INSTRUMENT,),
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
    Operation(
        operation_id="get_time",
        method="GET",
        path="/exchange/time",
        topic=Topic.MARKET,
        access=Access.PUBLIC,
        handler=get_time,
        summary="The server's time",
        description="What timestamps are read from. Over the WebSocket `ping` answers it.",
        data=data.ServerTime,
    ),
)
