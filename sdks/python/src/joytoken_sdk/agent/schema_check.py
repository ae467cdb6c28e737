"""Values against a JSON Schema."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from joytoken_sdk.json_value import JsonObject, compact, number_of, object_of

_DEPTH_MAX = 128


def misfit_of(schema: object, value: object, path: str = "", depth: int = 0) -> str | None:
    """Return what of a value does not fit a JSON Schema; None where all does.

    Checked are types, objects, lists, enumerations, constants, `anyOf` and bounds; other keywords are for the model
    alone.
    """
    if schema is False:
        return _at(path, "nothing is allowed here")
    rules = object_of(schema)
    if rules is None or depth > _DEPTH_MAX:
        return None
    misfit = _kind_misfit(rules, value, path) or _alternatives_misfit(rules, value, path, depth)
    if misfit is not None:
        return misfit
    if isinstance(value, str):
        return _bounds_misfit(rules, len(value), path, _TEXT_BOUNDS)
    if (number := number_of(value)) is not None:
        return _bounds_misfit(rules, number, path, _NUMBER_BOUNDS)
    if isinstance(value, list):
        return _list_misfit(rules, cast("list[object]", value), path, depth)
    fields = object_of(value)
    return None if fields is None else _object_misfit(rules, fields, path, depth)


def is_deep(value: object) -> bool:
    """Tell whether a value is nested more deeply than it is followed; what is so deep cannot be written safely."""
    level: list[object] = [value]
    for _ in range(_DEPTH_MAX):
        level = [below for one in level for below in _parts_of(one) if isinstance(below, dict | list)]
    return bool(level)


def _parts_of(value: object) -> list[object]:
    fields = object_of(value)
    return _list_of(value) if fields is None else list(fields.values())


def _kind_misfit(rules: JsonObject, value: object, path: str) -> str | None:
    named = rules.get("type")
    types: list[Any] = [named] if isinstance(named, str) else _list_of(named)
    if types and not any(_is_of_type(kind, value) for kind in types):
        return _at(path, f"it must be of type {' or '.join(map(str, types))}")
    options = rules.get("enum")
    if isinstance(options, list) and not any(_is_equal(one, value) for one in cast("list[object]", options)):
        return _at(path, f"it must be one of {compact(cast('object', options))}")
    if "const" in rules and not _is_equal(rules["const"], value):
        return _at(path, f"it must be {compact(rules['const'])}")
    return None


def _alternatives_misfit(rules: JsonObject, value: object, path: str, depth: int) -> str | None:
    misfits = [misfit_of(one, value, path, depth + 1) for one in _list_of(rules.get("anyOf"))]
    if not misfits or None in misfits:
        return None
    return f"it fits none of the alternatives, the last because {misfits[-1]}"


def _is_of_type(kind: object, value: object) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if kind == "array":
        return isinstance(value, list)
    if kind == "object":
        return isinstance(value, dict)
    number = number_of(value)
    return number is not None and (kind == "number" or (kind == "integer" and number % 1 == 0))


_Bounds = Mapping[str, tuple[Callable[[float, float], bool], str]]
_TEXT_BOUNDS: _Bounds = {
    "minLength": (lambda size, bound: size >= bound, "it must have at least {} characters"),
    "maxLength": (lambda size, bound: size <= bound, "it must have at most {} characters"),
}
_NUMBER_BOUNDS: _Bounds = {
    "minimum": (lambda size, bound: size >= bound, "it must be at least {}"),
    "maximum": (lambda size, bound: size <= bound, "it must be at most {}"),
    "exclusiveMinimum": (lambda size, bound: size > bound, "it must be more than {}"),
    "exclusiveMaximum": (lambda size, bound: size < bound, "it must be less than {}"),
}
_LIST_BOUNDS: _Bounds = {
    "minItems": (lambda size, bound: size >= bound, "it must have at least {} items"),
    "maxItems": (lambda size, bound: size <= bound, "it must have at most {} items"),
}


def _bounds_misfit(rules: JsonObject, size: float, path: str, bounds: _Bounds) -> str | None:
    for keyword, (fits, words) in bounds.items():
        bound = number_of(rules.get(keyword))
        if bound is not None and not fits(size, bound):
            return _at(path, words.format(bound))
    return None


def _list_misfit(rules: JsonObject, value: list[object], path: str, depth: int) -> str | None:
    misfit = _bounds_misfit(rules, len(value), path, _LIST_BOUNDS)
    if misfit is not None:
        return misfit
    misfits = (misfit_of(rules.get("items"), item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value))
    return next((found for found in misfits if found is not None), None)


def _object_misfit(rules: JsonObject, value: JsonObject, path: str, depth: int) -> str | None:
    missing = next((name for name in _list_of(rules.get("required")) if name not in value), None)
    if missing is not None:
        return _at(path, f"property {compact(missing)} is missing")
    properties = object_of(rules.get("properties")) or {}
    for name, item in value.items():
        own = properties[name] if name in properties else rules.get("additionalProperties")
        if name not in properties and own is False:
            return _at(path, f"property {compact(name)} is not allowed")
        misfit = misfit_of(own, item, f"{path}.{name}", depth + 1)
        if misfit is not None:
            return misfit
    return None


def _is_equal(one: object, other: object) -> bool:
    """Compare JSON values: a truth value is no number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        ours, theirs = _list_of(one), _list_of(other)  # pyright: ignore[reportUnknownArgumentType]
        return len(ours) == len(theirs) and all(map(_is_equal, ours, theirs))
    left, right = object_of(one), object_of(other)  # pyright: ignore[reportUnknownArgumentType]
    if left is None or right is None:
        return one == other
    return left.keys() == right.keys() and all(_is_equal(value, right[name]) for name, value in left.items())


def _list_of(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _at(path: str, problem: str) -> str:
    return problem if path == "" else f"at {path}: {problem}"
