import time

import pytest

from joytoken.providers.echo import least_instance

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TWICE = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}
LONG = {"type": "array", "minItems": 10**12, "items": {"type": "array", "minItems": 10**12, "items": {"const": 1}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "echo"),
        ({"type": "integer"}, 0),
        ({"type": "boolean"}, False),
        ({"type": ["number", "null"]}, 0),
        ({"const": "x"}, "x"),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["echo", "echo"]),
        (PLACE, {"city": "echo"}),
        (PLACE | {"required": []}, {}),
        ({"$ref": "#/$defs/Place", "$defs": {"Place": PLACE}}, {"city": "echo"}),
        ({"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"const": 1}}}, 1),
        ({"$ref": "#/$defs/Nowhere"}, None),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 0),
        (True, None),
    ],
)
def test_the_least_instance(schema, value):
    assert least_instance(schema) == value


@pytest.mark.parametrize("schema", [{"$ref": "#"}, TWICE, LONG, {"allOf": [{"$ref": "#"}]}])
def test_a_schema_without_end_has_an_instance_all_the_same(schema):
    start = time.process_time()
    least_instance(schema)
    assert time.process_time() - start < 30


@pytest.mark.parametrize("schema", [{"enum": 1}, {"anyOf": {"a": 1}}, {"type": "array", "minItems": "many"}])
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(ValueError):
        least_instance(schema)
