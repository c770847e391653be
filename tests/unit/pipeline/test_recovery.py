"""State = replay(journal), on every interpreter; what cannot be replayed is named."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from exchange.app import build_core
from exchange.base.bounds import MAX_PRICE_TICKS, MAX_QUANTITY, REPLAY_PROGRESS_RECORDS
from exchange.base.clock import ManualClock
from exchange.engine.venue import Venue
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.memory import MemoryJournal
from exchange.journal.records import decode_batches, encode_batch
from exchange.model.commands import (
    AcceptLoss,
    AmendOrder,
    CancelOrder,
    CancelOrders,
    DisableTeam,
    NewOrder,
    OpenGame,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.order import OrderStatus
from exchange.model.presets import preset_rules
from exchange.model.roles import PortfolioLimit, PositionLimit, Role
from exchange.model.types import CancelReason, Phase, Side
from exchange.pipeline.recovery import (
    JournalWithoutGame,
    StartError,
    journal_rules,
    note_operator_act,
    open_game,
    recover,
)
from tests.support.audit import check_ledger
from tests.support.floor import INSTRUMENT, Floor, floor, make_exchange, new_order
from tests.support.session import ROLES, Session, digest, replay, save

BUY, SELL = Side.BUY, Side.SELL
REPOSITORY = Path(__file__).resolve().parents[3]
LIMITED = (Role(name="player", constraints=(PortfolioLimit(max_total_position=10),)),)
COMMANDS = 600
SEEDS = (1, 2, 5)


class Played(NamedTuple):
    """A session that was played to its end."""

    batches: list[Batch]
    digest: str


@cache
def _played(seed: int) -> Played:
    return asyncio.run(_play(seed))


async def _play(seed: int) -> Played:
    async with floor(preset="small", roles=ROLES) as running:
        await Session(running, seed).play(COMMANDS)
        await running.stop()
        check_ledger(running.exchange.core.ledger)
        streams = running.exchange.path._publish._publisher._private
        return Played(list(running.journal.read()), digest(running.exchange.core, streams))


def _kinds(batches: list[Batch]) -> Counter[str]:
    return Counter(type(record.command).__name__ for record in decode_batches(batches))


# --- the same again -------------------------------------------------------------------------------------


def test_recovery_session_holds_every_kind_of_command() -> None:
    """What the tests below replay has it all: fills, cancels, amends, system and operator acts."""
    kinds = sum((_kinds(_played(seed).batches) for seed in SEEDS), Counter())
    expected = (
        NewOrder,
        CancelOrder,
        AmendOrder,
        CancelOrders,
        SetPhase,
        RegisterTeam,
        RotateKey,
        DisableTeam,
    )
    assert all(kinds[each.__name__] >= 5 for each in expected), kinds
    assert kinds["OpenGame"] == len(SEEDS)
    reasons = {
        record.command.reason
        for seed in SEEDS
        for record in decode_batches(_played(seed).batches)
        if isinstance(record.command, CancelOrders)
    }
    assert reasons == {CancelReason.REQUESTED, CancelReason.PORTFOLIO_LIMIT}
    core = replay(_played(SEEDS[0]).batches).core
    assert (
        sum(len(core.settlement.history.executions(team.account, 1_000).rows) for team in core.teams.all())
        > 50
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_recovery_replay_is_the_state_that_was_lived(seed: int) -> None:
    """Same state hash and same private events with the same sequences, as often as it is replayed."""
    played = _played(seed)
    for _ in range(2):
        replayed = replay(played.batches)
        assert replayed.failure is None
        assert digest(replayed.core, replayed.streams) == played.digest


class Interpreter(NamedTuple):
    """A Python, and why it can't run the exchange, if so."""

    program: str
    version: str
    lacks: str | None


def _interpreters() -> list[Interpreter]:
    programs = [sys.executable, *(shutil.which(f"python3.{minor}") for minor in range(11, 16))]
    found: dict[str, Interpreter] = {}
    for program in filter(None, programs):
        ask = "import sys; print(sys.version.split()[0]); import exchange.app"
        asked = subprocess.run(
            [program, "-c", ask], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        version = asked.stdout.strip()
        if version and version not in found:
            complaint = asked.stderr.strip().splitlines()[-1] if asked.returncode else None
            found[version] = Interpreter(program, version, complaint)
    return list(found.values())


INTERPRETERS = _interpreters()


def _replay_in(interpreter: Interpreter, file: Path, hash_seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [interpreter.program, "-m", "tests.support.session", str(file)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
@pytest.mark.parametrize(
    "interpreter", INTERPRETERS, ids=lambda each: f"{each.version} ({each.lacks or 'complete'})"
)
def test_recovery_is_the_same_on_every_interpreter(
    tmp_path: Path, interpreter: Interpreter, hash_seed: str
) -> None:
    """Whatever Python and hash seed. The id says which interpreters were found, and why one was no use."""
    played = _played(SEEDS[0])
    save(played.batches, tmp_path / "journal")
    done = _replay_in(interpreter, tmp_path / "journal", hash_seed)
    if interpreter.lacks is None:
        assert done.stdout.strip() == played.digest, done.stderr
    else:
        assert interpreter.lacks in done.stderr


# --- voids ----------------------------------------------------------------------------------------------


async def _with_void(batches: list[Batch], sequence: int) -> list[Batch]:
    journal = MemoryJournal(random.Random(1), batches=batches)
    await note_operator_act(journal, Void(sequence, "test"), ManualClock())
    return list(journal.read())


async def test_recovery_after_a_void_is_deterministic_and_leaves_out_that_command(tmp_path: Path) -> None:
    """An order that was voided never was, whatever traded with it; the rest replays, and balances."""
    batches = _played(SEEDS[1]).batches
    orders = [r.sequence for r in decode_batches(batches) if isinstance(r.command, NewOrder)]
    lived = replay(batches).core.state_hash()
    for place, sequence in enumerate(random.Random(5).sample(orders, 10)):
        voided = await _with_void(batches, sequence)
        first, second = replay(voided), replay(voided)
        assert first.failure is None
        assert digest(first.core, first.streams) == digest(second.core, second.streams)
        assert first.core.register.get(sequence) is None
        assert first.core.state_hash() != lived
        check_ledger(first.core.ledger)
        if place == 0:
            save(voided, tmp_path / "voided")
            done = _replay_in(INTERPRETERS[0], tmp_path / "voided", "random")
            assert done.stdout.strip() == digest(first.core, first.streams), done.stderr


async def test_recovery_void_counts_although_it_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A void anywhere behind a command that raises keeps the replay from meeting it."""
    async with floor() as running:
        account = await running.team("A")
        bad = await running.enter(new_order(account, BUY, 666))
        await running.enter(new_order(account, BUY, 1))
        batches = list(running.journal.read())
    _poison(monkeypatch)
    failed = replay(batches)
    assert failed.failure is not None
    assert (failed.failure.sequence, failed.failure.error) == (bad.order_id, "RuntimeError: planted")
    assert failed.core.admission.last_sequence == bad.order_id - 1
    voided = replay(await _with_void(batches, bad.order_id))
    assert voided.failure is None
    assert voided.core.register.get(bad.order_id + 1) is not None


def _poison(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Venue.apply

    def poisoned(venue: Venue, record: Record) -> object:
        events = apply(venue, record)
        if isinstance(record.command, NewOrder) and record.command.quantity == 666:
            raise RuntimeError("planted")
        return events

    monkeypatch.setattr(Venue, "apply", poisoned)


# --- where it stops, what it tells ----------------------------------------------------------------------


@pytest.mark.parametrize("until", [1, 2, 100])
def test_recovery_until_stops_after_that_sequence(until: int) -> None:
    """The state as it was when that command had been carried out."""
    replayed = replay(_played(SEEDS[0]).batches, until)
    assert replayed.core.admission.last_sequence == replayed.records == until


def test_recovery_reports_its_progress() -> None:
    """A long replay says now and then how far it is."""
    rules = preset_rules("flow")
    records = [Record(1, 0, OpenGame(rules))]
    records += [Record(2 + n, 0, SetPhase(Phase.HALTED, "r")) for n in range(2 * REPLAY_PROGRESS_RECORDS)]
    journal = MemoryJournal(random.Random(1), batches=[encode_batch(records)])
    told: list[int] = []
    replayed = recover(journal, rules, build_core, progress=told.append)
    assert told == [REPLAY_PROGRESS_RECORDS, 2 * REPLAY_PROGRESS_RECORDS]
    assert replayed.core.admission.phase is Phase.HALTED


def test_recovery_of_a_gap_in_the_sequence_fails_there() -> None:
    """A record that does not follow is no state at all: named, and nothing after it is applied."""
    rules = preset_rules("flow")
    records = [Record(1, 0, OpenGame(rules)), Record(3, 0, SetPhase(Phase.HALTED, "r"))]
    journal = MemoryJournal(random.Random(1), batches=[encode_batch(records)])
    replayed = recover(journal, rules, build_core)
    assert replayed.failure is not None
    assert replayed.failure.sequence == 3
    assert replayed.core.admission.phase is Phase.CONTINUOUS


async def test_recovery_operator_acts_are_part_of_the_journal() -> None:
    """A void is a batch of its own kind; an accepted loss is an ordinary record. Both keep their sequence."""
    rules = preset_rules("flow")
    journal, clock = MemoryJournal(random.Random(1)), ManualClock()
    await open_game(journal, rules, build_core, clock)
    await note_operator_act(journal, AcceptLoss(1, "why", "facts"), clock)
    await note_operator_act(journal, Void(2, "why"), clock)
    assert [batch.kind for batch in journal.read()] == [
        BatchKind.COMMANDS,
        BatchKind.COMMANDS,
        BatchKind.VOID,
    ]
    replayed = recover(journal, rules, build_core)
    assert (replayed.failure, replayed.core.admission.last_sequence) == (None, 3)


# --- opening --------------------------------------------------------------------------------------------


async def test_open_game_begins_an_empty_journal_with_its_rules() -> None:
    """The first record is the rules; opened again with the same rules nothing is written."""
    rules = preset_rules("flow")
    journal = MemoryJournal(random.Random(1))
    assert journal_rules(journal) is None
    for _ in range(2):
        assert await open_game(journal, rules, build_core, ManualClock()) == rules
        assert journal.last_sequence == 1
    assert journal_rules(journal) == rules


async def test_open_game_names_the_rules_that_differ() -> None:
    """A game keeps the rules it began with."""
    journal = MemoryJournal(random.Random(1))
    await open_game(journal, preset_rules("flow"), build_core, ManualClock())
    with pytest.raises(StartError, match=r"instruments.*preset is flow"):
        await open_game(journal, preset_rules("small"), build_core, ManualClock())


async def test_open_game_refuses_rules_that_make_no_sense() -> None:
    """Nothing is written for a game that cannot be played."""
    limit = PositionLimit(max_position=-1)
    roles = (Role(name="player", constraints=(limit,)),)
    with pytest.raises(StartError, match="max_position"):
        await make_exchange(MemoryJournal(random.Random(1)), roles=roles).start()


def test_journal_rules_refuses_a_journal_without_beginning() -> None:
    """One that was cut at its front is no game."""
    journal = MemoryJournal(
        random.Random(1), batches=[encode_batch([Record(1, 0, SetPhase(Phase.HALTED, "r"))])]
    )
    with pytest.raises(JournalWithoutGame, match="sequence 1 is SetPhase"):
        journal_rules(journal)


# --- wishes of settle -----------------------------------------------------------------------------------


async def _past_its_limit(running: Floor) -> int:
    """A team whose fills carry it past 10 lots, with 2 lots still bid; the account."""
    first, second, third = [await running.team(name) for name in ("A", "B", "C")]
    for _ in range(3):
        await running.enter(new_order(first, BUY, 6))
    await running.enter(new_order(second, SELL, 8))
    await running.enter(new_order(third, SELL, 8))
    return first


async def test_recovery_does_not_derive_a_wish_again() -> None:
    """The cancel that settle asked for is taken from the journal: one of it, however often it is replayed."""
    async with floor(roles=LIMITED) as running:
        account = await _past_its_limit(running)
        await running.stop()
        assert running.open_orders(account) == []
        batches, state_hash = list(running.journal.read()), running.exchange.core.state_hash()
    assert _kinds(batches)["CancelOrders"] == 1
    for _ in range(2):
        async with floor(roles=LIMITED, batches=batches) as running:
            assert running.exchange.core.state_hash() == state_hash
            await running.stop()
            batches = list(running.journal.read())
    assert _kinds(batches)["CancelOrders"] == 1


async def test_recovery_makes_up_for_a_wish_that_a_crash_took() -> None:
    """Power is lost between the fills and the cancel they ask for: it comes after the restart."""
    async with floor(roles=LIMITED) as running:
        account = await _past_its_limit(running)
        await running.stop()
        batches = list(running.journal.read())
    *durable, lost = batches
    (record,) = decode_batches([lost])
    assert isinstance(record.command, CancelOrders)
    async with floor(roles=LIMITED, batches=durable, clean=False) as running:
        await running.stop()
        assert running.open_orders(account) == []
        orders = running.exchange.core.register.finished(account)
        assert [order.cancel_reason for order in orders if order.status is OrderStatus.CANCELLED] == [
            CancelReason.PORTFOLIO_LIMIT
        ]


# --- the state hash ---------------------------------------------------------------------------------------


def test_state_hash_holds_sums_beyond_64_bits() -> None:
    """The largest orders, traded often enough, make more money than a machine word holds."""
    core = build_core(preset_rules("flow"))
    hashes = set()
    for _ in range(200):
        for account, side in ((1, BUY), (2, SELL)):
            core.ledger.book(account, INSTRUMENT, side, MAX_QUANTITY, MAX_PRICE_TICKS, -MAX_QUANTITY)
        hashes.add(core.state_hash())
    assert core.ledger.cash(2) > 2**64
    assert len(hashes) == 200
