"""The past beyond what memory keeps: the one place where a page that memory cannot fill is handed on."""

from __future__ import annotations

from collections.abc import Callable

from exchange.model.page import Gone
from exchange.model.reasons import Code
from exchange.wire.envelope import ApiError
from exchange.wire.times import time_text


def beyond(gone: Gone | None, id_text: Callable[[int], str]) -> ApiError | None:
    """What a page says of the rows it may lack; ``gone`` is the newest of them, None where all are there.

    There is nobody to ask for them yet, so they are missing.
    """
    if gone is None:
        return None
    return ApiError(
        Code.HISTORY_LIMITED,
        "Rows that belong to this page may no longer be kept",
        {"kept_after": id_text(gone.number), "kept_from": time_text(gone.timestamp_us)},
    )
