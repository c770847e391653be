import json
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from exchange.api.errors import CATALOGUE
from exchange.api.operation import Operation
from exchange.api.reference.openapi import openapi_document, operation_codes, success_example
from exchange.api.routes.examples import ANSWERS
from exchange.api.routes.table import OPERATIONS

DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(openapi_document(OPERATIONS)))
ENVELOPED = [operation for operation in OPERATIONS if operation.media_type is None]
BODIED = [operation for operation in OPERATIONS if operation.body is not None]


def _named(operation: Operation) -> str:
    return operation.operation_id


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return described


def _validate(instance: Any, schema: dict[str, Any]) -> None:
    # References point into the document, so the document itself is the schema's frame.
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(instance)


def test_openapi_document_is_valid() -> None:
    """It is an OpenAPI 3.1 document by the specification's own schema."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_openapi_document_has_every_operation_once() -> None:
    """The table is the document: same paths, same methods, and no id twice."""
    described = {
        (path, method.upper(), operation["operationId"])
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }
    assert described == {(each.path, each.method, each.operation_id) for each in OPERATIONS}
    assert len({each.operation_id for each in OPERATIONS}) == len(OPERATIONS)


def test_openapi_document_knows_no_python() -> None:
    """Patterns are those of ECMA 262, text is Markdown."""
    text = json.dumps(DOCUMENT)
    assert "\\\\Z" not in text
    assert "``" not in text
    assert ":func:" not in text
    for pattern in re.findall(r'"pattern": "(.*?)"', text):
        assert pattern.endswith("$")


def test_openapi_document_lists_every_error_code() -> None:
    """A client can be generated with all of them."""
    assert list(DOCUMENT["x-error-codes"]) == [str(code) for code in CATALOGUE]


@pytest.mark.parametrize("operation", ENVELOPED, ids=_named)
def test_openapi_success_example_is_of_its_schema(operation: Operation) -> None:
    """Each example of an answer could be one."""
    media = _described(operation)["responses"]["200"]["content"]["application/json"]
    _validate(media["example"], media["schema"])
    if operation.data is not None and not operation.data_optional:
        data = success_example(operation)["data"]
        again = json.loads(msgspec.json.encode(msgspec.convert(data, operation.data)))
        assert again == data


@pytest.mark.parametrize("operation", BODIED, ids=_named)
def test_openapi_body_example_is_of_its_schema(operation: Operation) -> None:
    """Each example of a body would be decoded."""
    assert operation.body is not None
    assert operation.example is not None
    media = _described(operation)["requestBody"]["content"]["application/json"]
    _validate(media["example"], media["schema"])
    msgspec.convert(media["example"], operation.body)


@pytest.mark.parametrize("operation", OPERATIONS, ids=_named)
def test_openapi_operation_lists_a_status_for_each_of_its_codes(operation: Operation) -> None:
    """Success, and the status of every code it can be refused with."""
    statuses = {str(CATALOGUE[code].status) for code in operation_codes(operation)}
    assert set(_described(operation)["responses"]) == statuses | {"200"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=_named)
def test_openapi_operation_asks_for_the_key_it_needs(operation: Operation) -> None:
    """Either header, with the scope of the operation; a public one asks for none."""
    scope = operation.access.scope
    wanted = [] if scope is None else [{"ApiKey": [scope.value]}, {"Bearer": [scope.value]}]
    assert _described(operation)["security"] == wanted


def test_openapi_parameters_are_absent_or_there() -> None:
    """A query parameter has no null, and its schema stands in place."""
    parameters = [
        parameter
        for operation in OPERATIONS
        for parameter in _described(operation)["parameters"]
        if parameter.get("in") == "query"
    ]
    assert len(parameters) > 8
    for parameter in parameters:
        assert "anyOf" not in parameter["schema"]
        assert "$ref" not in parameter["schema"]


def test_examples_belong_to_operations() -> None:
    """No example is left over when an operation goes."""
    assert set(ANSWERS) <= {operation.operation_id for operation in ENVELOPED}
