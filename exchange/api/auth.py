"""Who is asking: an API key becomes a caller with scopes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

import msgspec

from exchange.base.bounds import KNOWN_KEYS
from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import Scope

TEAM_SCOPES: Final = frozenset((Scope.READ, Scope.TRADE))
OPERATOR_SCOPES: Final = frozenset((Scope.READ, Scope.ADMIN))

_BEARER: Final = b"bearer "

NO_KEY: Final = Refusal(
    Category.UNAUTHENTICATED,
    Code.UNAUTHENTICATED,
    "An API key is needed: X-API-Key, or Authorization: Bearer",
)
UNKNOWN_KEY: Final = Refusal(Category.UNAUTHENTICATED, Code.UNAUTHENTICATED, "This API key is not known")
NOT_A_TEAM: Final = Refusal(
    Category.FORBIDDEN, Code.FORBIDDEN, "This needs the key of a team; the operator's belongs to none"
)


class Access(Enum):
    """Who may use an operation: what the key must allow, and whether it must belong to a team."""

    PUBLIC = (None, False)
    KEY = (Scope.READ, False)
    TEAM = (Scope.READ, True)
    TRADER = (Scope.TRADE, True)
    OPERATOR = (Scope.ADMIN, False)

    def __init__(self, scope: Scope | None, of_team: bool) -> None:
        self.scope = scope
        self.of_team = of_team


class Caller(msgspec.Struct, frozen=True, gc=False):
    """``account`` is the team's number, that of the house for the operator."""

    account: int
    scopes: frozenset[Scope]


ANONYMOUS: Final = Caller(HOUSE_ACCOUNT, frozenset())
OPERATOR: Final = Caller(HOUSE_ACCOUNT, OPERATOR_SCOPES)


class KnownTeam(Protocol):
    """A team, as far as its key is concerned."""

    @property
    def account(self) -> int: ...


class Teams(Protocol):
    """Where a hashed key is looked up, each time: a rotated key is void at once."""

    def by_key_hash(self, key_hash: bytes) -> KnownTeam | None: ...


class Gate:
    """Lets a request pass, or says why not.

    A key that is remembered is still looked up by its hash: it may have been rotated away.
    """

    def __init__(self, teams: Teams, admin_key_hash: bytes) -> None:
        self._teams = teams
        self._admin_key_hash = admin_key_hash
        self._known: dict[bytes, tuple[bytes, Caller]] = {}

    @property
    def remembered(self) -> int:
        """Keys whose hash is kept."""
        return len(self._known)

    def identify(self, key: bytes) -> Caller | None:
        """Whose key it is."""
        known = self._known.get(key)
        if known is not None:
            key_hash, caller = known
            return caller if self._teams.by_key_hash(key_hash) is not None else None
        key_hash = hashlib.sha256(key).digest()
        team = self._teams.by_key_hash(key_hash)
        if team is not None:
            caller = Caller(team.account, TEAM_SCOPES)
            self._remember(key, key_hash, caller)
            return caller
        return OPERATOR if hmac.compare_digest(key_hash, self._admin_key_hash) else None

    def admit(self, headers: Mapping[bytes, bytes], scope: Scope, of_team: bool) -> Caller | Refusal:
        """The caller of a request that needs ``scope``, or a team's key with it."""
        key = headers.get(b"x-api-key")
        if key is None:
            key = _bearer(headers.get(b"authorization"))
            if key is None:
                return NO_KEY
        caller = self.identify(key)
        if caller is None:
            return UNKNOWN_KEY
        if of_team and caller.account == HOUSE_ACCOUNT:
            return NOT_A_TEAM
        return caller if scope in caller.scopes else _missing_scope(scope)

    def _remember(self, key: bytes, key_hash: bytes, caller: Caller) -> None:
        # Only keys that are known get here, so strangers cannot fill it.
        if len(self._known) >= KNOWN_KEYS:
            self._known.clear()
        self._known[key] = key_hash, caller


def _bearer(authorization: bytes | None) -> bytes | None:
    if authorization is None or authorization[:7].lower() != _BEARER:
        return None
    return authorization[7:].strip()


def _missing_scope(scope: Scope) -> Refusal:
    return Refusal(
        Category.FORBIDDEN,
        Code.FORBIDDEN,
        f"This key does not have the scope {scope.value}",
        {"scope": scope.value},
    )
