"""Two-sided quotes of a market maker, and their protection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from exchange.client import calls
from exchange.client.caller import Caller
from exchange.client.errors import ExchangeError, error_of
from exchange.client.results import QuoteReceipt
from exchange.wire.data import ProtectionView, QuoteAnswer, QuotesResult
from exchange.wire.ids import DEFAULT_GROUP
from exchange.wire.requests import ProtectionRequest, QuoteRequest, QuotesRequest

PriceAndQuantity: TypeAlias = tuple[float, int]


class Quotes:
    """Sending a quote again is safe, so lost answers are followed by the same request: what it asks for is
    to be open then, whatever traded before.
    """

    _caller: Caller

    async def quote(
        self,
        instrument_id: str,
        *,
        bid: PriceAndQuantity | None = None,
        ask: PriceAndQuantity | None = None,
        quote_group: str = DEFAULT_GROUP,
    ) -> QuoteReceipt:
        """Take the place of the quote before in this instrument and group; a side that is None is cancelled.

        A refusal is raised, and the quote before stays as it was.
        """
        bid_price, bid_quantity = bid or (None, None)
        ask_price, ask_quantity = ask or (None, None)
        request = QuoteRequest(
            instrument_id=instrument_id,
            bid_price=bid_price,
            bid_quantity=bid_quantity,
            ask_price=ask_price,
            ask_quantity=ask_quantity,
        )
        outcome = (await self.quotes([request], quote_group=quote_group))[0]
        if isinstance(outcome, ExchangeError):
            raise outcome
        return outcome

    async def quotes(
        self, quotes: Sequence[QuoteRequest], *, quote_group: str = DEFAULT_GROUP
    ) -> list[QuoteReceipt | ExchangeError]:
        """Up to 50 quotes one behind the other; what each came to, in their order: refusals are values.

        Raises where the request as a whole is refused.
        """
        request = QuotesRequest(quotes=list(quotes), quote_group=quote_group)
        result: QuotesResult = await self._caller.safely(calls.new_quotes(request))
        return [_outcome(answer) for answer in result.answers]

    async def protect_quotes(
        self,
        quote_group: str = DEFAULT_GROUP,
        *,
        fills: int | None = None,
        lots: int | None = None,
        window_s: float,
        frozen_s: float = 0,
    ) -> ProtectionView:
        """Cancel and freeze the group when ``fills`` fills, or that many ``lots``, come within ``window_s``.

        It may quote again after ``frozen_s``, with 0 once this is called again, which unfreezes it at once.
        """
        request = ProtectionRequest(
            fills=fills, lots=lots, window_ms=round(window_s * 1_000), frozen_ms=round(frozen_s * 1_000)
        )
        view: ProtectionView = await self._caller.safely(calls.set_protection(quote_group, request))
        return view

    async def unprotect_quotes(self, quote_group: str = DEFAULT_GROUP) -> ProtectionView:
        """Let the group be hit as often as it is; a frozen one may quote again."""
        view: ProtectionView = await self._caller.safely(calls.remove_protection(quote_group))
        return view

    async def quote_protection(self, quote_group: str = DEFAULT_GROUP) -> ProtectionView:
        """The protection of the group: what its window holds now, and whether it is frozen."""
        view: ProtectionView = await self._caller.safely(calls.get_protection(quote_group))
        return view


def _outcome(answer: QuoteAnswer) -> QuoteReceipt | ExchangeError:
    if answer.error is not None:
        return error_of(answer.status, answer.error, request_id=answer.request_id)
    return QuoteReceipt(
        timestamp=answer.timestamp,
        request_id=answer.request_id,
        bid_order_id=answer.bid_order_id,
        ask_order_id=answer.ask_order_id,
    )
