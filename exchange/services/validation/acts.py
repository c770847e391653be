"""Commands of operators and of the exchange itself: what each must satisfy to be sequenced."""

from __future__ import annotations

from typing import TypeAlias

from exchange.base.bounds import MAX_QUOTE_GROUPS
from exchange.model.commands import (
    AcceptLoss,
    CancelOrders,
    DisableTeam,
    ExpireOrders,
    GuardOrders,
    OpenGame,
    RegisterTeam,
    RotateKey,
    SetPhase,
    SetProtection,
    TriggerStops,
    Uncross,
    Void,
)
from exchange.model.phases import MarketPhases
from exchange.model.reasons import Refusal, unknown_instrument
from exchange.model.rules import GameRules
from exchange.services.validation import refusals
from exchange.services.validation.ports import Teams

Act: TypeAlias = (
    OpenGame
    | CancelOrders
    | SetPhase
    | RegisterTeam
    | RotateKey
    | DisableTeam
    | Void
    | AcceptLoss
    | GuardOrders
    | ExpireOrders
    | TriggerStops
    | SetProtection
    | Uncross
)


class Acts:
    """Judges every command that is neither order, cancel nor amend."""

    def __init__(self, rules: GameRules, teams: Teams, phases: MarketPhases) -> None:
        self._rules = rules
        self._instruments = frozenset(each.instrument_id for each in rules.instruments)
        self._teams = teams
        self._phases = phases

    def judge(self, act: Act, last_sequence: int) -> Act | Refusal:
        """The command to sequence. Raises ValueError where a game is opened with other rules than these."""
        match act:
            case SetPhase():
                return self._judge_phase(act)
            case RegisterTeam():
                return self._teams.complete(act)
            case RotateKey() | DisableTeam() | GuardOrders():
                return self._unknown_team(act.account) or act
            case CancelOrders():
                return self._unknown_team(act.account) or self._unknown_scope(act) or act
            case SetProtection():
                return self._judge_protection(act)
            case ExpireOrders() | TriggerStops() | Uncross():
                # The exchange's own: nobody else can enter one.
                return act
            case OpenGame():
                return self._judge_opening(act, last_sequence)
            case Void() | AcceptLoss():
                return _outside(act, last_sequence) or act

    def _unknown_team(self, account: int) -> Refusal | None:
        return None if self._teams.by_account(account) is not None else refusals.unknown_team(account)

    def _unknown_scope(self, act: CancelOrders) -> Refusal | None:
        for scope in act.scopes:
            if scope.instrument_id is not None and scope.instrument_id not in self._instruments:
                return unknown_instrument(scope.instrument_id)
        return None

    def _judge_protection(self, act: SetProtection) -> Act | Refusal:
        team = self._teams.by_account(act.account)
        if team is None:
            return refusals.unknown_team(act.account)
        if team.role.quotes is None:
            return refusals.QUOTES_NOT_ALLOWED
        groups = team.protected_groups
        if act.quote_group not in groups and len(groups) >= MAX_QUOTE_GROUPS:
            return refusals.too_many_quote_groups(MAX_QUOTE_GROUPS)
        return act

    def _judge_phase(self, act: SetPhase) -> Act | Refusal:
        instrument_id, phases = act.instrument_id, self._phases
        if instrument_id is not None and instrument_id not in self._instruments:
            return unknown_instrument(instrument_id)
        if phases.may_enter(act.phase, instrument_id):
            return act
        now = phases.market.phase if instrument_id is None else phases.of(instrument_id)
        return refusals.phase_not_allowed(now, act.phase)

    def _judge_opening(self, act: OpenGame, last_sequence: int) -> Act | Refusal:
        if last_sequence:
            return refusals.GAME_IS_OPEN
        if act.rules != self._rules:
            raise ValueError("the game must be opened with the rules this exchange was built with")
        return act


def _outside(act: Void | AcceptLoss, last: int) -> Refusal | None:
    # Sequence 1 opens the game: without it there is nothing to replay.
    first, sequence = (2, act.sequence) if isinstance(act, Void) else (0, act.after_sequence)
    return None if first <= sequence <= last else refusals.sequence_out_of_range(sequence, last)
