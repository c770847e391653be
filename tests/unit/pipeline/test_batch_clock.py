"""Frequent batch auctions on a whole order path."""

from __future__ import annotations

import pytest

from exchange.engine.venue import Venue
from exchange.journal.records import decode_batches
from exchange.model.commands import Uncross
from exchange.model.order import OrderStatus
from exchange.model.phases import batched_instruments
from exchange.model.presets import preset_rules
from exchange.model.reasons import Code, Refusal
from exchange.model.rules import BatchAuctions, GameRules
from exchange.model.types import Side, TimeInForce
from exchange.pipeline.batch_clock import BatchClock
from tests.support.floor import INSTRUMENT, Floor, floor, new_order
from tests.support.session import replay
from tests.support.waiting import until

BATCH = BatchAuctions(interval_ms=10)


class Wanting:
    """A venue that says which instruments have something to trade."""

    def __init__(self, *wanting: str) -> None:
        self.wanting = wanting

    def wants_uncross(self, instrument_id: str) -> bool:
        return instrument_id in self.wanting


def test_batch_clock_enters_commands_only_where_something_would_happen() -> None:
    """By name, and none for a batch that is empty."""
    entered: list[Uncross] = []
    BatchClock(frozenset("CAB"), Wanting("B", "A", "D"), entered.append).check()
    assert entered == [Uncross("A"), Uncross("B")]


async def _filled(running: Floor, *orders: int) -> None:
    await until(lambda: all(running.status(order) is OrderStatus.FILLED for order in orders))


async def test_batched_orders_trade_when_the_interval_is_over() -> None:
    """They are at rest first, cross, and then trade at one price; a replay comes to the same state."""
    async with floor(batch_auctions=BATCH) as running:
        buyer, seller = await running.team("Buyer"), await running.team("Seller")
        bought = await running.enter(new_order(buyer, Side.BUY, 3))
        sold = await running.enter(new_order(seller, Side.SELL, 3))
        await _filled(running, bought.order_id, sold.order_id)
        fills = running.exchange.core.settlement.history.executions(buyer, 10).rows
        assert [fill.auction_id is not None for fill in fills] == [True]
        digest = running.exchange.core.state_hash()
        batches = list(running.journal.read())
    uncrosses = [each for each in decode_batches(batches) if isinstance(each.command, Uncross)]
    assert len(uncrosses) == 1
    assert replay(batches).core.state_hash() == digest


async def test_batched_instruments_refuse_what_a_call_refuses() -> None:
    """Fill-or-kill cannot be honoured where nothing trades at once."""
    async with floor(batch_auctions=BATCH) as running:
        account = await running.team("Team")
        answer = await running.execute(new_order(account, Side.BUY, time_in_force=TimeInForce.FOK))
        assert isinstance(answer, Refusal)
        assert answer.code == Code.TIME_IN_FORCE_NOT_ALLOWED


def _rules(batch: BatchAuctions | None) -> GameRules:
    rules = preset_rules("flow")
    return GameRules(
        preset="flow",
        instruments=rules.instruments,
        roles=rules.roles,
        bands=rules.bands,
        batch_auctions=batch,
    )


def test_batched_instruments_are_all_or_those_named() -> None:
    """None of them without the setting."""
    assert batched_instruments(_rules(None)) == frozenset()
    assert batched_instruments(_rules(BATCH)) == {INSTRUMENT}
    assert batched_instruments(_rules(BatchAuctions(interval_ms=10, instruments=()))) == frozenset()


@pytest.mark.parametrize(
    "batch",
    [
        BatchAuctions(interval_ms=9),
        BatchAuctions(interval_ms=3_600_001),
        BatchAuctions(interval_ms=100, instruments=("NONE",)),
    ],
)
def test_rules_with_senseless_batches_cannot_be_played(batch: BatchAuctions) -> None:
    """An interval out of range, or an instrument that is not traded."""
    with pytest.raises(ValueError, match="batch_auctions"):
        Venue(_rules(batch))
