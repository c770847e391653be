"""A snapshot has all of the state: loaded, it is the same object graph, and it goes on in the same way."""

from __future__ import annotations

import asyncio
import random
from functools import cache
from itertools import combinations
from typing import Final, NamedTuple

import pytest
from msgspec.structs import replace

from exchange.journal.records import decode_batches
from exchange.model.answers import QuoteAnswer
from exchange.model.commands import (
    CancelOrders,
    CancelScope,
    Configuration,
    DisableTeam,
    GuardOrders,
    NoteConfiguration,
    OrderTerms,
    Quote,
    QuoteSide,
    Record,
    SetPhase,
    SetProtection,
)
from exchange.model.rules import GameRules
from exchange.model.types import CancelReason, Phase, Side
from exchange.pipeline.recovery import journal_rules
from tests.support.floor import Floor, floor, new_order
from tests.support.replayed import DERIVED, Replayed
from tests.support.sameness import Comparison
from tests.support.session import PRICES, ROLES, Session

COMMANDS = 250
SEEDS = (1, 2, 7)

SAVED: Final = {
    "Admission": {"_sequence", "_timestamp_us", "_phases"},
    "TeamRegistry": {"_teams", "_accounts_by_key", "_accounts_by_name", "_last_account"},
    "OrderRegister": {"_orders", "_teams", "_amends", "_amends_of", "_last_order_id"},
    "_Team": {"open", "finished", "known", "known_ids", "gone", "quotes"},
    "Exposure": {"_accounts", "reduce_only_orders"},
    "Ledger": {"_accounts", "_house"},
    "MarketPhases": {"market", "instruments", "rule", "is_plain"},
    "Venue": {
        "_phases",
        "_counters",
        "_books",
        "_matchers",
        "_expiries",
        "_protections",
        "_protected",
        "_now_us",
    },
    "Book": {"bids", "asks", "by_account", "last_trade_ticks", "has_auction_only", "stops"},
    "StopBook": {"orders", "by_account", "_buys", "_sells", "_reached"},
    "Expiries": {"_heap"},
    "Protections": {"_groups", "orders"},
    "Protection": {"settings", "frozen_until_us", "_recent", "_lots"},
    "Tapes": {"_by_instrument", "_is_closed"},
    "Tape": {"last_ticks", "last_quantity", "series", "session"},
    "CandleSeries": {"_candles", "gone_us"},
    "BookSide": {"queue", "totals", "hidden", "heap", "dead", "_surfaced"},
    "Matcher": {"in_call", "book", "_bids", "_asks", "_by_account", "counters", "stops"},
    "Settlement": {"history", "streams", "portfolio", "audit"},
    "History": {"_executions", "_trades"},
    "StreamNumbers": {"_last"},
    "PortfolioWatch": {"_past", "_breaches", "_limits"},
    "AuditTrail": {"_entries", "configuration"},
    "PrivateStreams": {"_rings"},
    "Ring": {"_items", "last_seq"},
}
"""What changes while the exchange runs, and so is in a snapshot or follows from what is."""

FIXED: Final = {
    "Core": {
        *("rules", "teams", "register", "exposure", "ledger"),
        *("venue", "admission", "settlement"),
    },
    "Admission": {
        "_instruments",
        "_checks",
        "_acts",
        "_controls",
        "_register",
        "_exposure",
        "_teams",
        "_market",
    },
    "Controls": {"_closes", "_holdings", "_prevents_self_trade", "plain"},
    "Acts": {"_rules", "_instruments", "_teams", "_phases"},
    "TeamRegistry": {"_roles", "_max_teams"},
    "OrderRegister": {"_finished_per_team", "_known_per_team"},
    "Ledger": {"_tick_values"},
    "Venue": {"_bands", "_day"},
    "Expiries": {"_is_live", "_sweep_at"},
    "MarketPhases": {"_batched"},
    "Tape": {"_daily"},
    "CandleSeries": {"_span_us"},
    "Book": {"instrument_id"},
    "Matcher": {"_instrument_id", "_prevents", "prevention"},
    "Settlement": {"_register", "_exposure", "_ledger", "_fees", "_ended"},
    "History": {"_executions_per_team", "_trades_per_instrument"},
    "PortfolioWatch": {"_holdings", "_role_of"},
    "AuditTrail": {"_kept"},
    "FeeSchedule": {"_role_of", "_fees"},
    "PrivateStreams": {"_size"},
}
"""What is built from the rules, and the services that know one another."""


SHARED: Final = {
    *(("Admission", "_phases"), ("Ledger", "_house"), ("Matcher", "book"), ("Protections", "orders")),
    *(("Matcher", "_asks"), ("Matcher", "_bids"), ("Matcher", "_by_account")),
    *(("Matcher", "stops"), ("Matcher", "counters")),
}
"""Other names of what is compared elsewhere; that it is still shared after loading is compared too."""
ELSEWHERE: Final = {
    *(("OrderRegister", "_amends"), ("OrderRegister", "_amends_of"), ("_Team", "gone")),
    *(("StopBook", "_reached"), ("CandleSeries", "gone_us"), ("Tapes", "_is_closed")),
    *(("Protection", each) for each in ("settings", "frozen_until_us", "_recent", "_lots")),
}
"""Empty between two commands of a replay, or after so short a game; tests of their own save them."""


class Played(NamedTuple):
    """A session's records and the rules they begin with."""

    rules: GameRules
    records: list[Record]


@cache
def _played(seed: int) -> Played:
    return asyncio.run(_play(seed))


async def _play(seed: int) -> Played:
    """A random session, then what it has too little of."""
    async with floor(preset="small", roles=ROLES) as running:
        await Session(running, seed).play(COMMANDS)
        path = running.exchange.path
        path.submit_system(NoteConfiguration(Configuration("2", "00000001", "{}")))
        await running.execute(GuardOrders(1, CancelReason.DISCONNECTED, True, "r"))
        await running.execute(CancelOrders(2, (CancelScope(),), CancelReason.OPERATOR, "r"))
        await _reduce_only(running)
        await _protected_quote(running)
        path.submit_system(SetPhase(Phase.HALTED, "one of them", "SPY"))
        path.submit_system(SetPhase(Phase.HALTED, "all"))
        path.submit_system(SetPhase(Phase.REOPENING, "all"))
        for price in (None, PRICES["SPX"]):
            for side in (Side.BUY, Side.SELL):
                await running.execute(new_order(1, side, 1, price, instrument_id="SPX"))
        await running.stop()
        rules = journal_rules(running.journal)
        assert rules is not None
        return Played(rules, list(decode_batches(running.journal.read())))


async def _protected_quote(running: Floor) -> None:
    """A quote far from everything, in a group that is watched."""
    account, middle = 4, PRICES["SPX"]
    await running.execute(DisableTeam(account, False, "back", "r"))
    await running.execute(CancelOrders(account, (CancelScope(),), CancelReason.OPERATOR, "r"))
    await running.execute(SetProtection(account, "a", 5, None, 10**9, 0, "r"))
    bid, ask = QuoteSide(middle - 90, 1), QuoteSide(middle + 90, 1)
    answer = await running.execute(Quote(account, "SPX", "a", bid, ask, "r"))
    assert isinstance(answer, QuoteAnswer)


async def _reduce_only(running: Floor) -> None:
    """An order that takes the largest position back."""
    core = running.exchange.core
    account = max((1, 2, 3, 4, 5, 6), key=lambda each: abs(core.exposure.position(each, "SPX")))
    position = core.exposure.position(account, "SPX")
    side, behind = (Side.SELL, 50) if position > 0 else (Side.BUY, -50)
    await running.execute(DisableTeam(account, False, "back", "r"))
    await running.execute(CancelOrders(account, (CancelScope(),), CancelReason.OPERATOR, "r"))
    order = new_order(account, side, 1, PRICES["SPX"] + behind, instrument_id="SPX")
    await running.enter(replace(order, terms=OrderTerms(reduce_only=True)))


@pytest.mark.parametrize("seed", SEEDS)
def test_state_loaded_at_every_cut_is_the_same_graph(seed: int) -> None:
    """After each record: every attribute, shared objects still shared, and the state hash."""
    played = _played(seed)
    replayed = Replayed(played.rules)
    for number, record in enumerate(played.records):
        replayed.apply(record)
        if number % len(SEEDS) == seed % len(SEEDS) or record is played.records[-1]:
            other = replayed.reloaded()
            assert next(replayed.differences(other), None) is None
            assert other.core.state_hash() == replayed.core.state_hash()


@pytest.mark.parametrize("seed", SEEDS)
def test_state_loaded_at_any_cut_goes_on_in_the_same_way(seed: int) -> None:
    """The tail gives the same events with the same numbers, and ends in the same state, cut once or often."""
    played = _played(seed)
    whole, often, chance = Replayed(played.rules), Replayed(played.rules), random.Random(seed)
    cuts = {chance.randrange(1, len(played.records)) for _ in range(12)}
    once: list[Replayed] = []
    for number, record in enumerate(played.records):
        if number in cuts:
            once.append(whole.reloaded())
            often = often.reloaded()
        told = whole.apply(record)
        for other in (often, *once):
            assert other.apply(record) == told
    for other in (often, *once):
        assert other.core.state_hash() == whole.core.state_hash()
        assert next(whole.differences(other), None) is None


def test_state_classes_have_no_attribute_that_a_snapshot_has_not_heard_of() -> None:
    """Whoever gives a service a new attribute says here whether it is state, and then saves and loads it."""
    replayed = _replayed(SEEDS[0])
    comparison = Comparison(DERIVED)
    list(comparison.differences(replayed.core, replayed.core))
    list(comparison.differences(replayed.streams, replayed.streams))
    list(comparison.differences(replayed.tapes, replayed.tapes))
    known = {kind: SAVED.get(kind, set()) | FIXED.get(kind, set()) for kind in SAVED.keys() | FIXED.keys()}
    assert {kind: set(names) for kind, names in comparison.classes.items()} == known


def test_state_that_the_tests_above_save_has_everything() -> None:
    """Each attribute that is saved is another one in some other state: none is empty in all of them."""
    states = [Replayed(_played(SEEDS[0]).rules), _replayed(1, 0.5), *map(_replayed, SEEDS)]
    differing: set[tuple[str, str]] = set()
    for one, other in combinations(states, 2):
        comparison = Comparison({})
        list(comparison.differences(one.core, other.core))
        list(comparison.differences(one.streams, other.streams))
        list(comparison.differences(one.tapes, other.tapes))
        differing |= comparison.differing
    saved = {(kind, name) for kind, names in SAVED.items() for name in names}
    assert sorted(saved - differing) == sorted(SHARED | ELSEWHERE)


def _replayed(seed: int, share: float = 1.0) -> Replayed:
    played = _played(seed)
    replayed = Replayed(played.rules)
    for record in played.records[: int(len(played.records) * share)]:
        replayed.apply(record)
    return replayed
