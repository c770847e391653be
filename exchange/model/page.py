"""Pages of lists that are kept for a while: what is asked for, what is there, what may be missing."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Row = TypeVar("Row")


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of time in microseconds: ``from_us`` is in it, ``to_us`` is not, None has no end."""

    from_us: int | None = None
    to_us: int | None = None


ALWAYS = Span()


class Gone(msgspec.Struct, frozen=True, gc=False):
    """The row with the highest number among those that are no longer kept."""

    number: int
    timestamp_us: int


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """``has_more``: rows follow the last one. ``gone`` is set where rows of this page may be missing."""

    rows: list[Row]
    has_more: bool = False
    gone: Gone | None = None
