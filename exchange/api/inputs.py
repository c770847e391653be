"""What arrives with a request: body and query, decoded, or the refusal that names what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive

from exchange.base.bounds import MAX_ECHOED_CHARACTERS, MAX_QUERY_PARAMETERS
from exchange.model.reasons import Category, Code, Refusal
from exchange.wire.queries import Query

T = TypeVar("T")
Q = TypeVar("Q", bound=Query)

_PLACE: Final = re.compile(r"^(?P<text>.*?)(?: - at `\$\.?(?P<place>.*)`)?$", re.DOTALL)
_MISNAMED: Final = re.compile(
    r"^Object (?:(?P<missing>missing required)|contains unknown) field `(?P<field>.*)`$", re.DOTALL
)
_JSON_TYPE: Final = re.compile(rb"application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)

EMPTY_BODY: Final = Refusal(Category.INVALID, Code.BAD_JSON, "The body is empty; JSON is expected")
NOT_UTF_8: Final = Refusal(Category.INVALID, Code.BAD_JSON, "The body is not UTF-8")
UNSUPPORTED_MEDIA_TYPE: Final = Refusal(
    Category.INVALID, Code.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json in UTF-8, uncompressed"
)
TOO_DEEP: Final = Refusal(Category.INVALID, Code.BODY_TOO_DEEP, "The body is nested too deeply")


def body_too_large(limit: int) -> Refusal:
    """More than ``limit`` bytes were announced or sent."""
    return Refusal(
        Category.INVALID, Code.BODY_TOO_LARGE, f"The body may have at most {limit} bytes", {"limit": limit}
    )


def is_json(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body announced with ``headers`` can be read; one that names no type is taken for JSON."""
    content_type = headers.get(b"content-type", b"application/json")
    if content_type != b"application/json" and not _JSON_TYPE.fullmatch(content_type):
        return False
    return headers.get(b"content-encoding", b"identity") == b"identity"


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes | Refusal | None:
    """The whole body; None when the client went away before it was there."""
    if _announced(headers) > limit:
        return body_too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > limit:
            return body_too_large(limit)
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return None
    return body_too_large(limit) if len(body) > limit else body


def _announced(headers: Mapping[bytes, bytes]) -> int:
    digits = headers.get(b"content-length", b"0")
    # Python refuses to convert very many digits; what is not digits the server has refused already.
    return int(digits[:18]) if digits.isdigit() else 0


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T | Refusal:
    """The body as the decoder's type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        return invalid_request(str(error))
    except msgspec.DecodeError as error:
        return EMPTY_BODY if not body.strip() else bad_json(str(error))
    except UnicodeDecodeError:
        return NOT_UTF_8
    except RecursionError:
        return TOO_DEEP


def parse_query(query_type: type[Q], raw: bytes) -> Q | Refusal:
    """The query string as ``query_type``: no parameter twice, none unknown, each within its bounds."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError:
        return Refusal(Category.INVALID, Code.INVALID_REQUEST, "The query string is malformed")
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        return Refusal(Category.INVALID, Code.INVALID_REQUEST, "A query parameter is given twice")
    try:
        return msgspec.convert(parameters, query_type, strict=False)
    except msgspec.ValidationError as error:
        return invalid_request(str(error), "query parameter")


def invalid_request(complaint: str, kind: str = "field") -> Refusal:
    """msgspec's complaint, with the field it is about by name: first in the message, and in ``details``."""
    parts = _PLACE.match(complaint)
    assert parts is not None
    text, place = parts["text"], parts["place"] or ""
    misnamed = _MISNAMED.match(text)
    if misnamed is not None:
        field = f"{place}.{misnamed['field']}".lstrip(".")
        return _refuse(f"{'Missing' if misnamed['missing'] else 'Unknown'} {kind} {field}", field)
    if not place:
        return _refuse(text, None)
    return _refuse(f"{place}: {text}", place)


def bad_json(complaint: str) -> Refusal:
    """The body is not JSON."""
    return Refusal(Category.INVALID, Code.BAD_JSON, _short(complaint))


def _refuse(message: str, field: str | None) -> Refusal:
    details: dict[str, Any] | None = None if field is None else {"field": _short(field)}
    return Refusal(Category.INVALID, Code.INVALID_REQUEST, _short(message), details)


def _short(text: str) -> str:
    # What a client sent comes back in the message: enough to find it, not 64 KiB of it.
    return text if len(text) <= MAX_ECHOED_CHARACTERS else text[: MAX_ECHOED_CHARACTERS - 1] + "…"
