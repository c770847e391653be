"""Times as clients see them: UTC, ISO 8601 with ``Z`` and always six digits of microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A time as :func:`time_text` writes it."""

Moment = Annotated[datetime, Meta(tz=True)]
"""A time as clients send it: ISO 8601 with its offset, ``Z`` for UTC."""

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_US = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=8)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def time_text(timestamp_us: int) -> str:
    """``timestamp_us`` microseconds since 1970 as ``2024-01-15T10:00:00.000001Z``."""
    second, fraction = divmod(timestamp_us, _MICROSECONDS)
    return f"{_second_text(second)}.{fraction:06d}Z"


def microseconds(moment: datetime) -> int:
    """``moment``, which has a zone, in microseconds since 1970.

    An offset can lead out of the years that a calendar has; that becomes the first or last moment of them.
    """
    return min(max((moment - _EPOCH) // _MICROSECOND, _FIRST_US), _LAST_US)
