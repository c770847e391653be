"""The route table. Router, OpenAPI document, reference page and tests are all made from it."""

from __future__ import annotations

from typing import Final

from exchange.api.operation import Operation
from exchange.api.routes import (
    admin,
    batches,
    blotter,
    docs,
    game,
    health,
    market,
    orders,
    positions,
    quotes,
    rules,
    safety,
)

# Paths with parameters are tried in this order: what is asked most comes first.
OPERATIONS: Final[tuple[Operation, ...]] = (
    *orders.ROUTES,
    *batches.ROUTES,
    *quotes.ROUTES,
    *safety.ROUTES,
    *blotter.ROUTES,
    *market.ROUTES,
    *positions.ROUTES,
    *game.ROUTES,
    *rules.ROUTES,
    *admin.ROUTES,
    *health.ROUTES,
    *docs.routes(lambda: OPERATIONS),
)
