"""Validate routes, blocks, keeps order, passes the sentinel, survives, and tells only what is durable."""

from __future__ import annotations

import asyncio

from exchange.journal.records import decode_batch
from exchange.model.answers import OrderAnswer, QuoteAnswer
from exchange.model.commands import NewOrder, Quote, QuoteSide, SetPhase
from exchange.model.reasons import Code, Refusal
from exchange.model.types import Phase
from exchange.pipeline.health import State
from exchange.pipeline.messages import Sequenced, Submission
from exchange.pipeline.responses import PendingRequest, Wait
from exchange.pipeline.validate import ValidateStage
from tests.support.stages import SIZE_RAISES, SIZE_REFUSED, Bench, order, run_to_end, until


def _stage(bench: Bench) -> ValidateStage:
    return ValidateStage(
        bench.orders,
        bench.match_queue,
        admission=bench.admission,
        journal=bench.journal,  # type: ignore[arg-type]  # the stage only appends
        responses=bench.responses,
        health=bench.health,
        clock=bench.clock,
        log=bench.log,
        metrics=bench.metrics,
    )


def _offer(bench: Bench, *sizes: int, wait: Wait = Wait.VALIDATION) -> list[PendingRequest]:
    pendings = []
    for size in sizes:
        pending = bench.pending(wait)
        assert bench.orders.offer(Submission(order(size), pending))
        pendings.append(pending)
    return pendings


def _matched_sizes(bench: Bench) -> list[int]:
    sizes = []
    while not bench.match_queue.empty():
        item = bench.match_queue.get_nowait()
        if item is not None:
            assert isinstance(item.record.command, NewOrder)
            sizes.append(item.record.command.quantity)
    return sizes


async def test_validate_accepted_goes_to_match_queue(bench: Bench) -> None:
    """An accepted order is answered and passed on."""
    (pending,) = _offer(bench, 5)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert isinstance(pending.answer, OrderAnswer)
    assert pending.answer.order_id == 1
    assert _matched_sizes(bench) == [5]


async def test_validate_refused_is_answered_and_not_passed_on(bench: Bench) -> None:
    """A refused order is answered with its code; match and journal never see it."""
    (pending,) = _offer(bench, SIZE_REFUSED)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert isinstance(pending.answer, Refusal)
    assert pending.answer.code == Code.ORDER_SIZE_OUT_OF_RANGE
    assert _matched_sizes(bench) == []
    assert bench.journal.durable == []


async def test_validate_blocks_on_empty_queue(bench: Bench) -> None:
    """With nothing to do the stage waits, it neither ends nor spins."""
    task = asyncio.create_task(_stage(bench).run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    (pending,) = _offer(bench, 1)
    await until(lambda: pending.answer is not None)
    bench.orders.close()
    await asyncio.wait_for(task, 5)


async def test_validate_keeps_order_and_loses_nothing(bench: Bench) -> None:
    """What is accepted is journaled and matched in the order of arrival, whole."""
    _offer(bench, *range(1, 91))
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    journaled = [record.sequence for batch in bench.journal.durable for record in decode_batch(batch)]
    assert journaled == list(range(1, 91))
    assert _matched_sizes(bench) == list(range(1, 91))


async def test_validate_passes_sentinel_last(bench: Bench) -> None:
    """The sentinel reaches the next stage behind everything that was accepted."""
    _offer(bench, 1, 2)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    items = [bench.match_queue.get_nowait() for _ in range(3)]
    assert items[2] is None
    assert all(isinstance(item, Sequenced) for item in items[:2])


async def test_validate_survives_an_exception(bench: Bench) -> None:
    """A request that raises is answered 500; those beside it go on."""
    before, broken, after = _offer(bench, 1, SIZE_RAISES, 2)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert isinstance(broken.answer, Refusal)
    assert broken.answer.code == Code.INTERNAL_ERROR
    assert isinstance(before.answer, OrderAnswer)
    assert isinstance(after.answer, OrderAnswer)
    assert _matched_sizes(bench) == [1, 2]


async def test_validate_tells_nobody_before_durable(bench: Bench) -> None:
    """Neither the client nor match sees an order while the journal writes."""
    bench.journal.automatic = False
    (pending,) = _offer(bench, 1)
    task = asyncio.create_task(_stage(bench).run())
    await until(lambda: bool(bench.journal.waiting))
    assert pending.answer is None
    assert bench.match_queue.empty()
    bench.journal.release()
    await until(lambda: pending.answer is not None)
    assert _matched_sizes(bench) == [1]
    bench.orders.close()
    await asyncio.wait_for(task, 5)


async def test_validate_gathers_the_next_batch_while_writing(bench: Bench) -> None:
    """What arrives during a flush becomes one batch of its own."""
    bench.journal.automatic = False
    _offer(bench, 1)
    task = asyncio.create_task(_stage(bench).run())
    await until(lambda: len(bench.journal.waiting) == 1)
    _offer(bench, 2, 3, 4)
    bench.orders.close()
    await asyncio.sleep(0)
    assert len(bench.journal.waiting) == 1
    bench.journal.release()
    await until(lambda: len(bench.journal.waiting) == 1)
    bench.journal.release()
    await asyncio.wait_for(task, 5)
    assert [(b.first_sequence, b.last_sequence) for b in bench.journal.durable] == [(1, 1), (2, 4)]


async def test_validate_journal_failure_acknowledges_nothing(bench: Bench) -> None:
    """After a failed write every request is refused and the health says failed."""
    bench.journal.broken = True
    (first,) = _offer(bench, 1)
    task = asyncio.create_task(_stage(bench).run())
    await until(lambda: first.answer is not None)
    bench.journal.broken = False
    (second,) = _offer(bench, 2)
    bench.orders.close()
    await asyncio.wait_for(task, 5)
    for pending in (first, second):
        assert isinstance(pending.answer, Refusal)
        assert pending.answer.code == Code.JOURNAL_FAILED
    assert bench.health.state is State.FAILED
    assert _matched_sizes(bench) == []


async def test_validate_drops_an_expired_command(bench: Bench) -> None:
    """A command whose client has given up before it is sequenced is never sequenced."""
    (pending,) = _offer(bench, 1)
    bench.clock.advance(60)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert isinstance(pending.answer, Refusal)
    assert pending.answer.details == {"accepted": False}
    assert bench.journal.durable == []


async def test_validate_system_command_needs_no_answer(bench: Bench) -> None:
    """A system command is sequenced, journaled and passed on like any other."""
    bench.orders.put_system("phase", SetPhase(Phase.HALTED, "test"))
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    item = bench.match_queue.get_nowait()
    assert item is not None
    assert item.record.command == SetPhase(Phase.HALTED, "test")


async def test_validate_waits_longer_only_when_asked(bench: Bench) -> None:
    """With ?wait=settlement the journal alone does not answer."""
    (pending,) = _offer(bench, 1, wait=Wait.SETTLEMENT)
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert pending.answer is None
    assert pending.durable


def _quote(bid: int, ask: int) -> Quote:
    return Quote(1, "X", "g", QuoteSide(1, bid), QuoteSide(2, ask), "req")


async def test_validate_keeps_the_records_of_a_quote_together(bench: Bench) -> None:
    """One batch of the journal, neighbours on the way to match, one answer once it is durable."""
    bench.journal.automatic = False
    quoted = bench.pending()
    assert bench.orders.offer(Submission(order(1), bench.pending()))
    assert bench.orders.offer(Submission(_quote(2, 3), quoted))
    assert bench.orders.offer(Submission(order(4), bench.pending()))
    bench.orders.close()
    task = asyncio.create_task(_stage(bench).run())
    await until(lambda: len(bench.journal.waiting) == 1)
    assert bench.match_queue.empty()
    assert bench.responses.statistics().completed == 0
    bench.journal.release()
    await task
    (batch,) = bench.journal.durable
    assert [record.sequence for record in decode_batch(batch)] == [1, 2, 3, 4]
    assert isinstance(quoted.answer, QuoteAnswer)
    assert (quoted.sequence, quoted.durable) == (3, True)
    assert _matched_sizes(bench) == [1, 2, 3, 4]


async def test_validate_answers_a_quote_that_is_refused_or_that_the_journal_lost(bench: Bench) -> None:
    """A refusal of either side is the answer; a broken journal acknowledges nothing and passes nothing on."""
    broken = Bench()
    refused, lost = bench.pending(), broken.pending()
    assert bench.orders.offer(Submission(_quote(SIZE_REFUSED, 1), refused))
    bench.orders.close()
    await run_to_end(_stage(bench).run)
    assert isinstance(refused.answer, Refusal)
    assert refused.answer.code == Code.ORDER_SIZE_OUT_OF_RANGE
    broken.journal.broken = True
    assert broken.orders.offer(Submission(_quote(1, 1), lost))
    broken.orders.close()
    await run_to_end(_stage(broken).run)
    assert isinstance(lost.answer, Refusal)
    assert lost.answer.code == Code.JOURNAL_FAILED
    assert _matched_sizes(broken) == []
