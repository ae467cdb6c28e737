import json
import re

import pytest
import yaml
from openapi_spec_validator import validate

from joytoken.admin.operations import OPERATIONS
from joytoken.api.manage import ROOT
from joytoken.api.openapi import document, to_yaml
from joytoken.api.openapi_public import PUBLIC_PATHS
from tests.api.worlds import World


@pytest.fixture(scope="module")
def described():
    return document()


def test_the_file_is_in_step_with_the_code(described, repository):
    assert (repository / "spec/openapi.yaml").read_text() == to_yaml(described), "run: tools/generate"


def test_it_is_valid_openapi(described):
    validate(json.loads(json.dumps(described)))


def test_the_yaml_says_what_the_document_says(described):
    assert yaml.safe_load(to_yaml(described)) == json.loads(json.dumps(described))


@pytest.mark.parametrize("value", ("yes", "1", "a: b", "", "x\ny", "é", "#", "- a", "$ref", "null", {}, [], None, 1.5))
def test_yaml_scalars(value):
    assert yaml.safe_load(to_yaml({"a": value, "b": [value]})) == {"a": value, "b": [value]}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_described(described, operation):
    item = described["paths"][ROOT + operation.path][operation.method.lower()]
    assert item["operationId"] == operation.name
    assert {p["name"] for p in item.get("parameters", []) if p["in"] == "path"} == set(operation.path_fields)
    assert set(operation.path_fields) <= set(operation.request.__struct_fields__)
    body = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    assert set(body.get("properties", {})) == (set(operation.body_fields) if operation.has_body else set())


def test_the_public_paths_are_those_that_are_served():
    served = {re.sub(r":path", "", route.path) for route in World().app.routes}
    # Each worker adds the route of its own figures to these.
    described_paths = {path.replace("{model}", "{name}") for path in PUBLIC_PATHS} - {"/metrics"}
    assert served - {"/openai/v1/models/{vendor}/{name}"} == described_paths
