"""The rows of a projection against what the services say."""

from __future__ import annotations

from functools import partial

import pytest

from exchange.app import build_core
from exchange.journal.batch import Batch
from exchange.journal.records import decode_batches
from exchange.model.commands import NewOrder, RegisterTeam, SetPhase
from exchange.projection.projector import Projector
from exchange.services.orders.register import OrderRegister
from exchange.storage.changes import KEPT, Row
from tests.support.projected import played
from tests.support.session import replay

KEYS = {
    "teams": ("team_id",),
    "orders": ("order_id",),
    "positions": ("team_id", "instrument_id"),
    "fees": ("team_id", "instrument_id", "liquidity"),
}


def project(step: int, batches: list[Batch]) -> tuple[dict[str, dict[object, Row]], dict[str, list[Row]]]:
    """Tables of a played game, changes asked for after every ``step`` records."""
    projector = Projector(build_core)
    kept: dict[str, dict[object, Row]] = {name: {} for name in KEPT}
    appended: dict[str, list[Row]] = {}
    records = list(decode_batches(batches))
    for number, record in enumerate(records, 1):
        projector.take(record)
        if number % step and number < len(records):
            continue
        for name, rows in projector.changes().tables():
            if name in KEPT:
                kept[name] |= {tuple(row[key] for key in KEYS[name]): row for row in rows}
            else:
                appended.setdefault(name, []).extend(rows)
    return kept, appended


@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_projector_rows_agree_with_the_services(step: int) -> None:
    """Orders with the register, holdings with the ledger, fills and trades with the history."""
    batches = await played(500)
    kept, appended = project(step, batches)
    core = replay(batches).core
    for team in core.teams.all():
        account = team.account
        row = kept["teams"][account,]
        assert (row["cash"], row["fees"]) == (core.ledger.cash(account), core.ledger.fees(account))
        assert (row["name"], row["disabled"]) == (team.name, team.disabled)
        for name, line in core.ledger.positions(account).items():
            held = kept["positions"][account, name]
            told = (held["position"], held["cost"], held["realised_pnl"])
            assert told == (line.position, line.cost, line.realised_pnl)
        reports = core.settlement.history.executions(account, 10_000).rows
        own = [row for row in appended["executions"] if row["team_id"] == account]
        assert [row["exec_id"] for row in own] == [each.exec_id for each in reports]
        assert sum(row["fees"] for row in own) == core.ledger.fees(account)
    paid = sum(row["fees"] for row in kept["fees"].values())
    assert paid == sum(row["fees"] for row in appended["executions"])


async def test_projector_orders_are_as_the_register_has_them() -> None:
    """Status, quantities, value and the terms as sent; every accepted order has its row."""
    batches = await played(500)
    kept, _ = project(50, batches)
    core = replay(batches).core
    records = [each for each in decode_batches(batches) if isinstance(each.command, NewOrder)]
    assert set(kept["orders"]) == {(record.sequence,) for record in records}
    for record in records:
        order, row = core.register.get(record.sequence), kept["orders"][record.sequence,]
        assert order is not None
        assert (row["status"], row["quantity"], row["filled_quantity"], row["fees"]) == (
            order.status.value,
            order.quantity,
            order.filled_quantity,
            order.fees,
        )
        assert (row["sent_quantity"], row["filled_ticks"]) == (order.command.quantity, order.value)


async def test_projector_has_one_row_for_each_match_phase_and_act() -> None:
    """A trade names both its orders; phases and registrations are those of the journal."""
    batches = await played(500)
    _, appended = project(50, batches)
    core, records = replay(batches).core, list(decode_batches(batches))
    for name in core.ledger.positions(1):
        trades = core.settlement.history.trades(name, 10_000).rows
        rows = [row for row in appended["trades"] if row["instrument_id"] == name]
        assert [(row["trade_id"], row["price_ticks"], row["quantity"]) for row in rows] == [
            (each.trade_id, each.price_ticks, each.quantity) for each in trades
        ]
    halves = {row["exec_id"]: row for row in appended["executions"]}
    for row in appended["trades"]:
        pair = [halves[2 * row["trade_id"] - 1], halves[2 * row["trade_id"]]]
        orders = {half["side"]: half["order_id"] for half in pair}
        assert orders == {"buy": row["buy_order_id"], "sell": row["sell_order_id"]}
    phases = [each.sequence for each in records if isinstance(each.command, SetPhase)]
    assert [row["sequence"] for row in appended["phases"]] == phases
    registered = [each.sequence for each in records if isinstance(each.command, RegisterTeam)]
    acts = [row["sequence"] for row in appended["audit"] if row["act"] == "register_team"]
    assert acts == registered


async def test_projector_needs_no_order_that_the_register_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are the same where finished orders leave the register at once."""
    batches = await played(500)
    whole = project(25, batches)
    monkeypatch.setattr("exchange.app.OrderRegister", partial(OrderRegister, 1))
    assert project(25, batches) == whole


async def test_projector_keeps_keys_and_their_hashes_out() -> None:
    """Nothing in any row is the hash of a key."""
    batches = await played(500)
    kept, appended = project(100, batches)
    hashes = {team.key_hash.hex() for team in replay(batches).core.teams.all()}
    shown = str(kept) + str(appended)
    assert not [each for each in hashes if each in shown]
    assert "key_hash" not in shown
