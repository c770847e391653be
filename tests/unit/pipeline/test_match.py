"""Match drives the venue in order, and halts by failure when it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from exchange.model.answers import OrderAnswer, OrderReport
from exchange.model.commands import NewOrder, Record, SetPhase
from exchange.model.events import Acknowledged, AnyVenueEvent, PhaseChanged
from exchange.model.order import OrderStatus
from exchange.model.reasons import Code, Refusal
from exchange.model.types import Phase
from exchange.pipeline.channel import Channel
from exchange.pipeline.health import State
from exchange.pipeline.match import MatchStage, Previews
from exchange.pipeline.messages import Matched, Sequenced
from exchange.pipeline.responses import PendingRequest, Wait
from tests.support.stages import SIZE_RAISES, Bench, order, run_to_end, until


class FakeVenue:
    """Acknowledges everything, raises on one size."""

    def __init__(self) -> None:
        self.applied: list[int] = []

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        command = record.command
        assert isinstance(command, NewOrder)
        if command.quantity == SIZE_RAISES:
            raise RuntimeError("a bug")
        self.applied.append(record.sequence)
        return [Acknowledged(record.sequence, "X", command.side, 100, command.quantity)]

    def steps(self, record: Record) -> Iterator[list[AnyVenueEvent]]:
        """Three slices; the reason may ask for a failure in the second."""
        assert isinstance(record.command, SetPhase)
        yield [PhaseChanged(record.command.phase, "first")]
        if record.command.reason == "raise":
            raise RuntimeError("a bug")
        yield [PhaseChanged(record.command.phase, "second")]
        self.applied.append(record.sequence)
        yield [PhaseChanged(record.command.phase, "third")]


class FakePreview:
    """Says open."""

    def preview(self, record: Record, events: list[AnyVenueEvent]) -> OrderReport:
        return OrderReport(OrderStatus.OPEN, 1, 0, 0, 0)


class NoPreviews:
    """Can never say before settlement."""

    def preview(self, record: Record, events: list[AnyVenueEvent]) -> OrderReport | None:
        return None


def _stage(bench: Bench, venue: FakeVenue, previews: Previews | None = None) -> MatchStage:
    return MatchStage(
        bench.match_queue,
        bench.trade_queue,
        venue=venue,
        previews=previews or FakePreview(),
        responses=bench.responses,
        health=bench.health,
        clock=bench.clock,
        log=bench.log,
        metrics=bench.metrics,
    )


def _put(bench: Bench, *sizes: int, wait: Wait = Wait.SETTLEMENT) -> list[PendingRequest]:
    pendings = []
    for sequence, size in enumerate(sizes, 1):
        pending = bench.pending(wait)
        pending.durable = True
        bench.match_queue.put_nowait(Sequenced(Record(sequence, 0, order(size)), pending))
        pendings.append(pending)
    bench.match_queue.put_nowait(None)
    return pendings


def _taken(bench: Bench) -> list[Matched | None]:
    items = []
    while not bench.trade_queue.empty():
        items.append(bench.trade_queue.get_nowait())
    return items


async def test_match_passes_events_on_in_order(bench: Bench) -> None:
    """Every command's events go to settle, in order, and the sentinel last."""
    _put(bench, 1, 2, 3)
    await run_to_end(_stage(bench, FakeVenue()).run)
    *items, last = _taken(bench)
    assert [item.record.sequence for item in items if item is not None] == [1, 2, 3]
    assert last is None


async def test_match_blocks_on_empty_queue(bench: Bench) -> None:
    """With nothing to match the stage waits."""
    task = asyncio.create_task(_stage(bench, FakeVenue()).run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    bench.match_queue.put_nowait(None)
    await asyncio.wait_for(task, 5)


async def test_match_answers_who_waits_for_matching(bench: Bench) -> None:
    """?wait=matching is answered here, ?wait=settlement not yet."""
    (matching,) = _put(bench, 1, wait=Wait.MATCHING)
    await run_to_end(_stage(bench, FakeVenue()).run)
    assert isinstance(matching.answer, OrderAnswer)
    assert matching.answer.report is not None
    (settlement,) = _put(bench, 1)
    await run_to_end(_stage(bench, FakeVenue()).run)
    assert settlement.answer is None


async def test_match_leaves_to_settle_what_it_cannot_tell(bench: Bench) -> None:
    """Where there is no preview, ?wait=matching is answered with the booking."""
    (matching,) = _put(bench, 1, wait=Wait.MATCHING)
    await run_to_end(_stage(bench, FakeVenue(), previews=NoPreviews()).run)
    assert matching.answer is None
    assert bench.trade_queue.qsize() == 2


async def test_match_exception_halts_the_venue(bench: Bench) -> None:
    """After an exception nothing is matched any more: the durable rest is answered, not applied."""
    venue = FakeVenue()
    before, broken, after = _put(bench, 1, SIZE_RAISES, 2)
    await run_to_end(_stage(bench, venue).run)
    assert venue.applied == [1]
    assert bench.health.state is State.HALTED
    assert bench.health.cause is not None
    assert "sequence 2" in bench.health.cause
    assert before.answer is None
    for pending in (broken, after):
        assert isinstance(pending.answer, Refusal)
        assert pending.answer.code == Code.VENUE_HALTED
        assert pending.answer.details == {"accepted": True}


async def test_match_takes_a_phase_in_steps(bench: Bench) -> None:
    """The loop runs between them, each goes to settle on its own, the last with who waits; others wait."""
    venue = FakeVenue()
    pending, phase_pending = bench.pending(Wait.SETTLEMENT), bench.pending(Wait.SETTLEMENT, "phase")
    bench.match_queue.put_nowait(
        Sequenced(Record(1, 0, SetPhase(Phase.OPENING_AUCTION, "test")), phase_pending)
    )
    bench.match_queue.put_nowait(Sequenced(Record(2, 0, order(1)), pending))
    bench.match_queue.put_nowait(None)
    task = asyncio.create_task(_stage(bench, venue).run())
    await until(lambda: bench.trade_queue.qsize() == 1)
    assert (venue.applied, task.done()) == ([], False)
    await asyncio.wait_for(task, 5)
    *items, last = _taken(bench)
    assert last is None
    assert [(item.record.sequence, item.pending) for item in items if item is not None] == [
        (1, None),
        (1, None),
        (1, phase_pending),
        (2, pending),
    ]


async def test_match_exception_in_a_step_halts_the_venue(bench: Bench) -> None:
    """Half an uncross: nothing else is matched."""
    venue = FakeVenue()
    pending = bench.pending(Wait.SETTLEMENT)
    bench.match_queue.put_nowait(Sequenced(Record(1, 0, SetPhase(Phase.CONTINUOUS, "raise")), pending))
    _put(bench, 1)
    await run_to_end(_stage(bench, venue).run)
    assert (venue.applied, bench.health.state) == ([], State.HALTED)
    assert isinstance(pending.answer, Refusal)


async def test_match_loses_nothing_to_a_full_queue(bench: Bench) -> None:
    """A full queue behind makes match wait; all arrives."""
    bench.trade_queue = Channel(1)
    _put(bench, *range(1, 20))
    task = asyncio.create_task(_stage(bench, FakeVenue()).run())
    sequences = []
    while (item := await asyncio.wait_for(bench.trade_queue.get(), 5)) is not None:
        sequences.append(item.record.sequence)
    await task
    assert sequences == list(range(1, 20))
