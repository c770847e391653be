"""The teams of a game: who they are, what role they play, by which key they are known."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from exchange.base.bounds import MAX_TEAM_NAME
from exchange.model.commands import (
    HOUSE_ACCOUNT,
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
from exchange.services.game.keys import KEY_HASH_BYTES


class Team(msgspec.Struct, frozen=True, array_like=True):
    """A registered team. ``account`` is its number; what clients call it is made on the wire."""

    account: int
    name: str
    role: Role
    key_hash: bytes
    disabled: bool
    registered_at_us: int
    guards: frozenset[CancelReason] = frozenset()
    """In which cases its orders are to be cancelled."""
    protected_groups: frozenset[str] = frozenset()
    """Groups of quotes that market-maker protection watches."""


TeamsSnapshot: TypeAlias = list[Team]


class TeamRegistry:
    """Every team that was registered, at most ``max_teams`` with those of the house; none ever leaves.

    Raises ValueError for rules in which one role name or alias means two roles.
    """

    def __init__(self, rules: GameRules) -> None:
        self._roles = _roles_by_name(rules.roles)
        self._max_teams = rules.max_teams
        self._teams: dict[int, Team] = {}
        self._accounts_by_key: dict[bytes, int] = {}
        self._accounts_by_name: dict[str, int] = {}
        self._last_account = HOUSE_ACCOUNT

    # --- what admission does --------------------------------------------------------------------

    def complete(self, command: RegisterTeam) -> RegisterTeam | Refusal:
        """The registration with its account, its name tidied and its role by the role's own name; or why not.

        Raises ValueError for a key hash that is none or in use: the server makes them.
        """
        name = tidy(command.name)
        if not 1 <= len(name) <= MAX_TEAM_NAME or not name.isprintable():
            return _invalid_name()
        role = self._roles.get(command.role)
        if role is None:
            return _unknown_role(command.role)
        if not role.open and not command.by_operator:
            return _role_not_open(role.name)
        if name.casefold() in self._accounts_by_name:
            return _name_taken(name)
        if len(self._teams) >= self._max_teams:
            return _too_many_teams(self._max_teams)
        self._require_new_key(command.key_hash)
        return replace(command, name=name, role=role.name, account=self._last_account + 1)

    def register(self, record: Record) -> None:
        """Take up a registration that :meth:`complete` made."""
        command = record.command
        assert isinstance(command, RegisterTeam)
        account = command.account
        assert account > self._last_account, "accounts are given in order"
        team = Team(
            account=account,
            name=command.name,
            role=self._roles[command.role],
            key_hash=command.key_hash,
            disabled=False,
            registered_at_us=record.timestamp_us,
        )
        self._keep(team)

    def rotate(self, record: Record) -> None:
        """The team's old key is void from now on. Raises ValueError for a key hash that is none or in use."""
        command = record.command
        assert isinstance(command, RotateKey)
        team = self._teams[command.account]
        self._require_new_key(command.key_hash)
        del self._accounts_by_key[team.key_hash]
        self._accounts_by_key[command.key_hash] = team.account
        self._teams[team.account] = replace(team, key_hash=command.key_hash)

    def disable(self, record: Record) -> None:
        """Disable the team, or let it back."""
        command = record.command
        assert isinstance(command, DisableTeam)
        team = self._teams[command.account]
        self._teams[team.account] = replace(team, disabled=command.disabled)

    def guard(self, record: Record) -> None:
        """Note what the team's orders are guarded against, or that it has come to pass."""
        command = record.command
        assert isinstance(command, GuardOrders | CancelOrders)
        team = self._teams[command.account]
        if isinstance(command, CancelOrders):
            guards = team.guards - {command.reason}
        elif command.enabled:
            guards = team.guards | {command.against}
        else:
            guards = team.guards - {command.against}
        if guards != team.guards:
            self._teams[team.account] = replace(team, guards=guards)

    def protect(self, record: Record) -> None:
        """Note that a group of quotes is protected, or no longer."""
        command = record.command
        assert isinstance(command, SetProtection)
        team = self._teams[command.account]
        groups = team.protected_groups - {command.quote_group}
        if command.fills is not None or command.lots is not None:
            groups |= {command.quote_group}
        self._teams[team.account] = replace(team, protected_groups=groups)

    # --- what anyone may ask --------------------------------------------------------------------

    def by_account(self, account: int) -> Team | None:
        return self._teams.get(account)

    def by_key_hash(self, key_hash: bytes) -> Team | None:
        """Whose key it is; None for a key that was never given or was rotated away."""
        return self._teams.get(self._accounts_by_key.get(key_hash, HOUSE_ACCOUNT))

    def by_name(self, name: str) -> Team | None:
        """Whatever its case and spacing."""
        return self._teams.get(self._accounts_by_name.get(tidy(name).casefold(), HOUSE_ACCOUNT))

    def all(self) -> list[Team]:
        """In the order of registration."""
        return list(self._teams.values())

    def state(self) -> object:
        """Canonical content for the state hash."""
        return [
            [
                *(team.account, team.name, team.role.name, team.key_hash, team.disabled),
                *(team.registered_at_us, sorted(each.value for each in team.guards)),
                sorted(team.protected_groups),
            ]
            for team in self._teams.values()
        ]

    # --- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> TeamsSnapshot:
        """Everything, in the order of registration."""
        return list(self._teams.values())

    def load(self, snapshot: TeamsSnapshot) -> None:
        """Take over a snapshot, as an empty registry. Raises KeyError for a role that the rules lack."""
        for team in snapshot:
            self._keep(replace(team, role=self._roles[team.role.name]))

    def _keep(self, team: Team) -> None:
        self._teams[team.account] = team
        self._accounts_by_key[team.key_hash] = team.account
        self._accounts_by_name[team.name.casefold()] = team.account
        self._last_account = team.account

    def _require_new_key(self, key_hash: bytes) -> None:
        if len(key_hash) != KEY_HASH_BYTES:
            raise ValueError("a key hash has 32 bytes")
        if key_hash in self._accounts_by_key:
            raise ValueError("this key hash is in use")


def tidy(name: str) -> str:
    """A name with its white space folded, as it is kept."""
    return " ".join(name.split())


def _roles_by_name(roles: tuple[Role, ...]) -> dict[str, Role]:
    by_name: dict[str, Role] = {}
    for role in roles:
        for name in (role.name, *role.aliases):
            if name in by_name:
                raise ValueError(f"role name {name!r} is used twice")
            by_name[name] = role
    return by_name


def _invalid_name() -> Refusal:
    return Refusal(
        Category.INVALID,
        Code.INVALID_REQUEST,
        f"A team's name has 1 to {MAX_TEAM_NAME} printable characters",
        {"max_length": MAX_TEAM_NAME},
    )


def _unknown_role(role: str) -> Refusal:
    return Refusal(Category.INVALID, Code.UNKNOWN_ROLE, "No such role", {"role": role})


def _role_not_open(role: str) -> Refusal:
    return Refusal(
        Category.FORBIDDEN, Code.ROLE_NOT_OPEN, "Only an operator may register this role", {"role": role}
    )


def _name_taken(name: str) -> Refusal:
    return Refusal(Category.CONFLICT, Code.TEAM_NAME_TAKEN, "Another team has this name", {"team_name": name})


def _too_many_teams(limit: int) -> Refusal:
    return Refusal(Category.CONFLICT, Code.TOO_MANY_TEAMS, "The game is full", {"limit": limit})
