import msgspec
import pytest

from exchange.model.commands import (
    AcceptLoss,
    AnyCommand,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    OpenGame,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    TriggerStops,
    Void,
)
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import CancelReason, Phase, Side
from exchange.services.game.teams import TeamRegistry
from exchange.services.validation.admission import Admission
from tests.unit.services.validation.fakes import (
    ACCOUNT,
    CALL,
    NOW_US,
    FakeExposure,
    FakeMarket,
    FakeOrders,
    new_order,
    registration,
    rules,
)

RULES = rules()


@pytest.fixture
def teams() -> TeamRegistry:
    """Nobody registered yet."""
    return TeamRegistry(RULES)


@pytest.fixture
def admission(teams: TeamRegistry) -> Admission:
    """An open game: sequence 1."""
    admission = Admission(RULES, FakeOrders(), FakeExposure(), teams, FakeMarket())
    assert admit(admission, OpenGame(RULES)).sequence == 1
    return admission


def admit(admission: Admission, command: AnyCommand) -> Record:
    """The record of a command that must be accepted."""
    verdict = admission.admit(command, NOW_US)
    assert isinstance(verdict, Record)
    return verdict


def refuse(admission: Admission, command: AnyCommand) -> Refusal:
    """The refusal of a command, which must not have moved anything."""
    before = admission.state()
    verdict = admission.admit(command, NOW_US + 1)
    assert isinstance(verdict, Refusal)
    assert admission.state() == before
    return verdict


def test_open_game_comes_once_and_first(admission: Admission) -> None:
    """An open game keeps the rules it began with."""
    assert refuse(admission, OpenGame(RULES)).category is Category.CONFLICT


def test_open_game_with_other_rules_is_a_bug() -> None:
    """The journal would say one thing and the exchange do another."""
    admission = Admission(RULES, FakeOrders(), FakeExposure(), TeamRegistry(RULES), FakeMarket())
    with pytest.raises(ValueError, match="rules"):
        admission.admit(OpenGame(msgspec.structs.replace(RULES, seed=2)), NOW_US)
    assert admission.last_sequence == 0


def test_register_team_is_sequenced_with_its_account(admission: Admission, teams: TeamRegistry) -> None:
    """The record carries what the registry made of it, so that a replay needs no rule."""
    command = registration("  Alpha \t Team ", "trading_desk")
    record = admit(admission, command)
    assert record.command == msgspec.structs.replace(command, name="Alpha Team", role="trader", account=1)
    team = teams.by_account(1)
    assert team is not None
    assert (team.name, team.role.name, team.registered_at_us) == ("Alpha Team", "trader", NOW_US)


def test_register_team_refused_takes_no_account(admission: Admission) -> None:
    """The next team gets the number."""
    admit(admission, registration("Alpha"))
    assert refuse(admission, registration("ALPHA")).code == Code.TEAM_NAME_TAKEN
    command = admit(admission, registration("Beta")).command
    assert isinstance(command, RegisterTeam)
    assert command.account == 2


def test_register_team_with_a_key_in_use_is_a_bug(admission: Admission) -> None:
    """The server makes the keys; two alike mean a broken generator."""
    command = registration("Alpha")
    admit(admission, command)
    with pytest.raises(ValueError, match="in use"):
        admission.admit(msgspec.structs.replace(command, name="Beta"), NOW_US)
    assert admission.last_sequence == 2


@pytest.mark.parametrize(
    "command",
    [
        RotateKey(7, b"k" * 32, "req"),
        DisableTeam(7, True, "late", "req"),
        CancelOrders(7, (CancelScope(),), CancelReason.TEAM_DISABLED),
        CancelOrders(0, (CancelScope(),), CancelReason.TEAM_DISABLED),
    ],
)
def test_acts_on_a_team_need_one(admission: Admission, command: AnyCommand) -> None:
    """An account that was never given is unknown; that of the house is no team."""
    refusal = refuse(admission, command)
    assert (refusal.category, refusal.code) == (Category.UNKNOWN, Code.UNKNOWN_TEAM)


def test_rotate_key_replaces_the_key(admission: Admission, teams: TeamRegistry) -> None:
    """From its sequence on the old key opens nothing."""
    old = registration("Alpha")
    admit(admission, old)
    admit(admission, RotateKey(ACCOUNT, b"k" * 32, "req"))
    assert teams.by_key_hash(old.key_hash) is None
    team = teams.by_key_hash(b"k" * 32)
    assert team is not None
    assert team.account == ACCOUNT


@pytest.mark.parametrize("key_hash", [b"short", b"k" * 32])
def test_rotate_key_to_no_key_or_one_in_use_is_a_bug(admission: Admission, key_hash: bytes) -> None:
    """It raises before anything is changed."""
    admit(admission, registration("Alpha"))
    admit(admission, RotateKey(ACCOUNT, b"k" * 32, "req"))
    before = admission.state()
    with pytest.raises(ValueError, match="key hash"):
        admission.admit(RotateKey(ACCOUNT, key_hash, "req"), NOW_US)
    assert admission.state() == before


def test_cancel_orders_names_known_instruments(admission: Admission) -> None:
    """Every scope is checked; without an instrument it means all."""
    admit(admission, registration("Alpha"))
    scopes = (CancelScope(), CancelScope(CALL, Side.BUY))
    admit(admission, CancelOrders(ACCOUNT, scopes, CancelReason.PORTFOLIO_LIMIT))
    command = CancelOrders(ACCOUNT, (*scopes, CancelScope("SPQ")), CancelReason.PORTFOLIO_LIMIT)
    assert refuse(admission, command).code == Code.UNKNOWN_INSTRUMENT


@pytest.mark.parametrize("phase", list(Phase))
def test_set_phase_is_sequenced_from_any_phase_but_halted(admission: Admission, phase: Phase) -> None:
    """Whoever sends it has decided; admission only follows."""
    admit(admission, SetPhase(phase, "operator"))
    assert admission.phase is phase


@pytest.mark.parametrize("phase", list(Phase))
def test_set_phase_ends_a_halt_through_a_reopening_alone(admission: Admission, phase: Phase) -> None:
    """Or with the end of the day: nothing else follows a halt."""
    admit(admission, SetPhase(Phase.HALTED, "operator"))
    command = SetPhase(phase, "operator")
    if phase in (Phase.HALTED, Phase.REOPENING, Phase.CLOSED):
        admit(admission, command)
        assert admission.phase is phase
    else:
        refusal = refuse(admission, command)
        assert (refusal.code, refusal.details) == (Code.PHASE_NOT_ALLOWED, {"phase": "halted"})


def test_set_phase_of_an_instrument_goes_round_the_same_way(admission: Admission) -> None:
    """Halted, reopening, and back to what the market does; nothing else, and no unknown instrument."""
    for phase in (Phase.CONTINUOUS, Phase.REOPENING, Phase.CLOSED):
        assert refuse(admission, SetPhase(phase, "operator", CALL)).code == Code.PHASE_NOT_ALLOWED
    assert refuse(admission, SetPhase(Phase.HALTED, "operator", "SPQ")).code == Code.UNKNOWN_INSTRUMENT
    admit(admission, SetPhase(Phase.HALTED, "operator", CALL))
    assert refuse(admission, SetPhase(Phase.CONTINUOUS, "operator", CALL)).code == Code.PHASE_NOT_ALLOWED
    admit(admission, SetPhase(Phase.REOPENING, "operator", CALL))
    admit(admission, SetPhase(Phase.CONTINUOUS, "operator", CALL))
    assert (admission.phase, admission.phases.is_plain) == (Phase.CONTINUOUS, True)
    admit(admission, SetPhase(Phase.CLOSED, "operator"))
    assert refuse(admission, SetPhase(Phase.HALTED, "operator", CALL)).code == Code.PHASE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("command", "passes"),
    [
        (Void(1, "never the opening"), False),
        (Void(2, "first after the opening"), True),
        (Void(3, "last"), True),
        (Void(4, "not yet"), False),
        (Void(0, "before all"), False),
        (AcceptLoss(-1, "r", "f"), False),
        (AcceptLoss(0, "r", "f"), True),
        (AcceptLoss(3, "r", "f"), True),
        (AcceptLoss(4, "r", "f"), False),
    ],
)
def test_operator_acts_name_a_place_in_the_journal(
    admission: Admission, command: AnyCommand, passes: bool
) -> None:
    """Beyond the last sequence there is nothing to void or to give up."""
    admit(admission, registration("Alpha"))
    assert admit(admission, new_order()).sequence == 3
    if passes:
        assert admit(admission, command).command == command
    else:
        refusal = refuse(admission, command)
        assert (refusal.category, refusal.code) == (Category.INVALID, Code.INVALID_REQUEST)


@pytest.mark.parametrize("command", [ExpireOrders(NOW_US), TriggerStops(CALL)])
def test_system_commands_of_controls_are_sequenced_in_every_phase(
    admission: Admission, command: AnyCommand
) -> None:
    """An expiry does not wait for the market to open."""
    for phase in (Phase.CONTINUOUS, Phase.CLOSED):
        admit(admission, SetPhase(phase, "test"))
        assert admit(admission, command).command == command


def test_expiry_ends_all_that_is_due_when_it_is_sequenced(admission: Admission) -> None:
    """It may have waited while the disk was slow; its time is that of its turn, and never goes back."""
    for asked_us, now_us, expected_us in (
        (NOW_US, NOW_US + 9, NOW_US + 9),
        (NOW_US + 20, NOW_US, NOW_US + 20),
    ):
        record = admission.admit(ExpireOrders(asked_us), now_us)
        assert isinstance(record, Record)
        assert record.command == ExpireOrders(expected_us)
