"""Admission: the one synchronous function of the validate stage, and its replay.

The first thing wrong with an order or amend answers, in this order: a resend is answered as the order it
repeats; then team, market phase, the order to amend, instrument and its own phase, order controls, numbers,
price band, what reduce-only and stop orders ask of holdings; then the constraints of the role in the order of
its config. Everything is judged before anything is changed, so that neither a refusal nor an exception leaves
half an order behind.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from exchange.base.bounds import MAX_PRICE_TICKS, MAX_QUANTITY
from exchange.model.answers import OrderAnswer, QuoteAnswer
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    GuardOrders,
    NewOrder,
    Quote,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    SetProtection,
)
from exchange.model.phases import MarketPhases, PhasesSnapshot, batched_instruments, first_phase
from exchange.model.reasons import Refusal, unknown_instrument
from exchange.model.rules import GameRules
from exchange.model.types import OrderType, Phase, Side
from exchange.services.validation import refusals
from exchange.services.validation.acts import Act, Acts
from exchange.services.validation.constraints import compile_role
from exchange.services.validation.controls import Controls, Moment
from exchange.services.validation.ports import Exposure, Market, Orders, OrderState, Teams, TeamState
from exchange.services.validation.proposal import Proposal
from exchange.services.validation.quotes import SideCommand, judge_quote, side_commands

_EVERYTHING = (CancelScope(),)
_LIMIT, _STOP = OrderType.LIMIT, OrderType.STOP


class AdmissionSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Where the sequence, the time and the market day stand."""

    sequence: int
    timestamp_us: int
    phases: PhasesSnapshot


class Admission:
    """Judges, numbers and times every command, and reserves what an order could do to a position.

    Raises ValueError for rules whose constraints make no sense, such as one for an unknown instrument.
    """

    def __init__(
        self, rules: GameRules, register: Orders, exposure: Exposure, teams: Teams, market: Market
    ) -> None:
        instruments = {each.instrument_id: each for each in rules.instruments}
        self._instruments = frozenset(instruments)
        self._checks = {role.name: compile_role(role, instruments, exposure) for role in rules.roles}
        self._phases = MarketPhases(first_phase(rules), batched_instruments(rules))
        self._acts = Acts(rules, teams, self._phases)
        self._controls = Controls(rules, exposure)
        self._register = register
        self._exposure = exposure
        self._teams = teams
        self._market = market
        self._sequence = 0
        self._timestamp_us = 0

    @property
    def last_sequence(self) -> int:
        return self._sequence

    @property
    def last_timestamp_us(self) -> int:
        return self._timestamp_us

    @property
    def phase(self) -> Phase:
        """The phase of the market, by which the next command is judged."""
        return self._phases.market.phase

    @property
    def phases(self) -> MarketPhases:
        """The same with its instruments, reasons and times: to read, not to change."""
        return self._phases

    def state(self) -> object:
        """Canonical content for the state hash. Rate windows are no part of it: a restart forgets them."""
        return {
            "sequence": self._sequence,
            "timestamp_us": self._timestamp_us,
            "phases": self._phases.state(),
        }

    def admit(self, command: AnyCommand, now_us: int) -> Record | OrderAnswer | Refusal:
        """The record to journal, or the answer of the order that a resend repeats, or why not."""
        if isinstance(command, NewOrder):
            verdict = self._resend(command) or self._judge_order(command, now_us)
            if verdict is not None:
                return verdict
            record = self._number(command, now_us)
            self._enter(record, command)
            return record
        judged = self._judge(command, now_us)
        if isinstance(judged, Refusal):
            return judged
        record = self._number(judged, now_us)
        self.apply(record)
        return record

    def admit_quote(self, quote: Quote, now_us: int) -> tuple[tuple[Record, ...], QuoteAnswer] | Refusal:
        """The records that bring a quote about, to be journaled as one, and its answer; or why not.

        Both sides are judged before either is numbered: a refusal never leaves half a quote behind.
        """
        commands = self._judge_quote(quote, now_us)
        if isinstance(commands, Refusal):
            return commands
        records = []
        for command in commands:
            record = self._number(command, now_us)
            self.apply(record)
            records.append(record)
        bid, ask = (
            self._register.quoted(quote.account, quote.instrument_id, quote.quote_group, side)
            for side in Side
        )
        answer = QuoteAnswer(
            self._timestamp_us,
            quote.instrument_id,
            None if bid is None or quote.bid is None else bid.order_id,
            None if ask is None or quote.ask is None else ask.order_id,
        )
        return tuple(records), answer

    def dry_run(self, order: NewOrder, now_us: int) -> Refusal | None:
        """Whether ``order`` would be refused now; counts nothing and changes nothing."""
        known = self._resend(order)
        if known is not None:
            return known if isinstance(known, Refusal) else None
        return self._judge_order(order, now_us, dry=True)

    # --- replay ---------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """What admitting changed, without judging again. Raises ValueError for a gap in the sequence."""
        if record.sequence != self._sequence + 1:
            raise ValueError(f"sequence {record.sequence} does not follow {self._sequence}")
        command = record.command
        match command:
            case NewOrder():
                self._enter(record, command)
            case AmendOrder():
                self._reserve_amend(record, command)
            case CancelOrder():
                self._register.cancel_pending(command.order_id)
            case RegisterTeam():
                self._teams.register(record)
            case RotateKey():
                self._teams.rotate(record)
            case SetPhase() | DisableTeam() | CancelOrders():
                self._end_many(record, command)
            case GuardOrders():
                self._teams.guard(record)
            case SetProtection():
                self._teams.protect(record)
        self.skip(record)

    def skip(self, record: Record) -> None:
        """Only move on: a voided record keeps its number and its time."""
        self._sequence = record.sequence
        self._timestamp_us = record.timestamp_us

    def snapshot(self) -> AdmissionSnapshot:
        """What a replay would give it. Rate windows are no part of it: a restart forgets them."""
        return AdmissionSnapshot(self._sequence, self._timestamp_us, self._phases.snapshot())

    def load(self, snapshot: AdmissionSnapshot) -> None:
        """Take over a snapshot."""
        self._sequence = snapshot.sequence
        self._timestamp_us = snapshot.timestamp_us
        self._phases.load(snapshot.phases)

    def _number(self, command: AnyCommand, now_us: int) -> Record:
        last_us = self._timestamp_us
        return Record(self._sequence + 1, now_us if now_us > last_us else last_us, command)

    def _enter(self, record: Record, order: NewOrder) -> None:
        self._exposure.reserve(
            order.account, order.instrument_id, order.side, order.quantity, order.can_rest, order.terms
        )
        self._register.enter(record)
        self._sequence = record.sequence
        self._timestamp_us = record.timestamp_us

    def _reserve_amend(self, record: Record, amend: AmendOrder) -> None:
        order = self._register.get(amend.order_id)
        if order is None:
            # On replay settle is never behind: an order that ended with the amend under way may be forgotten.
            return
        increase = self._increase(amend)
        if increase:
            self._exposure.reserve_more(
                amend.account, order.command.instrument_id, order.command.side, increase
            )
        self._register.amend_pending(record)

    def _end_many(self, record: Record, command: SetPhase | DisableTeam | CancelOrders) -> None:
        """What may end many orders at once; sides of quotes among them are not to be amended any more."""
        if isinstance(command, SetPhase):
            self._phases.apply(command, record.timestamp_us)
            if command.phase is Phase.CLOSED:
                self._register.cancels_pending(None, _EVERYTHING)
        elif isinstance(command, DisableTeam):
            self._teams.disable(record)
            if command.disabled:
                self._register.cancels_pending(command.account, _EVERYTHING)
        else:
            self._teams.guard(record)
            self._register.cancels_pending(command.account, command.scopes)

    def _increase(self, amend: AmendOrder) -> int:
        if amend.quantity is None:
            return 0
        return max(0, amend.quantity - self._register.most(amend.order_id))

    # --- judging --------------------------------------------------------------------------------

    def _resend(self, order: NewOrder) -> OrderAnswer | Refusal | None:
        client_order_id = order.client_order_id
        if client_order_id is None:
            return None
        known = self._register.by_client_id(order.account, client_order_id)
        if known is None:
            return None
        if not known.command.same_order(order):
            return refusals.client_order_id_reused(client_order_id, known.order_id)
        return OrderAnswer(
            known.order_id,
            known.timestamp_us,
            order.instrument_id,
            client_order_id,
            duplicate=True,
            report=self._register.report(known.order_id),
        )

    def _judge(self, command: CancelOrder | AmendOrder | Act, now_us: int) -> AnyCommand | Refusal:
        if isinstance(command, CancelOrder):
            return self._judge_cancel(command)
        if isinstance(command, AmendOrder):
            return self._judge_amend(command, now_us)
        if isinstance(command, ExpireOrders):
            # It may have waited for a slow disk, and the same wish again was dropped meanwhile.
            return replace(command, due_us=max(command.due_us, now_us))
        return self._acts.judge(command, self._sequence)

    def _judge_quote(self, quote: Quote, now_us: int) -> list[SideCommand] | Refusal:
        team = self._judge_team(quote.account)
        if isinstance(team, Refusal):
            return team
        refusal = judge_quote(quote, team.role.quotes)
        moment_us = max(now_us, self._timestamp_us)
        if refusal is None and self._market.is_frozen(quote.account, quote.quote_group, moment_us):
            refusal = refusals.quotes_frozen(quote.quote_group)
        if refusal is not None:
            return refusal
        commands = side_commands(quote, self._register)
        orders = sum(not isinstance(each, CancelOrder) for each in commands)
        for command in commands:
            refusal = self._judge_side(team, command, now_us, orders)
            if refusal is not None:
                return refusal
            if not isinstance(command, CancelOrder):
                orders = 0
        return commands

    def _judge_side(self, team: TeamState, command: SideCommand, now_us: int, orders: int) -> Refusal | None:
        """One side of a quote, which counts as ``orders`` towards the order rate."""
        if isinstance(command, NewOrder):
            return self._judge_order(command, now_us, orders=orders)
        if isinstance(command, CancelOrder):
            refusal = self._judge_cancel(command)
            return refusal if isinstance(refusal, Refusal) else None
        order = self._register.get(command.order_id)
        assert order is not None
        assert command.quantity is not None
        # What it has filled is of earlier quotes: its size is what is asked for now.
        asked = command.quantity - order.filled_quantity
        return self._judge_amended(team, command, order, now_us, asked, orders)

    def _judge_order(
        self, order: NewOrder, now_us: int, dry: bool = False, orders: int = 1
    ) -> Refusal | None:
        team = self._judge_team(order.account)
        if isinstance(team, Refusal):
            return team
        if order.instrument_id not in self._instruments:
            return unknown_instrument(order.instrument_id)
        if self._phases.instruments and (refusal := self._judge_own_phase(order.instrument_id)):
            return refusal
        controls = self._controls
        if (
            order.terms is not None
            or order.order_type is not _LIMIT
            or order.price_ticks is None
            or order.time_in_force not in controls.plain
        ):
            moment_us = max(now_us, self._timestamp_us)
            refusal = controls.judge(order, self._moment(order.instrument_id), moment_us)
            if refusal is not None:
                return refusal
        refusal = self._judge_numbers(order.instrument_id, order.quantity, order.price_ticks)
        if refusal is None and (order.terms is not None or self._exposure.reduce_only_orders):
            refusal = controls.judge_holdings(order)
        return refusal or self._judge_role(team, order, order.quantity, now_us, dry, orders)

    def _judge_amend(self, amend: AmendOrder, now_us: int) -> AmendOrder | Refusal:
        team = self._judge_team(amend.account)
        if isinstance(team, Refusal):
            return team
        order = self._live(amend.account, amend.order_id)
        if order is None or not (order.command.can_rest or order.command.order_type is _STOP):
            return refusals.AMEND_FAILED
        if amend.quantity is None and amend.price_ticks is None and amend.stop_price_ticks is None:
            return refusals.NOTHING_TO_AMEND
        if order.command.all_terms.quote_group is not None:
            return refusals.QUOTE_NOT_AMENDED
        asked = order.quantity if amend.quantity is None else amend.quantity
        return self._judge_amended(team, amend, order, now_us, asked) or replace(
            amend, instrument_id=order.command.instrument_id
        )

    def _judge_amended(
        self,
        team: TeamState,
        amend: AmendOrder,
        order: OrderState,
        now_us: int,
        asked: int,
        orders: int = 1,
    ) -> Refusal | None:
        """``asked`` is the size by which the order is judged."""
        instrument_id, increase = order.command.instrument_id, self._increase(amend)
        refusal = (
            self._judge_own_phase(instrument_id)
            or self._controls.judge_amend(amend, order, self._moment(instrument_id))
            or self._judge_numbers(instrument_id, asked, amend.price_ticks)
            or self._controls.judge_reduction(order.command, increase)
        )
        if refusal is not None:
            return refusal
        amended = replace(
            order.command,
            quantity=asked,
            price_ticks=order.price_ticks if amend.price_ticks is None else amend.price_ticks,
        )
        return self._judge_role(team, amended, increase, now_us, orders=orders)

    def _judge_cancel(self, cancel: CancelOrder) -> CancelOrder | Refusal:
        if not self._phases.rule.cancel:
            return refusals.market_closed(self.phase)
        order = self._live(cancel.account, cancel.order_id)
        if order is None:
            return refusals.CANCEL_FAILED
        return replace(cancel, instrument_id=order.command.instrument_id)

    def _live(self, account: int, order_id: int) -> OrderState | None:
        order = self._register.get(order_id)
        if order is None or order.command.account != account or order.status.is_final:
            return None
        return order

    def _judge_team(self, account: int) -> TeamState | Refusal:
        team = self._teams.by_account(account)
        if team is None:
            return refusals.unknown_team(account)
        if team.disabled:
            return refusals.TEAM_DISABLED
        if not self._phases.rule.submit:
            return refusals.market_closed(self.phase)
        return team

    def _moment(self, instrument_id: str) -> Moment:
        return Moment(self._phases.of(instrument_id), self._phases.is_call(instrument_id))

    def _judge_own_phase(self, instrument_id: str) -> Refusal | None:
        if self._phases.rule_of(instrument_id).submit:
            return None
        return refusals.instrument_closed(instrument_id, self._phases.of(instrument_id))

    def _judge_numbers(
        self, instrument_id: str, quantity: int | None, price_ticks: int | None
    ) -> Refusal | None:
        if quantity is not None and not 1 <= quantity <= MAX_QUANTITY:
            return refusals.quantity_out_of_range(quantity)
        if price_ticks is None:
            return None
        if not 1 <= price_ticks <= MAX_PRICE_TICKS:
            return refusals.price_out_of_range(instrument_id, price_ticks)
        band = self._market.band(instrument_id)
        if band is None or band[0] <= price_ticks <= band[1]:
            return None
        return refusals.price_out_of_band(instrument_id, price_ticks, band)

    def _judge_role(
        self,
        team: TeamState,
        order: NewOrder,
        increase: int,
        now_us: int,
        dry: bool = False,
        orders: int = 1,
    ) -> Refusal | None:
        checks, phases = self._checks[team.role.name], self._phases
        phase = phases.market.phase if phases.is_plain else phases.of(order.instrument_id)
        proposal = Proposal(order, increase, now_us, phase, orders)
        for check in checks.dry if dry else checks.live:
            refusal = check(proposal)
            if refusal is not None:
                return refusal
        return None
