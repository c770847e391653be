"""What a page asks of the tables: one list, by its key."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchange.model.page import ALWAYS, Span


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose columns have the values of ``equal``, at most ``limit``, beyond the key ``after``.

    ``witness`` is the key of a row without which the tables are not as far as the page needs: for an order,
    one that has ended. Nothing is answered then. ``up_to`` ends the page with that key.
    """

    equal: Mapping[str, str | int]
    limit: int
    witness: int
    after: int | None = None
    up_to: int | None = None
    span: Span = ALWAYS
    statuses: tuple[str, ...] = ()
