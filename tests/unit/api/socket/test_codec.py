from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.api.socket.codec import CODECS, Unreadable
from exchange.model.reasons import Refusal
from exchange.wire.encode_events import Encoding
from exchange.wire.events import SocketRequest
from exchange.wire.socket import BookParams, NoParams, SubscribeParams

JSON, MSGPACK = CODECS[Encoding.JSON], CODECS[Encoding.MSGPACK]


def _packed(content: object) -> bytes:
    return msgspec.msgpack.encode(content)


def test_codec_reads_a_request_in_either_encoding() -> None:
    """Id, method and params, which are decoded when their type is known."""
    content = {"id": "a-1", "method": "book.get", "params": {"instrument_id": "SPX", "depth": 5}}
    for codec, message in ((JSON, msgspec.json.encode(content).decode()), (MSGPACK, _packed(content))):
        request = codec.request(message)
        assert isinstance(request, SocketRequest)
        assert (request.id, request.method) == ("a-1", "book.get")
        assert codec.params(request, BookParams) == BookParams(instrument_id="SPX", depth=5)


def test_codec_absent_params_are_all_defaults() -> None:
    """In either encoding; where something is required the refusal names it."""
    for codec, message in (
        (JSON, '{"id":1,"method":"ping"}'),
        (MSGPACK, _packed({"id": 1, "method": "ping"})),
    ):
        request = codec.request(message)
        assert isinstance(request, SocketRequest)
        assert codec.params(request, NoParams) == NoParams()
        refusal = codec.params(request, SubscribeParams)
        assert isinstance(refusal, Refusal)
        assert refusal.details == {"field": "channels"}


@pytest.mark.parametrize(
    ("message", "answered_id", "code"),
    [
        ("", None, "BAD_JSON"),
        ("hello", None, "BAD_JSON"),
        ('{"id":1,"method":"ping"', None, "BAD_JSON"),
        ('{"id":1,"method":"ping"} {}', None, "BAD_JSON"),
        ("[1]", None, "INVALID_REQUEST"),
        ('{"method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":7}', 7, "INVALID_REQUEST"),
        ('{"id":7,"method":"ping","parms":{}}', 7, "INVALID_REQUEST"),
        ('{"id":7,"method":8}', 7, "INVALID_REQUEST"),
        ('{"id":"x y","method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":1.5,"method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":null,"method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":true,"method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":99999999999999999999,"method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":"' + "x" * 65 + '","method":"ping"}', None, "INVALID_REQUEST"),
        ('{"id":3,"method":"' + "m" * 65 + '"}', 3, "INVALID_REQUEST"),
        ('{"id":1,"method":"m","params":' + "[" * 30_000 + "]" * 5_000 + "}", None, "BODY_TOO_DEEP"),
        (b'{"id":1,"method":"ping"}', None, "INVALID_REQUEST"),
    ],
)
def test_codec_says_what_is_wrong(message: str | bytes, answered_id: object, code: str) -> None:
    """The id comes back where it could be read, null where not."""
    read = JSON.request(message)
    assert isinstance(read, Unreadable)
    assert (read.id, read.refusal.code) == (answered_id, code)


def test_codec_packed_socket_refuses_text_and_rubbish() -> None:
    """A text message and bytes that are not MessagePack are answered, each in words of its own."""
    text, rubbish = MSGPACK.request('{"id":1,"method":"ping"}'), MSGPACK.request(b"\xc1")
    assert isinstance(text, Unreadable)
    assert isinstance(rubbish, Unreadable)
    assert "binary" in text.refusal.message
    assert rubbish.refusal.message == "The message is not MessagePack"


def test_codec_deep_params_are_refused_when_read() -> None:
    """Depth is bounded in MessagePack too."""
    deep = b"\x91" * 30_000 + b"\xc0"
    message = b"\x83" + _packed("id") + b"\x01" + _packed("method") + _packed("m") + _packed("params") + deep
    read = MSGPACK.request(message)
    assert isinstance(read, Unreadable)
    assert read.refusal.code == "BODY_TOO_DEEP"


@given(st.one_of(st.text(), st.binary()))
def test_codec_never_raises(message: str | bytes) -> None:
    """Whatever comes is a request or a refusal."""
    for codec in CODECS.values():
        read = codec.request(message)
        if isinstance(read, SocketRequest):
            codec.params(read, SubscribeParams)
