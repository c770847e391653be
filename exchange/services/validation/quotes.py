"""Two-sided quotes: what they must be, and the commands that bring one about.

Each side of a quote is one order. To quote anew amends it: the total it may fill is what it has filled and
the lots asked for now, so that a fill under way makes the new quote smaller and never the position larger.
"""

from __future__ import annotations

from typing import TypeAlias

from exchange.model.commands import AmendOrder, CancelOrder, NewOrder, OrderTerms, Quote, QuoteSide
from exchange.model.reasons import Refusal
from exchange.model.roles import QuoteRules
from exchange.model.types import OrderType, Side, TimeInForce
from exchange.services.validation import refusals
from exchange.services.validation.ports import Orders, OrderState

SideCommand: TypeAlias = NewOrder | AmendOrder | CancelOrder

_MILLION = 1_000_000


def judge_quote(quote: Quote, rules: QuoteRules | None) -> Refusal | None:
    """What is asked of a quote as a whole; its sides are judged like any order besides."""
    if rules is None:
        return refusals.QUOTES_NOT_ALLOWED
    bid, ask = quote.bid, quote.ask
    if bid is None and ask is None:
        return refusals.QUOTE_EMPTY
    for side in (bid, ask):
        if side is not None and side.quantity < rules.min_quantity:
            return refusals.quote_too_small(side.quantity, rules.min_quantity)
    if bid is None or ask is None:
        return None
    if bid.price_ticks >= ask.price_ticks:
        return refusals.quote_crossed(quote.instrument_id, bid.price_ticks, ask.price_ticks)
    widest = _widest(rules, bid.price_ticks + ask.price_ticks)
    if widest is not None and ask.price_ticks - bid.price_ticks > widest:
        return refusals.quote_spread_too_wide(quote.instrument_id, bid.price_ticks, ask.price_ticks, widest)
    return None


def side_commands(quote: Quote, orders: Orders) -> list[SideCommand]:
    """The command of each side, in an order in which the new sides never meet the old ones."""
    bid_order, ask_order = (
        orders.quoted(quote.account, quote.instrument_id, quote.quote_group, side) for side in Side
    )
    bid = _command(quote, Side.BUY, quote.bid, bid_order)
    ask = _command(quote, Side.SELL, quote.ask, ask_order)
    # The price it has when its turn comes: an earlier quote may still be under way.
    old_ticks = None if bid_order is None else orders.latest_limit(bid_order.order_id)
    rises = quote.bid is not None and (old_ticks is None or quote.bid.price_ticks > old_ticks)
    return [each for each in ((ask, bid) if rises else (bid, ask)) if each is not None]


def _widest(rules: QuoteRules, doubled_mid: int) -> int | None:
    ppm, ticks = rules.max_spread_ppm, rules.max_spread_ticks
    if ppm is None:
        return ticks
    return max(doubled_mid * ppm // (2 * _MILLION), ticks or 0)


def _command(
    quote: Quote, side: Side, wanted: QuoteSide | None, order: OrderState | None
) -> SideCommand | None:
    account, instrument_id, request_id = quote.account, quote.instrument_id, quote.request_id
    if wanted is None:
        return None if order is None else CancelOrder(account, order.order_id, instrument_id, request_id)
    if order is not None:
        total = order.filled_quantity + wanted.quantity
        return AmendOrder(account, order.order_id, instrument_id, total, wanted.price_ticks, request_id)
    return NewOrder(
        account,
        instrument_id,
        side,
        OrderType.LIMIT,
        wanted.price_ticks,
        wanted.quantity,
        TimeInForce.DAY,
        None,
        request_id,
        OrderTerms(quote_group=quote.quote_group),
    )
