"""Questions are asked again while the exchange is out of reach; acts are not."""

from __future__ import annotations

import json
from collections import deque

import pytest

from exchange.client import (
    ConnectionLost,
    ExchangeClient,
    ExchangeError,
    NotFound,
    NotUnderstood,
    RateLimited,
    Rejected,
    Retries,
    ServerFailed,
    Unavailable,
    register,
)
from exchange.client.transport import HttpAnswer, Socket
from tests.unit.client.fake_exchange import AT_ONCE, TIME

TRADES = {"instrument_id": "SPX", "trades": []}


class Scripted:
    """Answers requests with what the test says, in order."""

    prefers_socket = False
    api_key = None

    def __init__(self, *answers: HttpAnswer | ExchangeError) -> None:
        self.requests: list[tuple[str, str, bytes | None]] = []
        self._answers = deque(answers)

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        self.requests.append((method, target, body))
        answer = self._answers.popleft()
        if isinstance(answer, ExchangeError):
            raise answer
        return answer

    async def connect(self) -> Socket:
        raise AssertionError("nothing here needs a socket")

    async def close(self) -> None:
        pass


def refused(status: int) -> HttpAnswer:
    """An answer with an error."""
    error = {"code": f"CODE_{status}", "message": "no", "retry_after_ms": 0}
    return HttpAnswer(status, json.dumps({"request_id": "r", "error": error}).encode())


def answered(data: object) -> HttpAnswer:
    """An answer with data."""
    return HttpAnswer(200, json.dumps({"request_id": "r", "timestamp": TIME, "data": data}).encode())


def client_over(transport: Scripted, attempts: int = 3) -> ExchangeClient:
    """A client that tries again at once."""
    return ExchangeClient(transport, retries=Retries(attempts=attempts, backoff=AT_ONCE))


async def test_question_is_asked_again_while_it_may_pass() -> None:
    """A broken connection and a 503 pass; the third attempt is answered."""
    transport = Scripted(ConnectionLost("gone", sent=True), refused(503), answered(TRADES))
    assert (await client_over(transport).trades("SPX")).trades == []
    assert len(transport.requests) == 3


@pytest.mark.parametrize(("status", "kind"), [(503, Unavailable), (504, ExchangeError)])
async def test_last_error_is_raised_at_the_bound(status: int, kind: type[ExchangeError]) -> None:
    """As many attempts as the client's retries say."""
    transport = Scripted(*[refused(status)] * 3)
    with pytest.raises(kind, match=f"CODE_{status}"):
        await client_over(transport).trades("SPX")
    assert len(transport.requests) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Rejected), (404, NotFound), (429, RateLimited), (500, ServerFailed)]
)
async def test_definite_answer_is_not_asked_again(status: int, kind: type[ExchangeError]) -> None:
    """Asking again would be answered the same."""
    transport = Scripted(refused(status))
    with pytest.raises(kind):
        await client_over(transport).trades("SPX")


async def test_registration_is_sent_once() -> None:
    """A second one would find the name taken, by the first."""
    transport = Scripted(ConnectionLost("gone", sent=True))
    with pytest.raises(ConnectionLost):
        await register(transport, "Alpha", "hedge_fund", "code")
    ((method, target, body),) = transport.requests
    assert (method, target) == ("POST", "/game/teams/register")
    assert json.loads(body or b"") == {"name": "Alpha", "role": "hedge_fund", "invite_code": "code"}


async def test_answer_without_data_is_not_understood() -> None:
    """Where data is promised there must be some."""
    with pytest.raises(NotUnderstood):
        await client_over(Scripted(answered(None))).trades("SPX")


async def test_parameters_are_part_of_the_address() -> None:
    """Those that are not given are left out; ids are quoted, whatever they hold."""
    order = {"request_id": "r", "timestamp": TIME, "order_id": "ORD_1"}
    transport = Scripted(
        answered(TRADES), answered({"executions": []}), HttpAnswer(200, json.dumps(order).encode())
    )
    client = client_over(transport)
    await client.trades("S/X", after="TRD_1", limit=5)
    await client.executions()
    await client.cancel(client_order_id="a b")
    assert [target for _, target, _ in transport.requests] == [
        "/exchange/trades/S%2FX?after=TRD_1&limit=5",
        "/exchange/executions?limit=100",
        "/exchange/orders/client:a%20b",
    ]


@pytest.mark.parametrize("names", [{}, {"order_id": "ORD_1", "client_order_id": "mine"}])
async def test_order_is_named_once(names: dict[str, str]) -> None:
    """Neither no name nor two."""
    client = client_over(Scripted())
    for call in (client.cancel, client.get_order, client.amend):
        with pytest.raises(ValueError, match="named"):
            await call(**names)
