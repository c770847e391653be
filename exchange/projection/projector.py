"""Replays a journal and says which rows that makes: the same commands give the same rows, however cut up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from exchange.model.commands import NewOrder, OpenGame, Record, SetPhase
from exchange.model.events import AnyPrivateEvent, AnyVenueEvent, ExecutionReport, OrderEvent, PositionUpdate
from exchange.pipeline.core import Core
from exchange.pipeline.recovery import CoreFactory
from exchange.projection import rows
from exchange.projection.audit import audit_row, voided_row
from exchange.services.orders.order import Order
from exchange.storage.changes import Changes

_FeeKey = tuple[int, str, str]


class ReplayStopped(Exception):
    """A command raises, as it did in the server, which is read-only before it until it is voided."""

    def __init__(self, sequence: int, error: Exception) -> None:
        super().__init__(f"replay fails at sequence {sequence} ({type(error).__name__}: {error})")
        self.sequence = sequence


class Projector:
    """State as of the last record taken, and what changed since :meth:`changes` was last asked.

    ``silent_until``: up to there the tables have everything, and rows are not made.
    """

    def __init__(self, build: CoreFactory, *, voided: Iterable[int] = (), silent_until: int = 0) -> None:
        self._build = build
        self._voided: Final = frozenset(voided)
        self._silent_until = silent_until
        self._core: Core | None = None
        self._grids: dict[str, rows.Grid] = {}
        # Of orders that can still change; the register may forget one within the command that ends it.
        self._live: dict[int, Order] = {}
        self._fees: dict[_FeeKey, list[int]] = {}
        self._begin()

    def take(self, record: Record) -> None:
        """Apply the next record. Raises ReplayStopped: nothing more can be asked of this projector."""
        if self._core is None:
            self._open(record)
        assert self._core is not None
        silent = record.sequence <= self._silent_until
        if record.sequence in self._voided:
            self._core.admission.skip(record)
            if not silent:
                self._changes.add("audit", voided_row(record))
            return
        try:
            private = self._core.replay(record, self._matched).private
        except Exception as error:
            raise ReplayStopped(record.sequence, error) from error
        self._command(record, silent)
        self._events(record, private, silent)
        if silent:
            self._forget()

    def changes(self) -> Changes:
        """The rows of what was taken since this was last asked."""
        changes = self._changes
        for order_id, order in self._orders.items():
            changes.add("orders", rows.order_row(order, self._grid(order.command.instrument_id)))
            if order.status.is_final:
                del self._live[order_id]
        for update in self._positions.values():
            changes.add("positions", rows.position_row(update, self._grid(update.instrument_id)))
        for key in self._fees_paid:
            changes.add("fees", _fee_row(key, self._fees[key]))
        for account in self._teams:
            self._team(account)
        self._begin()
        return changes

    # --- one record -------------------------------------------------------------------------------

    def _open(self, record: Record) -> None:
        command = record.command
        assert isinstance(command, OpenGame), "a journal begins with its game"
        self._core = self._build(command.rules)
        self._grids = {each.instrument_id: rows.Grid(each) for each in command.rules.instruments}
        if record.sequence > self._silent_until:
            for instrument in command.rules.instruments:
                self._changes.add("instruments", rows.instrument_row(instrument, self._grids))

    def _command(self, record: Record, silent: bool) -> None:
        command = record.command
        if silent or isinstance(command, NewOrder):
            return
        if isinstance(command, SetPhase):
            self._phase(record, command)
        elif hasattr(command, "account"):
            self._teams[command.account] = None
        row = audit_row(record)
        if row is not None:
            self._changes.add("audit", row)

    def _matched(self, record: Record, events: Sequence[AnyVenueEvent]) -> None:
        """Before it is settled: the command that enters an order may end it, and make it forgotten."""
        if isinstance(record.command, NewOrder):
            assert self._core is not None
            order = self._core.register.get(record.sequence)
            assert order is not None, "it was entered when its command was admitted"
            self._live[order.order_id] = self._orders[order.order_id] = order

    def _phase(self, record: Record, command: SetPhase) -> None:
        assert self._core is not None
        phases, instrument_id = self._core.admission.phases, command.instrument_id
        phase = phases.market.phase if instrument_id is None else phases.of(instrument_id)
        row = {
            "sequence": record.sequence,
            "entered_at": record.timestamp_us,
            "due_at": command.due_us,
            "instrument_id": instrument_id,
            "phase": phase.value,
            "reason": rows.plain(command.reason),
        }
        self._changes.add("phases", row)

    def _events(self, record: Record, events: Iterable[AnyPrivateEvent], silent: bool) -> None:
        maker: ExecutionReport | None = None
        for event in events:
            if isinstance(event, PositionUpdate):
                self._positions[event.account, event.instrument_id] = event
                self._teams[event.account] = None
                continue
            if isinstance(event, OrderEvent):
                self._orders[event.order_id] = self._live[event.order_id]
            if isinstance(event, ExecutionReport):
                self._pay(event)
                if silent:
                    continue
                grid = self._grid(event.instrument_id)
                self._changes.add("executions", rows.execution_row(event, grid))
                # Settlement tells the maker's half first, then the taker's.
                if maker is None:
                    maker = event
                else:
                    self._changes.add("trades", rows.trade_row(record.sequence, maker, event, grid))
                    maker = None

    def _pay(self, report: ExecutionReport) -> None:
        key = (report.account, report.instrument_id, report.liquidity.value)
        sums = self._fees.get(key)
        if sums is None:
            sums = self._fees[key] = [0, 0, 0]
        sums[0] += 1
        sums[1] += report.quantity
        sums[2] += report.fees
        self._fees_paid[key] = None

    # --- what changed -----------------------------------------------------------------------------

    def _begin(self) -> None:
        self._changes = Changes()
        self._orders: dict[int, Order] = {}
        self._positions: dict[tuple[int, str], PositionUpdate] = {}
        self._fees_paid: dict[_FeeKey, None] = {}
        self._teams: dict[int, None] = {}

    def _forget(self) -> None:
        for order_id, order in self._orders.items():
            if order.status.is_final:
                del self._live[order_id]
        self._orders.clear()
        self._positions.clear()
        self._fees_paid.clear()
        self._teams.clear()

    def _team(self, account: int) -> None:
        assert self._core is not None
        team = self._core.teams.by_account(account)
        if team is not None:
            ledger = self._core.ledger
            self._changes.add("teams", rows.team_row(team, ledger.cash(account), ledger.fees(account)))

    def _grid(self, instrument_id: str) -> rows.Grid:
        return self._grids[instrument_id]


def _fee_row(key: _FeeKey, sums: list[int]) -> dict[str, object]:
    team_id, instrument_id, liquidity = key
    fills, quantity, fees = sums
    return {
        "team_id": team_id,
        "instrument_id": instrument_id,
        "liquidity": liquidity,
        "fills": fills,
        "quantity": quantity,
        "fees": fees,
    }
