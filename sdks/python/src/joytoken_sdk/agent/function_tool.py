"""Tools from functions: the schema from type hints, the descriptions from the docstring."""

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from joytoken_sdk.agent.output import validation_problem
from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject, compact

_ARGUMENTS = re.compile(r"^(?:Args|Arguments|Parameters):[ \t]*$", re.MULTILINE)
_SECTION = re.compile(r"^[A-Z][A-Za-z ]*:[ \t]*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^[ \t]+\*{0,2}(\w+)(?:[ \t]*\([^)\n]*\))?:[ \t]*(.*)$")
_FIELD = re.compile(r"^[ \t]*:param(?:[ \t]+[\w\[\], |.]+)?[ \t]+(\w+):[ \t]*(.*)$")

Function = Callable[..., Any]


class _Untitled(GenerateJsonSchema):
    """Schemas without titles, which would only say a name once more, at the cost of tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


@overload
def tool(function: Function, /) -> AgentTool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    requires_approval: bool | Callable[[Any], bool] = False,
) -> Callable[[Function], AgentTool]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    requires_approval: bool | Callable[[Any], bool] = False,
) -> AgentTool | Callable[[Function], AgentTool]:
    """Make a tool of a function, or of a coroutine function for an `AsyncAgent`.

    Its parameters and their types are the schema; its docstring describes it, and the parameters where it has a section
    `Args:` or lines of `:param name:`. A parameter whose type is `ToolExecutionContext` is given the context. What a
    model sends is checked, and given to the function by the types that it names. Raises TypeError of parameters that no
    name can be given for.
    """

    def make(made_of: Function) -> AgentTool:
        about, arguments = _documented(inspect.getdoc(made_of) or "")
        signature = _Signature(made_of, arguments)
        return AgentTool(
            name=name or made_of.__name__,
            execute=signature.execute_async if inspect.iscoroutinefunction(made_of) else signature.execute,
            description=description or about or None,
            parameters=signature.schema(),
            requires_approval=requires_approval,
        )

    return make if function is None else make(function)


class _Signature:
    """What a function takes."""

    def __init__(self, function: Function, descriptions: dict[str, str]) -> None:
        self._function = function
        self._names: list[str] = []
        self._context: str | None = None
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise TypeError(f"parameter {parameter.name!r} of a tool must be one that can be given by its name")
            hint = hints.get(parameter.name, Any)
            if hint is ToolExecutionContext:
                self._context = parameter.name
                continue
            # Numbered, so that no name of a parameter collides with one of pydantic's own.
            described = Annotated[hint, Field(alias=parameter.name, description=descriptions.get(parameter.name))]
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[f"parameter_{len(self._names)}"] = (described, default)
            self._names.append(parameter.name)
        config = ConfigDict(extra="forbid", strict=True)
        self._model: type[BaseModel] = create_model(function.__name__, __config__=config, **fields)

    def schema(self) -> JsonObject:
        schema = self._model.model_json_schema(schema_generator=_Untitled)
        schema.pop("title", None)
        return {**schema, "properties": schema.get("properties", {})}

    def execute(self, given: Any, context: ToolExecutionContext) -> Any:
        return self._function(**self._values(given, context))

    async def execute_async(self, given: Any, context: ToolExecutionContext) -> Any:
        return await self._function(**self._values(given, context))

    def _values(self, given: Any, context: ToolExecutionContext) -> dict[str, Any]:
        try:
            read = self._model.model_validate_json(compact(given))
        except ValidationError as error:
            raise ValueError(f"invalid arguments: {validation_problem(error)}") from None
        values = {name: getattr(read, f"parameter_{at}") for at, name in enumerate(self._names)}
        return values if self._context is None else {**values, self._context: context}


def _documented(docstring: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a function, and of its parameters by their names."""
    found: dict[str, str] = {}
    section = _ARGUMENTS.search(docstring)
    about = docstring[: section.start()] if section else docstring
    if section:
        rest = docstring[section.end() :]
        following = _SECTION.search(rest)
        _read_lines(rest[: following.start()] if following else rest, _ARGUMENT, found)
    _read_lines(about, _FIELD, found)
    about = re.split(r"^[ \t]*:\w+", about, maxsplit=1, flags=re.MULTILINE)[0]
    following = _SECTION.search(about)
    return (about[: following.start()] if following else about).strip(), found


def _read_lines(text: str, pattern: re.Pattern[str], found: dict[str, str]) -> None:
    """Read the parameters of a section; a line that begins none goes on with the last one."""
    last = ""
    for line in text.splitlines():
        match = pattern.match(line)
        if match:
            last = match[1]
            found[last] = match[2].strip()
        elif last and line.strip() and not line.lstrip().startswith(":"):
            found[last] = f"{found[last]} {line.strip()}".strip()
        else:
            last = ""
