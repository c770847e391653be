"""Two-sided quotes of market makers, and what protects them from being hit too often at once."""

from __future__ import annotations

from typing import Final

from exchange.api.auth import Access
from exchange.api.commands import execute
from exchange.api.context import ApiContext
from exchange.api.operation import COMMAND_CODES, AnyCall, Call, Operation, Topic
from exchange.api.replies import Answered, Reply
from exchange.engine.protection import FOR_EVER
from exchange.model.answers import Answer, QuoteAnswer
from exchange.model.commands import SetProtection
from exchange.model.reasons import Category, Code, Refusal
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.wire import data
from exchange.wire.errors import api_error, http_status
from exchange.wire.ids import is_quote_group, order_id_text
from exchange.wire.queries import NoQuery
from exchange.wire.quotes import new_protection, new_quote, no_protection
from exchange.wire.requests import ProtectionRequest, QuoteRequest, QuotesRequest
from exchange.wire.times import time_text

_BAD_GROUP: Final = Refusal(
    Category.INVALID,
    Code.INVALID_REQUEST,
    "A quote_group has 1 to 36 letters, digits, dots, underscores and dashes",
    {"field": "quote_group"},
)


async def submit_quotes(context: ApiContext, call: Call[NoQuery, QuotesRequest]) -> Reply:
    """Enter the quotes one behind the other: nothing of another client comes between them."""
    names = [f"{call.request_id}.{place}" for place in range(1, len(call.body.quotes) + 1)]
    # Nothing may be awaited before the last one is on the queue.
    entered = [
        _enter(context, call, quote, name) for quote, name in zip(call.body.quotes, names, strict=True)
    ]
    answers = [await _answer(context, name, each) for name, each in zip(names, entered, strict=True)]
    return Answered(data.QuotesResult(answers=answers))


async def set_protection(context: ApiContext, call: Call[NoQuery, ProtectionRequest]) -> Reply:
    """Protect a group of quotes, and let it quote again if it is frozen."""
    group = call.path["quote_group"]
    if not is_quote_group(group):
        return _BAD_GROUP
    command = new_protection(call.body, group, call.caller.account, call.request_id)
    return await _protect(context, call, command)


async def remove_protection(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Protect a group of quotes no longer."""
    group = call.path["quote_group"]
    if not is_quote_group(group):
        return _BAD_GROUP
    return await _protect(context, call, no_protection(group, call.caller.account, call.request_id))


async def get_protection(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """The protection of a group of quotes as it stands."""
    group = call.path["quote_group"]
    return Answered(_view(context, call.caller.account, group)) if is_quote_group(group) else _BAD_GROUP


async def _protect(context: ApiContext, call: AnyCall, command: SetProtection) -> Reply:
    answer = await execute(context, call, command)
    if isinstance(answer, Refusal):
        return answer
    return Answered(_view(context, command.account, command.quote_group))


def _enter(
    context: ApiContext, call: Call[NoQuery, QuotesRequest], body: QuoteRequest, name: str
) -> PendingRequest | Refusal:
    account = call.caller.account
    quote = new_quote(body, call.body.quote_group, account, name, context.grids)
    if isinstance(quote, Refusal):
        return quote
    pending = context.intake.submit(quote, name, account, Wait.VALIDATION)
    if isinstance(pending, PendingRequest):
        call.pending = pending
    return pending


async def _answer(context: ApiContext, name: str, entered: PendingRequest | Refusal) -> data.QuoteAnswer:
    answer: Answer = (
        entered if isinstance(entered, Refusal) else await context.responses.wait_for_completion(entered)
    )
    if isinstance(answer, Refusal):
        return data.QuoteAnswer(
            success=False,
            status=http_status(answer),
            request_id=name,
            timestamp=time_text(context.clock.now_us()),
            error=api_error(answer, context.grids),
        )
    assert isinstance(answer, QuoteAnswer)
    return data.QuoteAnswer(
        success=True,
        status=200,
        request_id=name,
        timestamp=time_text(answer.timestamp_us),
        bid_order_id=None if answer.bid_order_id is None else order_id_text(answer.bid_order_id),
        ask_order_id=None if answer.ask_order_id is None else order_id_text(answer.ask_order_id),
    )


def _view(context: ApiContext, account: int, quote_group: str) -> data.ProtectionView:
    protection = context.venue.protection(account, quote_group)
    if protection is None:
        return data.ProtectionView(quote_group=quote_group, is_protected=False)
    now_us, settings = context.clock.now_us(), protection.settings
    counted, until_us = protection.counted(now_us), protection.frozen_until_us
    is_frozen = now_us < until_us
    return data.ProtectionView(
        quote_group=quote_group,
        is_protected=True,
        fills=settings.fills,
        lots=settings.lots,
        window_ms=settings.window_us // 1_000,
        frozen_ms=settings.frozen_us // 1_000,
        recent_fills=counted.fills,
        recent_lots=counted.lots,
        is_frozen=is_frozen,
        frozen_until=time_text(until_us) if is_frozen and until_us < FOR_EVER else None,
    )


QUOTE_CODES: Final = (
    Code.QUOTES_NOT_ALLOWED,
    Code.QUOTE_EMPTY,
    Code.QUOTE_TOO_SMALL,
    Code.QUOTE_CROSSED,
    Code.QUOTE_SPREAD_TOO_WIDE,
    Code.QUOTES_FROZEN,
)
"""What a quote is refused with beyond what an order can be; they stand in the answers."""

ROUTES: Final = (
    Operation(
        operation_id="submit_quotes",
        method="POST",
        path="/exchange/quotes",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=submit_quotes,
        summary="Quote: a bid and an ask in up to 50 instruments",
        description=(
            "Each quote takes the place of the one before it in its instrument and `quote_group`, both sides"
            " at once: a side that is left out is cancelled, one that is unchanged keeps its place in the"
            " queue. Either both sides are accepted or neither, and then the quote before stays. `answers`"
            " has one for each quote, in their order, with `status` in place of the HTTP status; its"
            " `request_id` is that of the request with its place behind it: `my-request-1.1`. A quote counts"
            " as one order for each side towards the order rate. It may be refused with "
            + ", ".join(f"`{code.value}`" for code in QUOTE_CODES)
            + " and with what an order of its side would be. docs/orders.md explains quotes."
        ),
        body=QuotesRequest,
        data=data.QuotesResult,
        example={
            "quotes": [
                {
                    "instrument_id": "SPX",
                    "bid_price": 4399.0,
                    "bid_quantity": 10,
                    "ask_price": 4401.0,
                    "ask_quantity": 10,
                },
                {"instrument_id": "SPY", "ask_price": 440.005, "ask_quantity": 5},
            ]
        },
    ),
    Operation(
        operation_id="get_protection",
        method="GET",
        path="/exchange/quotes/protection/{quote_group}",
        topic=Topic.ORDERS,
        access=Access.TEAM,
        handler=get_protection,
        summary="Market-maker protection of a group of quotes",
        description="With the fills its window holds now, and whether the group is frozen.",
        data=data.ProtectionView,
    ),
    Operation(
        operation_id="set_protection",
        method="PUT",
        path="/exchange/quotes/protection/{quote_group}",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=set_protection,
        summary="Protect a group of quotes",
        description=(
            "When `fills` fills, or fills of `lots` lots, come within `window_ms`, every quote of the group"
            " is cancelled, in all instruments, with the reason `market_maker_protection`, and the group may"
            " not quote for `frozen_ms`; with 0 until this is sent again. Fills of auctions do not count."
            " Sending it forgets what was counted, and unfreezes the group."
        ),
        body=ProtectionRequest,
        data=data.ProtectionView,
        codes=(Code.QUOTES_NOT_ALLOWED, Code.TOO_MANY_QUOTE_GROUPS, *COMMAND_CODES),
        example={"fills": 5, "window_ms": 1000, "frozen_ms": 10000},
    ),
    Operation(
        operation_id="remove_protection",
        method="DELETE",
        path="/exchange/quotes/protection/{quote_group}",
        topic=Topic.ORDERS,
        access=Access.TRADER,
        handler=remove_protection,
        summary="Protect a group of quotes no longer",
        description="A frozen group may quote again. Succeeds also where there is no protection.",
        data=data.ProtectionView,
        codes=(Code.QUOTES_NOT_ALLOWED, *COMMAND_CODES),
    ),
)
