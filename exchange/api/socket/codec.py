"""Messages of a socket decoded, or the refusal that says what is wrong with them; nothing here raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import msgspec

from exchange.api.inputs import TOO_DEEP, bad_json, invalid_request
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.encode_events import Encoding
from exchange.wire.events import SocketId, SocketRequest
from exchange.wire.requests import Request

T = TypeVar("T")
P = TypeVar("P", bound=Request)

_NOT_TEXT: Final = Refusal(
    Category.INVALID, Code.INVALID_REQUEST, "This socket takes text messages: JSON, the default"
)
_NOT_BINARY: Final = Refusal(
    Category.INVALID,
    Code.INVALID_REQUEST,
    f"This socket takes binary messages: MessagePack, the subprotocol {Encoding.MSGPACK.value}",
)
_NOT_MSGPACK: Final = Refusal(Category.INVALID, Code.INVALID_REQUEST, "The message is not MessagePack")


class Decodes(Protocol):
    """A decoder of either encoding."""

    def decode(self, message: Any, /) -> Any: ...


class _Named(msgspec.Struct, frozen=True):
    """What a request that is otherwise wrong may still be answered under."""

    id: SocketId | None = None


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A message that is no request."""

    id: str | int | None
    refusal: Refusal


Read: TypeAlias = SocketRequest | Unreadable


class SocketCodec:
    """One encoding. Decoders are made once for each type of ``params``."""

    def __init__(self, encoding: Encoding) -> None:
        self._is_text = encoding.is_text
        self._make: Callable[[Any], Decodes] = (
            msgspec.json.Decoder if encoding.is_text else msgspec.msgpack.Decoder
        )
        self._request = self._make(SocketRequest)
        self._named = self._make(_Named)
        self._params: dict[type[Request], Decodes] = {}

    def request(self, message: str | bytes) -> Read:
        """The request in one message."""
        if isinstance(message, str) is not self._is_text:
            return Unreadable(None, _NOT_TEXT if self._is_text else _NOT_BINARY)
        request = self._decode(self._request, message)
        if isinstance(request, Refusal):
            named = self._decode(self._named, message)
            return Unreadable(None if isinstance(named, Refusal) else named.id, request)
        assert isinstance(request, SocketRequest)
        return request

    def params(self, request: SocketRequest, params_type: type[P]) -> P | Refusal:
        """The params of a request, all defaults where it has none."""
        raw = bytes(request.params)
        if not raw:
            return self._absent(params_type)
        decoder = self._params.get(params_type)
        if decoder is None:
            decoder = self._params[params_type] = self._make(params_type)
        params: P | Refusal = self._decode(decoder, raw)
        return params

    def _absent(self, params_type: type[P]) -> P | Refusal:
        try:
            return msgspec.convert({}, params_type)
        except msgspec.ValidationError as error:
            return invalid_request(str(error))

    def _decode(self, decoder: Decodes, message: str | bytes) -> Any:
        try:
            return decoder.decode(message)
        except msgspec.ValidationError as error:
            return invalid_request(str(error))
        except (msgspec.DecodeError, UnicodeError) as error:
            return bad_json(str(error)) if self._is_text else _NOT_MSGPACK
        except RecursionError:
            return TOO_DEEP


CODECS: Final = {encoding: SocketCodec(encoding) for encoding in Encoding}
