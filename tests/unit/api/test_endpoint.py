from typing import Any

import msgspec
import pytest

from exchange.api.auth import Access, Gate
from exchange.api.context import ApiContext
from exchange.api.endpoint import Endpoint
from exchange.api.operation import AnyCall, Handler, Operation, Topic
from exchange.api.replies import Answered, Document, Reply
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.data import DryRun
from exchange.wire.queries import OrderbookQuery
from exchange.wire.requests import AmendRequest, DisableTeamRequest
from tests.support.api import TEAM_KEY, Answer, Headers, ask, still_context

SECRET = "a secret of the server"
AMEND = b'{"quantity":3}'


def _endpoint(handler: Handler, context: ApiContext, **fields: Any) -> Endpoint:
    operation = Operation(
        operation_id="op",
        method="POST",
        path="/op",
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=handler,
        summary="",
    )
    changed = msgspec.structs.replace(operation, **fields)
    return Endpoint(changed, context, Gate(context.teams, context.settings.admin_key_hash))


class _Recorder:
    """A handler that answers with what it was told to, and keeps what it got."""

    def __init__(self, reply: Reply | Exception | None = None) -> None:
        self.reply = reply or Answered(DryRun(valid=True))
        self.calls: list[AnyCall] = []

    async def __call__(self, context: ApiContext, call: AnyCall) -> Reply:
        self.calls.append(call)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


async def _ask(
    handler: Handler,
    operation: dict[str, Any] | None = None,
    *,
    context: ApiContext | None = None,
    method: str = "POST",
    **request: Any,
) -> Answer:
    endpoint = _endpoint(handler, context or still_context(), **(operation or {}))
    answer = await ask(endpoint, method, "/op", **request)
    assert answer is not None
    return answer


async def test_endpoint_echoes_the_request_id() -> None:
    """X-Request-ID comes back in the envelope, in a header, and reaches the handler."""
    handler = _Recorder()
    answer = await _ask(handler, headers=[(b"x-request-id", b"my-1")])
    assert answer.status == 200
    assert answer.envelope["request_id"] == answer.headers["x-request-id"] == "my-1"
    assert handler.calls[0].request_id == "my-1"


async def test_endpoint_makes_a_request_id() -> None:
    """Without one the server makes its own, another for each request."""
    context = still_context()
    answers = [await _ask(_Recorder(), context=context) for _ in range(2)]
    ids = [answer.envelope["request_id"] for answer in answers]
    assert len(set(ids)) == 2
    assert ids == [answer.headers["x-request-id"] for answer in answers]


async def test_endpoint_refuses_an_invalid_request_id() -> None:
    """What cannot be echoed safely is refused, under an id of the server's."""
    handler = _Recorder()
    answer = await _ask(handler, headers=[(b"x-request-id", b"a b")])
    assert (answer.status, answer.code) == (400, Code.INVALID_REQUEST)
    assert answer.envelope["request_id"].startswith("req_")
    assert not handler.calls


@pytest.mark.parametrize("name", [b"x-request-id", b"x-api-key", b"authorization", b"content-type"])
async def test_endpoint_refuses_a_header_that_decides_given_twice(name: bytes) -> None:
    """Which of two keys counts would be a guess."""
    handler = _Recorder()
    answer = await _ask(handler, headers=[(name, b"a"), (name, b"b")])
    assert (answer.status, answer.code) == (400, Code.INVALID_REQUEST)
    assert not handler.calls


async def test_endpoint_bears_other_headers_given_twice() -> None:
    """Lists may come in several fields."""
    answer = await _ask(_Recorder(), headers=[(b"accept", b"a"), (b"accept", b"b")])
    assert answer.status == 200


async def test_endpoint_hides_what_made_a_handler_fail() -> None:
    """An exception is a 500 envelope without a word of its cause, whatever was asked."""
    answer = await _ask(_Recorder(RuntimeError(SECRET)), headers=[(b"x-request-id", b"my-1")])
    assert (answer.status, answer.code) == (500, Code.INTERNAL_ERROR)
    assert answer.envelope["request_id"] == "my-1"
    assert answer.headers["content-type"] == "application/json"
    assert SECRET.encode() not in answer.body
    assert b"Traceback" not in answer.body


async def test_endpoint_answers_what_it_cannot_encode_with_500() -> None:
    """A reply that cannot be written is a failure of the handler too."""
    answer = await _ask(_Recorder(Answered(object())))
    assert (answer.status, answer.code) == (500, Code.INTERNAL_ERROR)


async def test_endpoint_passes_on_what_send_raises() -> None:
    """Once the answer is on its way nothing else can be said: the layer outside counts a client gone."""
    endpoint = _endpoint(_Recorder(), still_context())

    async def send(message: object) -> None:
        raise ConnectionResetError

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
    with pytest.raises(ConnectionResetError):
        await endpoint(scope, receive, send)


@pytest.mark.parametrize(
    ("headers", "status"),
    [([], 401), ([(b"x-api-key", b"wrong")], 401), ([(b"x-api-key", TEAM_KEY.encode())], 200)],
)
async def test_endpoint_lets_nobody_in_without_a_key(headers: Headers, status: int) -> None:
    """A stranger is refused before anything of the request is read."""
    handler = _Recorder()
    operation = {"access": Access.TRADER, "body": AmendRequest}
    answer = await _ask(handler, operation, headers=headers, body=[AMEND])
    assert answer.status == status
    assert len(handler.calls) == (status == 200)


async def test_endpoint_asks_for_the_key_before_it_complains_of_the_rest() -> None:
    """What is wrong with a stranger's request is none of his business."""
    operation = {"access": Access.TEAM, "body": AmendRequest}
    answer = await _ask(_Recorder(), operation, query=b"nonsense")
    assert answer.status == 401


async def test_endpoint_decodes_query_and_body() -> None:
    """The handler gets both as their types, and the caller's account."""
    handler = _Recorder()
    await _ask(
        handler,
        {"access": Access.TRADER, "query": OrderbookQuery, "body": AmendRequest},
        headers=[(b"authorization", b"Bearer " + TEAM_KEY.encode())],
        query=b"depth=3",
        body=[AMEND],
        path_params={"order_id": "ORD_1"},
    )
    call = handler.calls[0]
    assert (call.query, call.body) == (OrderbookQuery(depth=3), AmendRequest(quantity=3))
    assert (call.caller.account, call.path) == (1, {"order_id": "ORD_1"})


async def test_endpoint_without_query_gives_the_defaults() -> None:
    """An empty query string is every default."""
    handler = _Recorder()
    await _ask(handler, {"query": OrderbookQuery})
    assert handler.calls[0].query == OrderbookQuery()


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ([(b"content-type", b"text/plain")], AMEND, 415, Code.UNSUPPORTED_MEDIA_TYPE),
        ([(b"content-encoding", b"gzip")], AMEND, 415, Code.UNSUPPORTED_MEDIA_TYPE),
        ([], b"", 400, Code.BAD_JSON),
        ([], b"{", 400, Code.BAD_JSON),
        ([], b'{"quantity":0}', 400, Code.INVALID_REQUEST),
        ([], b" " * 65_537, 413, Code.BODY_TOO_LARGE),
        ([(b"content-length", b"65537")], b"", 413, Code.BODY_TOO_LARGE),
    ],
)
async def test_endpoint_refuses_a_bad_body(headers: Headers, body: bytes, status: int, code: Code) -> None:
    """Each way in which a body can be wrong has its status and code."""
    handler = _Recorder()
    answer = await _ask(handler, {"body": AmendRequest}, headers=headers, body=[body])
    assert (answer.status, answer.code) == (status, code)
    assert not handler.calls


async def test_endpoint_takes_a_body_of_just_the_limit() -> None:
    """The limit itself is allowed."""
    body = AMEND + b" " * (65_536 - len(AMEND))
    assert (await _ask(_Recorder(), {"body": AmendRequest}, body=[body])).status == 200


async def test_endpoint_with_optional_body_takes_none() -> None:
    """Nothing sent is every default, also with a content type of something else."""
    handler = _Recorder()
    context = still_context()
    endpoint = _endpoint(handler, context, body=DisableTeamRequest, body_optional=True)
    answer = await ask(endpoint, "POST", "/op", headers=[(b"content-type", b"text/plain")])
    assert answer is not None
    assert answer.status == 200
    assert handler.calls[0].body == DisableTeamRequest()


async def test_endpoint_does_not_answer_a_client_gone() -> None:
    """A body that ends in the middle is no request: nothing is done, nothing is said."""
    handler = _Recorder()
    endpoint = _endpoint(handler, still_context(), body=AmendRequest)
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
    await endpoint(scope, receive, send)
    assert not sent
    assert not handler.calls


async def test_endpoint_answers_head_without_a_body() -> None:
    """HEAD has the headers of GET, the length among them, and no body."""
    get, head = [await _ask(_Recorder(), method=method) for method in ("GET", "HEAD")]
    assert get.headers.keys() == head.headers.keys()
    assert head.headers["content-length"] == str(len(get.body))
    assert head.body == b""


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Answered(), 200),
        (Document(b"text/plain", b"text"), 200),
        (Refusal(Category.UNKNOWN, Code.UNKNOWN_ORDER, "none"), 404),
    ],
)
async def test_endpoint_counts_and_measures_every_answer(reply: Reply, status: int) -> None:
    """Each answer says how long it took and how long it is, and is counted."""
    context = still_context()
    answer = await _ask(_Recorder(reply), context=context)
    assert answer.status == status
    assert answer.headers["server-timing"].startswith("total;dur=")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert context.tally.of("op", status) == 1
