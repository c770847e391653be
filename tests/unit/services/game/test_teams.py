import msgspec
import pytest

from exchange.model.commands import (
    CancelOrders,
    DisableTeam,
    GuardOrders,
    Record,
    RegisterTeam,
    RotateKey,
    SetProtection,
)
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.roles import Role
from exchange.model.rules import GameRules
from exchange.model.types import CancelReason
from exchange.services.game.teams import Team, TeamRegistry

MAKER = Role(name="market_maker")
ARBITRAGE = Role(name="arbitrage", aliases=("arbitrage_desk",))
RETAIL = Role(name="retail", open=False)
NOW_US = 1_704_067_200_000_000


def rules(max_teams: int = 1000, roles: tuple[Role, ...] = (MAKER, ARBITRAGE, RETAIL)) -> GameRules:
    """Rules of nothing but roles."""
    return GameRules(preset="test", instruments=(), roles=roles, max_teams=max_teams)


def asked(
    name: str, role: str = "market_maker", key: bytes | None = None, by_operator: bool = False
) -> RegisterTeam:
    """A registration with a key hash of its own for each name."""
    return RegisterTeam(name, role, key or name.encode()[:32].ljust(32), "req", by_operator=by_operator)


def register(teams: TeamRegistry, command: RegisterTeam, timestamp_us: int = NOW_US) -> Team:
    """Complete and take up a registration that must succeed."""
    completed = teams.complete(command)
    assert isinstance(completed, RegisterTeam)
    teams.register(Record(completed.account, timestamp_us, completed))
    team = teams.by_account(completed.account)
    assert team is not None
    return team


def refused(teams: TeamRegistry, command: RegisterTeam) -> Refusal:
    """The refusal of a registration, which must not have changed a thing."""
    before = msgspec.msgpack.encode(teams.state())
    refusal = teams.complete(command)
    assert isinstance(refusal, Refusal)
    assert msgspec.msgpack.encode(teams.state()) == before
    return refusal


def test_team_is_guarded_until_it_says_otherwise_or_it_comes_to_pass() -> None:
    """Each case by itself; cancels for other reasons change nothing, and the state tells them apart."""
    teams = TeamRegistry(rules())
    register(teams, asked("Alpha"))
    before = teams.state()
    disconnected, dead_man = CancelReason.DISCONNECTED, CancelReason.DEAD_MAN_SWITCH
    steps: list[tuple[GuardOrders | CancelOrders, set[CancelReason]]] = [
        (GuardOrders(1, disconnected, True, "req"), {disconnected}),
        (GuardOrders(1, dead_man, True, "req"), {disconnected, dead_man}),
        (GuardOrders(1, dead_man, True, "req"), {disconnected, dead_man}),
        (CancelOrders(1, (), CancelReason.REQUESTED), {disconnected, dead_man}),
        (CancelOrders(1, (), disconnected), {dead_man}),
        (GuardOrders(1, dead_man, False, "req"), set()),
    ]
    for sequence, (command, wanted) in enumerate(steps, start=2):
        teams.guard(Record(sequence, NOW_US, command))
        team = teams.by_account(1)
        assert team is not None
        assert team.guards == wanted
        assert (teams.state() == before) is (not wanted)


def test_register_gives_the_next_account_and_everything_finds_it() -> None:
    """A team is known by account, name and key."""
    teams = TeamRegistry(rules())
    alpha, beta = register(teams, asked("Alpha")), register(teams, asked("Beta"), NOW_US + 1)
    assert alpha == Team(1, "Alpha", MAKER, asked("Alpha").key_hash, False, NOW_US)
    assert (beta.account, beta.registered_at_us) == (2, NOW_US + 1)
    assert teams.by_account(2) == beta
    assert teams.by_name("  bETA ") == beta
    assert teams.by_key_hash(asked("Beta").key_hash) == beta
    assert teams.all() == [alpha, beta]


def test_lookups_of_nobody_find_nobody() -> None:
    """The house has account 0 and is no team."""
    teams = TeamRegistry(rules())
    register(teams, asked("Alpha"))
    assert teams.by_account(0) is None
    assert teams.by_account(2) is None
    assert teams.by_name("Beta") is None
    assert teams.by_key_hash(b"?" * 32) is None


@pytest.mark.parametrize("name", ["Alpha Team", "ALPHA team", " alpha   TEAM\t", "Alpha\u00a0Team"])
def test_complete_refuses_a_name_that_is_taken(name: str) -> None:
    """Case and white space do not make another name."""
    teams = TeamRegistry(rules())
    register(teams, asked("  Alpha \n Team"))
    refusal = refused(teams, asked(name, key=b"k" * 32))
    assert (refusal.category, refusal.code) == (Category.CONFLICT, Code.TEAM_NAME_TAKEN)


def test_complete_takes_sharp_s_and_ss_for_one_name() -> None:
    """Names are folded as Unicode says, not only put in lower case."""
    teams = TeamRegistry(rules())
    register(teams, asked("Straße"))
    assert refused(teams, asked("STRASSE")).code == Code.TEAM_NAME_TAKEN


@pytest.mark.parametrize("name", ["", " \t ", "x" * 65, "a\x00b", "a\u202eb", "a\u200bb"])
def test_complete_refuses_a_name_nobody_can_read(name: str) -> None:
    """One to 64 printable characters: nothing invisible, nothing that turns the text round."""
    refusal = refused(TeamRegistry(rules()), asked(name, key=b"k" * 32))
    assert (refusal.category, refusal.code) == (Category.INVALID, Code.INVALID_REQUEST)


def test_complete_takes_a_name_of_64_characters() -> None:
    """Spaces at its ends do not count."""
    assert register(TeamRegistry(rules()), asked(f" {'x' * 64} ")).name == "x" * 64


def test_complete_knows_roles_by_alias_and_records_their_name() -> None:
    """The journal says arbitrage, whatever the team said."""
    teams = TeamRegistry(rules())
    completed = teams.complete(asked("Alpha", "arbitrage_desk"))
    assert isinstance(completed, RegisterTeam)
    assert completed.role == "arbitrage"
    assert register(teams, asked("Alpha", "arbitrage_desk")).role == ARBITRAGE


def test_complete_refuses_an_unknown_role() -> None:
    """Roles are spelt as in the rules."""
    refusal = refused(TeamRegistry(rules()), asked("Alpha", "Market_Maker"))
    assert (refusal.category, refusal.code) == (Category.INVALID, Code.UNKNOWN_ROLE)
    assert refusal.details == {"role": "Market_Maker"}


def test_complete_leaves_closed_roles_to_the_operator() -> None:
    """House flow is not for teams."""
    teams = TeamRegistry(rules())
    refusal = refused(teams, asked("Flow", "retail"))
    assert (refusal.category, refusal.code) == (Category.FORBIDDEN, Code.ROLE_NOT_OPEN)
    assert register(teams, asked("Flow", "retail", by_operator=True)).role == RETAIL


def test_complete_refuses_more_teams_than_the_rules_allow() -> None:
    """A full game takes nobody, from the operator neither."""
    teams = TeamRegistry(rules(max_teams=2))
    register(teams, asked("Alpha"))
    register(teams, asked("Beta"))
    refusal = refused(teams, asked("Gamma", by_operator=True))
    assert (refusal.category, refusal.code, refusal.details) == (
        Category.CONFLICT,
        Code.TOO_MANY_TEAMS,
        {"limit": 2},
    )


def test_register_after_a_voided_registration_gives_no_account_twice() -> None:
    """A replay without record 1 still knows account 2 as 2, and the next team gets 3."""
    teams = TeamRegistry(rules())
    teams.register(Record(5, NOW_US, msgspec.structs.replace(asked("Beta"), account=2)))
    assert register(teams, asked("Gamma")).account == 3


def test_rotate_voids_the_old_key() -> None:
    """Only the new key is the team's."""
    teams = TeamRegistry(rules())
    register(teams, asked("Alpha", key=b"a" * 32))
    teams.rotate(Record(2, NOW_US, RotateKey(1, b"b" * 32, "req")))
    assert teams.by_key_hash(b"a" * 32) is None
    team = teams.by_key_hash(b"b" * 32)
    assert team is not None
    assert (team.account, team.key_hash) == (1, b"b" * 32)


def test_disable_and_let_back() -> None:
    """The flag is all that changes."""
    teams = TeamRegistry(rules())
    team = register(teams, asked("Alpha"))
    teams.disable(Record(2, NOW_US, DisableTeam(1, True, "late", "req")))
    assert teams.by_account(1) == msgspec.structs.replace(team, disabled=True)
    teams.disable(Record(3, NOW_US, DisableTeam(1, False, "sorry", "req")))
    assert teams.by_account(1) == team


def test_state_tells_apart_what_differs() -> None:
    """Every act shows in the state hash."""
    teams = TeamRegistry(rules())
    states = [msgspec.msgpack.encode(teams.state())]
    register(teams, asked("Alpha"))
    states.append(msgspec.msgpack.encode(teams.state()))
    teams.rotate(Record(2, NOW_US, RotateKey(1, b"b" * 32, "req")))
    states.append(msgspec.msgpack.encode(teams.state()))
    teams.disable(Record(3, NOW_US, DisableTeam(1, True, "late", "req")))
    states.append(msgspec.msgpack.encode(teams.state()))
    assert len(set(states)) == 4


def test_protect_notes_the_groups_of_a_team() -> None:
    """Set twice is one group, taken away none; the state hash shows it."""
    teams = TeamRegistry(rules())
    register(teams, asked("Alpha"))
    groups, states = [], []
    for group, fills in (("g", 1), ("g", 2), ("h", 1), ("g", None)):
        teams.protect(Record(2, NOW_US, SetProtection(1, group, fills, None, 1, 0, "req")))
        team = teams.by_account(1)
        assert team is not None
        groups.append(sorted(team.protected_groups))
        states.append(msgspec.msgpack.encode(teams.state()))
    assert groups == [["g"], ["g"], ["g", "h"], ["h"]]
    assert len(set(states)) == 3


@pytest.mark.parametrize("roles", [(MAKER, MAKER), (MAKER, Role(name="quoter", aliases=("market_maker",)))])
def test_registry_refuses_rules_with_a_name_for_two_roles(roles: tuple[Role, ...]) -> None:
    """Which one a team meant could not be told."""
    with pytest.raises(ValueError, match="used twice"):
        TeamRegistry(rules(roles=roles))
