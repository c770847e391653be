"""The OpenAPI document holds: generated requests, good and bad, against a server process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from exchange.api.errors import CATALOGUE
from exchange.api.reference.openapi import openapi_document
from exchange.api.routes.table import OPERATIONS
from exchange.wire.queries import PageQuery
from exchange.wire.requests import (
    AmendRequest,
    BatchRequest,
    CancelAfterRequest,
    ProtectionRequest,
    QuotesRequest,
)
from tests.support.server import Server, running_server

EXAMPLES = 25
SEED = 20_240_315


class Api(NamedTuple):
    """A server and the keys of its callers."""

    server: Server
    team_key: str


def _schema() -> schemathesis.BaseSchema:
    document = json.loads(msgspec.json.encode(openapi_document(OPERATIONS)))
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    schema.config.seed = SEED
    return schema


SCHEMA = _schema()
# What is well-formed may still break a rule that no schema states, and that is a 400 too.
RULED = {
    operation.operation_id
    for operation in OPERATIONS
    if any(CATALOGUE[code].status == 400 for code in operation.codes)
    or operation.body in (AmendRequest, BatchRequest, CancelAfterRequest, ProtectionRequest, QuotesRequest)
    # `from` after `to`, and days that no month has.
    or (operation.query is not None and issubclass(operation.query, PageQuery))
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with one team."""
    data: Path = tmp_path_factory.mktemp("contract")
    with running_server(data, "--preset", "small") as server:
        body = {"name": "Contract", "role": "arbitrage"}
        answer = httpx.post(f"{server.url}/game/teams/register", json=body)
        yield Api(server, answer.json()["data"]["api_key"])


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_http_answers_as_documented(case: Case[Any], api: Api) -> None:
    """No server error, no undocumented status, media type or body, and no key ignored."""
    key = api.server.admin_key if case.path.startswith("/admin") else api.team_key
    ruled = case.operation.definition.raw["operationId"] in RULED
    case.call_and_validate(
        base_url=api.server.url,
        headers={"X-API-Key": key},
        excluded_checks=[positive_data_acceptance] if ruled else [],
    )
