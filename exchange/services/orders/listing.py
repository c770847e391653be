"""Orders of one team in pages, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import dropwhile, islice, takewhile

import msgspec

from exchange.model.page import ALWAYS, Gone, Page, Span
from exchange.services.orders.order import Order
from exchange.services.orders.register import OrderRegister


class OrdersWanted(msgspec.Struct, frozen=True, kw_only=True):
    """``after`` continues below that order_id; ``span`` is that of acceptance, which rises with it."""

    limit: int
    open: bool = True
    finished: bool = True
    after: int | None = None
    span: Span = ALWAYS
    matches: Callable[[Order], bool] | None = None


def page_of_orders(register: OrderRegister, account: int, wanted: OrdersWanted) -> Page[Order]:
    """By order_id, which never changes: an order is on one page, whatever happens to it between two."""
    rows = filter(wanted.matches, _within(wanted.span, _newest_first(register, account, wanted)))
    found = list(islice(rows, wanted.limit + 1))
    page = Page(found[: wanted.limit], len(found) > wanted.limit)
    gone = register.gone(account) if wanted.finished else None
    if gone is not None and _reaches(page, wanted.span, gone):
        return Page(page.rows, page.has_more, gone)
    return page


def _newest_first(register: OrderRegister, account: int, wanted: OrdersWanted) -> Iterator[Order]:
    after = wanted.after
    open_orders = register.open_orders(account)[::-1] if wanted.open else []
    if after is not None:
        open_orders = [order for order in open_orders if order.order_id < after]
    finished = register.finished(account, after) if wanted.finished else ()
    return merge(open_orders, finished, key=lambda order: -order.order_id)


def _within(span: Span, orders: Iterator[Order]) -> Iterator[Order]:
    from_us, to_us = span.from_us, span.to_us
    if to_us is not None:
        orders = dropwhile(lambda order: order.timestamp_us >= to_us, orders)
    if from_us is not None:
        orders = takewhile(lambda order: order.timestamp_us >= from_us, orders)
    return orders


def _reaches(page: Page[Order], span: Span, gone: Gone) -> bool:
    """Whether the page tells of times at which orders were accepted that are no longer kept."""
    if page.has_more:
        return gone.number > page.rows[-1].order_id
    return span.from_us is None or gone.timestamp_us >= span.from_us
