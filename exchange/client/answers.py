"""Answers decoded: the ApiResponse of seed 002 into a typed result, or the exception it stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

import msgspec

from exchange.client.errors import ExchangeError, NotUnderstood, error_of
from exchange.client.transport import HttpAnswer
from exchange.wire.envelope import ApiError

T = TypeVar("T")


class Answer(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A success. ``data`` is absent where the operation has none."""

    timestamp: str
    order_id: str | None = None
    data: T | None = None
    request_id: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: ApiError
    request_id: str | None = None
    order_id: str | None = None


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)


@lru_cache(maxsize=64)
def answer_decoder(data: Any) -> msgspec.json.Decoder[Answer[Any]]:
    """The decoder of a success with ``data`` of that type; made once for each."""
    return msgspec.json.Decoder(Answer[data])


@lru_cache(maxsize=64)
def data_decoder(data: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of ``data`` alone."""
    return msgspec.json.Decoder(data)


def decode(answer: HttpAnswer, data: Any) -> Answer[Any]:
    """What came over HTTP, with data of type ``data``; raises ExchangeError."""
    if answer.status != 200:
        raise refusal_of(answer)
    try:
        return answer_decoder(data).decode(answer.body)
    except msgspec.MsgspecError as error:
        raise NotUnderstood(f"not an answer of this exchange: {error}", answer.status) from error


def decode_result(result: msgspec.Raw, data: Any, *, is_command: bool) -> Answer[Any]:
    """What came over the socket: a command's result has its own time, a query's is the data itself."""
    try:
        if is_command:
            return answer_decoder(data).decode(result)
        return Answer(timestamp="", data=data_decoder(data).decode(result))
    except msgspec.MsgspecError as error:
        raise NotUnderstood(f"not an answer of this exchange: {error}", 200) from error


def refusal_of(answer: HttpAnswer) -> ExchangeError:
    """The exception for an answer that is no success; one without envelope is that of a proxy."""
    try:
        refusal = _REFUSAL.decode(answer.body)
    except msgspec.MsgspecError:
        error = ApiError(f"HTTP_{answer.status}", f"status {answer.status} without an envelope")
        return error_of(answer.status, error, retry_after_s=answer.retry_after_s)
    return error_of(
        answer.status,
        refusal.error,
        retry_after_s=answer.retry_after_s,
        request_id=refusal.request_id,
        order_id=refusal.order_id,
    )
