import hashlib
from collections.abc import Iterable

import msgspec
import pytest

from exchange.api import auth
from exchange.api.auth import OPERATOR_SCOPES, TEAM_SCOPES, Access, Caller, Gate
from exchange.base.bounds import KNOWN_KEYS
from exchange.model.reasons import Code, Refusal
from exchange.model.types import Scope

KEY = b"itg_key"
ADMIN = b"itg_admin"


class _Team(msgspec.Struct, frozen=True):
    account: int


class _Teams:
    def __init__(self, keys: Iterable[bytes] = (KEY,)) -> None:
        self.by_hash = {hashlib.sha256(key).digest(): _Team(place) for place, key in enumerate(keys, start=1)}

    def by_key_hash(self, key_hash: bytes) -> _Team | None:
        return self.by_hash.get(key_hash)


def _gate(teams: _Teams | None = None) -> Gate:
    return Gate(teams or _Teams(), hashlib.sha256(ADMIN).digest())


def _admit(headers: dict[bytes, bytes], access: Access = Access.TEAM) -> Caller | Refusal:
    assert access.scope is not None
    return _gate().admit(headers, access.scope, access.of_team)


@pytest.mark.parametrize(
    "headers",
    [
        {b"x-api-key": KEY},
        {b"authorization": b"Bearer " + KEY},
        {b"authorization": b"bearer   " + KEY + b" "},
        {b"x-api-key": KEY, b"authorization": b"Basic whatever"},
    ],
)
def test_gate_takes_a_key_from_either_header(headers: dict[bytes, bytes]) -> None:
    """X-API-Key, or Authorization: Bearer; the first decides where both are there."""
    assert _admit(headers) == Caller(1, TEAM_SCOPES)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"x-api-key": b""},
        {b"x-api-key": b"itg_keY"},
        {b"x-api-key": KEY + b"\n"},
        {b"x-api-key": b"\xff\xfe"},
        {b"authorization": b"Basic " + KEY},
        {b"authorization": b"Bearer"},
        {b"authorization": KEY},
        {b"x-api-key": b"wrong", b"authorization": b"Bearer " + KEY},
        {b"cookie": KEY},
    ],
)
def test_gate_refuses_without_a_known_key(headers: dict[bytes, bytes]) -> None:
    """No key, another scheme and an unknown key are UNAUTHENTICATED."""
    refusal = _admit(headers)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("access", "team", "operator"),
    [
        (Access.KEY, True, True),
        (Access.TEAM, True, False),
        (Access.TRADER, True, False),
        (Access.OPERATOR, False, True),
    ],
)
def test_gate_holds_every_access_to_its_scope(access: Access, team: bool, operator: bool) -> None:
    """A team may read and trade, the operator may read and administer, and belongs to no team."""
    for key, allowed in ((KEY, team), (ADMIN, operator)):
        caller = _admit({b"x-api-key": key}, access)
        assert isinstance(caller, Caller) is allowed
        if isinstance(caller, Refusal):
            assert caller.code == Code.FORBIDDEN


def test_access_names_scopes_of_some_key() -> None:
    """Every access but the public one can be had with some key."""
    needed = {access.scope for access in Access} - {None}
    assert needed == {Scope.READ, Scope.TRADE, Scope.ADMIN}
    assert needed == TEAM_SCOPES | OPERATOR_SCOPES


def test_gate_forgets_a_rotated_key_at_once() -> None:
    """Only the hash of a key is remembered, never whose it is: a rotated key is void on the next request."""
    teams = _Teams()
    gate = _gate(teams)
    assert gate.identify(KEY) == Caller(1, TEAM_SCOPES)
    teams.by_hash = {hashlib.sha256(b"itg_new").digest(): _Team(1)}
    assert gate.identify(KEY) is None
    assert gate.identify(b"itg_new") == Caller(1, TEAM_SCOPES)


def test_gate_hashes_a_known_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was admitted is not hashed again; one that was not is, each time."""
    hashed: list[bytes] = []

    class _Hashlib:
        @staticmethod
        def sha256(key: bytes) -> object:
            hashed.append(key)
            return hashlib.sha256(key)

    monkeypatch.setattr(auth, "hashlib", _Hashlib)
    gate = _gate()
    for _ in range(3):
        gate.identify(KEY)
        gate.identify(b"unknown")
    assert hashed.count(KEY) == 1
    assert hashed.count(b"unknown") == 3


def test_gate_remembers_a_bounded_number_of_keys() -> None:
    """At the bound all hashes are forgotten; every key still works."""
    keys = [b"itg_%d" % number for number in range(KNOWN_KEYS + 10)]
    gate = _gate(_Teams(keys))
    assert [gate.identify(key) for key in keys] == [Caller(n, TEAM_SCOPES) for n in range(1, len(keys) + 1)]
    assert gate.remembered <= KNOWN_KEYS
