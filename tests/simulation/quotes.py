"""Quotes are whole: what the journal has of each, against what was asked and answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from exchange.model.answers import QuoteAnswer
from exchange.model.commands import AmendOrder, CancelOrder, NewOrder, Quote, Record
from exchange.model.reasons import Code, Refusal
from exchange.model.types import Side

UNCERTAIN = frozenset({Code.RESPONSE_TIMEOUT, Code.JOURNAL_FAILED, Code.VENUE_HALTED})
"""Refusals that leave open what becomes of the request."""


class QuoteAudit:
    """All quotes of a simulation, by request id."""

    def __init__(self) -> None:
        self._asked: dict[str, Quote] = {}
        self._answers: dict[str, QuoteAnswer | Refusal] = {}

    def asked(self, quote: Quote) -> None:
        self._asked[quote.request_id] = quote

    def answered(self, quote: Quote, answer: QuoteAnswer | Refusal) -> None:
        self._answers[quote.request_id] = answer

    def audit(self, records: Iterable[Record]) -> None:
        """Refused: nothing of it. Accepted: both sides, one after the other, and nothing in between."""
        found: dict[str, list[Record]] = defaultdict(list)
        orders: dict[int, NewOrder] = {}
        for record in records:
            command = record.command
            if isinstance(command, NewOrder):
                orders[record.sequence] = command
            if isinstance(command, NewOrder | AmendOrder | CancelOrder) and command.request_id in self._asked:
                found[command.request_id].append(record)
        for request_id, quote in self._asked.items():
            answer, own = self._answers.get(request_id), found[request_id]
            if isinstance(answer, Refusal) and answer.code not in UNCERTAIN:
                assert not own, f"{quote} was refused and left {own}"
            elif own or isinstance(answer, QuoteAnswer):
                _must_be_whole(quote, own, orders)
            if isinstance(answer, QuoteAnswer):
                _must_answer(quote, answer, orders)


def _must_be_whole(quote: Quote, own: Sequence[Record], orders: dict[int, NewOrder]) -> None:
    sequences = [record.sequence for record in own]
    assert not own or sequences == list(range(sequences[0], sequences[0] + len(own))), own
    sides = [_side(record, orders) for record in own]
    assert len(set(sides)) == len(sides), f"{quote} has {own}"
    wanted = {side for side, each in ((Side.BUY, quote.bid), (Side.SELL, quote.ask)) if each is not None}
    assert wanted <= set(sides), f"{quote} has only {own}"


def _must_answer(quote: Quote, answer: QuoteAnswer, orders: dict[int, NewOrder]) -> None:
    for side, wanted, order_id in (
        (Side.BUY, quote.bid, answer.bid_order_id),
        (Side.SELL, quote.ask, answer.ask_order_id),
    ):
        assert (wanted is None) is (order_id is None), f"{quote} is answered {answer}"
        if order_id is not None:
            order = orders[order_id]
            own = (order.account, order.instrument_id, order.side, order.all_terms.quote_group)
            assert own == (quote.account, quote.instrument_id, side, quote.quote_group), order


def _side(record: Record, orders: dict[int, NewOrder]) -> Side:
    command = record.command
    if isinstance(command, NewOrder):
        return command.side
    assert isinstance(command, AmendOrder | CancelOrder)
    return orders[command.order_id].side
