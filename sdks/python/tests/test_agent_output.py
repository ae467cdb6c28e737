"""Final answers as values, and tools from functions."""

import json
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from fake_gateway import tool_call
from models import ScriptedModel, both, calls, says
from pydantic import BaseModel, Field

from joytoken_sdk.agent import Agent, AgentOutputError, OutputFormat, ToolExecutionContext, tool
from joytoken_sdk.errors import InvalidCall


class Sky(StrEnum):
    CLEAR = "clear"
    CLOUDY = "cloudy"


class Report(BaseModel):
    sky: Sky
    degrees: int = 0
    inner: list["Report"] = []


PLAIN = OutputFormat(
    "report", {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
)


@both
def test_a_model_of_pydantic(kind):
    model = ScriptedModel(says('```json\n{"sky": "clear", "degrees": 21}\n```'))
    result = kind.run(kind.make(model, output=Report), "go")
    assert result.output == Report(sky=Sky.CLEAR, degrees=21)
    asked = model.asked[0].response_format["json_schema"]
    assert (asked["name"], asked["strict"]) == ("Report", True)
    inner = asked["schema"]["$defs"]["Report"]
    assert (inner["additionalProperties"], inner["required"]) == (False, ["sky", "degrees", "inner"])


@both
def test_one_repair_and_no_more(kind):
    model = ScriptedModel(says("It is warm."), says('{"degrees": 21}'))
    result = kind.run(kind.make(model, output=PLAIN), "go")
    assert (result.output, len(result.steps)) == ({"degrees": 21}, 2)
    assert "does not fit the schema: it is no JSON" in model.asked[1].messages[-1]["content"]
    model = ScriptedModel(says('{"degrees": "warm"}'))
    with pytest.raises(AgentOutputError, match=r"at \.degrees: it must be of type integer") as raised:
        kind.run(kind.make(model, output=PLAIN), "go")
    assert (raised.value.text, len(model.asked)) == ('{"degrees": "warm"}', 2)
    with pytest.raises(AgentOutputError, match="at sky: Input should be 'clear' or 'cloudy'"):
        kind.run(kind.make(ScriptedModel(says('{"sky": "green"}')), output=Report), "go")
    with pytest.raises(InvalidCall, match="name of an output"):
        kind.make(ScriptedModel(says("")), output=OutputFormat("a b", {}))


@tool
def book(
    city: str,
    nights: Annotated[int, Field(ge=1)],
    context: ToolExecutionContext,
    rooms: list[Report] | None = None,
    kind: Literal["single", "double"] = "single",
    *,
    json: bool = False,
) -> dict:
    """Book a hotel.

    It costs something.

    Args:
        city: The city,
            in English.
        nights (int): How many.

    Returns:
        Nothing of use.
    """
    return {"city": city, "nights": nights, "kind": kind, "id": context.tool_call_id, "rooms": rooms}


def test_a_schema_from_hints_and_docstring():
    assert (book.name, book.description) == ("book", "Book a hotel.\n\nIt costs something.")
    properties = book.parameters["properties"]
    assert list(properties) == ["city", "nights", "rooms", "kind", "json"]
    assert properties["city"] == {"type": "string", "description": "The city, in English."}
    assert properties["nights"] == {"type": "integer", "minimum": 1, "description": "How many."}
    assert properties["kind"]["enum"] == ["single", "double"]
    assert (book.parameters["required"], book.parameters["additionalProperties"]) == (["city", "nights"], False)


def test_a_docstring_of_params():
    @tool(name="other", requires_approval=True)
    def some(city: str) -> str:
        """Do it.

        :param city: The city.
        :return: what came of it
        """
        return city

    assert (some.name, some.description, some.requires_approval) == ("other", "Do it.", True)
    assert some.parameters["properties"]["city"]["description"] == "The city."


@both
def test_arguments_have_the_types_that_the_function_names(kind):
    given = [
        {"city": "Paris", "nights": 2, "rooms": [{"sky": "clear"}]},
        {"city": "Paris", "nights": 0},
        {"city": "Paris", "nights": "2"},
        {"city": "Paris", "nights": 1, "more": 1},
        {"city": "Paris", "nights": 1, "rooms": [{"sky": "green"}]},
        "no JSON",
    ]
    asked = [tool_call("book", one, call_id=str(at)) for at, one in enumerate(given)]
    result = kind.run(kind.make(ScriptedModel(calls(*asked), says("Booked.")), tools=[book]), "go")
    good, *bad = result.steps[0].tool_results
    told = json.loads(good.content)
    assert told["rooms"] == [{"sky": "clear", "degrees": 0, "inner": []}]
    assert told["id"] == "0"
    assert all(one.is_error and one.content.startswith("Tool error: invalid arguments: ") for one in bad)
    assert "at rooms.0.sky: Input should be 'clear' or 'cloudy'" in bad[3].content


@both
def test_a_coroutine_function_is_a_tool_of_an_asynchronous_agent(kind):
    @tool
    async def later(city: str) -> str:
        return f"later in {city}"

    model = ScriptedModel(calls(tool_call("later", {"city": "Paris"})), says("Ok."))
    result = kind.run(kind.make(model, tools=[later]), "go")
    expected = "later in Paris" if "Async" in type(kind).__name__ else "Tool error: the tool is asynchronous"
    assert result.steps[0].tool_results[0].content.startswith(expected)


def test_parameters_need_names():
    with pytest.raises(TypeError, match="'others'"):

        @tool
        def some(*others: int) -> None: ...

    assert Agent(ScriptedModel(says("x")), tools=[book])
