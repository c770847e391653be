"""Is it alive, is it ready, and what it counts."""

from __future__ import annotations

from typing import Final

import msgspec

from exchange.api.auth import Access
from exchange.api.context import ApiContext
from exchange.api.operation import Call, Operation, Topic
from exchange.api.replies import Answered, Document, Reply
from exchange.metrics import CONTENT_TYPE
from exchange.model.reasons import Code
from exchange.pipeline.health import State
from exchange.storage.progress import ProjectionState
from exchange.wire import data
from exchange.wire.queries import NoQuery

_OK: Final = "ok"


async def get_live(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Success as long as a restart would not help."""
    state = context.health.state
    refusal = context.health.refusal()
    if state is State.FAILED and refusal is not None:
        return refusal
    return Answered(data.Health(status=_OK if state is State.RUNNING else state.value))


async def get_ready(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """Success when commands are taken; else the refusal they would get."""
    refusal = context.health.refusal()
    if refusal is not None:
        return refusal
    projection = context.projection()
    if projection.state is ProjectionState.OFF:
        return Answered(data.Health(status=_OK))
    checks = {"projection": msgspec.to_builtins(projection)}
    return Answered(data.Health(status=_OK, checks=checks))


async def get_metrics(context: ApiContext, call: Call[NoQuery, None]) -> Reply:
    """The metrics, in Prometheus' text format."""
    return Document(CONTENT_TYPE.encode(), context.exposition())


ROUTES: Final = (
    Operation(
        operation_id="get_live",
        method="GET",
        path="/health/live",
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=get_live,
        summary="Whether the process should go on",
        description="Also while starting, draining or halted: a restart helps only once the journal failed.",
        data=data.Health,
        codes=(Code.JOURNAL_FAILED,),
    ),
    Operation(
        operation_id="get_ready",
        method="GET",
        path="/health/ready",
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=get_ready,
        summary="Whether orders are taken",
        description=(
            "The refusal, where there is one, is what any command would get now. `checks.projection` tells"
            " how far the SQL tables are; they never make the exchange unready."
        ),
        data=data.Health,
        codes=(Code.OVERLOADED, Code.VENUE_HALTED, Code.SHUTTING_DOWN, Code.JOURNAL_FAILED),
    ),
    Operation(
        operation_id="get_metrics",
        method="GET",
        path="/metrics",
        topic=Topic.SERVER,
        access=Access.PUBLIC,
        handler=get_metrics,
        summary="Metrics in Prometheus' text format",
        media_type="text/plain",
    ),
)
