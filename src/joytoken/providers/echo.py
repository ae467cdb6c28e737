"""The built-in provider: it answers with the caller's last words, in this process, streamed and metered.

It needs no account and no network, and the same request always gives the same answer. What a token is, is simple: a
word with the white space behind it. Tools are called when the caller forces one (`tool_choice`), or when the last
user message names one; structured output gives the least document that the schema allows.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from joytoken.domain.catalog import Disconnect
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.domain.route import Choice
from joytoken.providers.interface import Pieces
from joytoken.providers.transport import Deadlines, Pool

_WORDS = re.compile(r"\S+\s*|\s+")
_OUTPUT_TOKENS = 1024
_SCHEMA_DEPTH_MAX = 32
_VALUES_MAX = 10_000  # of one instance
_CREATED = 1_767_225_600  # 2026-01-01: the same request gives the same bytes
_encode = msgspec.json.Encoder().encode


class _Function(msgspec.Struct):
    name: str = ""
    parameters: dict[str, Any] | None = None


class _Tool(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    role: str = "user"
    content: Any = None


class _Request(msgspec.Struct):
    messages: list[_Message]
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None


_decode = msgspec.json.Decoder(_Request).decode


class _Reply(msgspec.Struct):
    """What the echo says: text, or the call of one tool."""

    words: list[str]
    finish: str
    tool: str = ""
    arguments: str = ""
    input_tokens: int = 0
    n: int = 1

    @property
    def output_tokens(self) -> int:
        return self.n * (len(self.words) if not self.tool else max(1, len(_WORDS.findall(self.arguments))))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return ""


def least_instance(schema: Any) -> Any:
    """The least JSON value that a JSON schema of the plain kinds (type, enum, const, required, local `$ref`) allows.

    A schema that asks for more than `_VALUES_MAX` values, or for itself without end, gets null from there on. Raises
    ValueError where it is no schema.
    """
    try:
        return _Least(schema).value(schema, 0)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the schema cannot be read: {error}") from None


class _Least:
    """One schema document on its way to an instance; a caller's schema may be hostile, so the work is bounded."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _VALUES_MAX

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > _SCHEMA_DEPTH_MAX:
            return None
        if "$ref" in schema:
            return self.value(_referred(schema["$ref"], self._root), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for several in ("anyOf", "oneOf", "allOf"):
            if schema.get(several):
                # Null first where it is allowed: the least there is, and the end of a type that holds itself.
                least = next((one for one in schema[several] if one == {"type": "null"}), schema[several][0])
                return self.value(least, depth + 1)
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object" or (kind is None and "properties" in schema):
            properties = schema.get("properties") or {}
            return {str(name): self.value(properties.get(name), depth + 1) for name in schema.get("required") or []}
        if kind == "array":
            count = min(int(schema.get("minItems") or 0), max(0, self._left))
            return [self.value(schema.get("items"), depth + 1) for _ in range(count)]
        return {"string": "echo", "integer": 0, "number": 0, "boolean": False}.get(str(kind))


def _referred(pointer: Any, root: Any) -> Any:
    """What a local reference such as `#/$defs/Place` points at; None where it points at nothing."""
    found = root
    for part in str(pointer).removeprefix("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _reply(request: _Request) -> _Reply:
    texts = [_text(message.content) for message in request.messages]
    last = request.messages[-1] if request.messages else _Message()
    said = next((t for m, t in zip(reversed(request.messages), reversed(texts), strict=True) if m.role == "user"), "")
    tokens_in = sum(len(_WORDS.findall(text)) + 1 for text in texts)
    n = request.n or 1
    tool = _wanted_tool(request, last, said)
    if tool is not None:
        arguments = _encode(least_instance(tool.parameters) or {}).decode()
        return _Reply([], "tool_calls", tool.name, arguments, tokens_in, n)
    kind = (request.response_format or {}).get("type")
    if kind == "json_schema":
        schema = ((request.response_format or {}).get("json_schema") or {}).get("schema")
        said = _encode(least_instance(schema)).decode()
    elif kind == "json_object":
        said = _encode({"echo": said}).decode()
    elif last.role == "tool":
        said = texts[-1]
    words = _WORDS.findall(said) or ["(nothing", " to", " echo)"]
    bound = request.max_completion_tokens or request.max_tokens or _OUTPUT_TOKENS
    finish = "stop" if len(words) <= bound else "length"
    return _Reply(words[:bound], finish, input_tokens=tokens_in, n=n)


def _wanted_tool(request: _Request, last: _Message, said: str) -> _Function | None:
    functions = [tool.function for tool in request.tools or [] if tool.function is not None and tool.function.name]
    if not functions or last.role != "user" or request.tool_choice == "none":
        return None
    if isinstance(request.tool_choice, dict):
        name = (request.tool_choice.get("function") or {}).get("name")
        return next((function for function in functions if function.name == name), functions[0])
    if request.tool_choice == "required":
        return functions[0]
    return next((function for function in functions if function.name in said), None)


class EchoAnswer(Pieces):
    """An answer that is already known; streamed with a turn of the event loop between its chunks."""

    __slots__ = ("_chunks", "content", "status")

    def __init__(self, content: bytes, chunks: Iterator[bytes] | None = None, status: int = 200) -> None:
        self.status = status
        self.content = content
        self._chunks = chunks

    def header(self, name: bytes) -> bytes | None:  # noqa: ARG002 - the echo sends none
        return None

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return next(self._chunks, b"") if self._chunks is not None else b""

    def end(self) -> None:
        self.close()

    def close(self) -> None:
        self._chunks = None


class EchoProvider:
    """The built-in provider."""

    on_disconnect: Disconnect = "close"
    output_bound_field = "max_tokens"
    takes_metadata = True

    def __init__(self, config: ProviderConfig, credential: str | None, pool: Pool, deadlines: Deadlines) -> None:
        """The arguments are those of every adapter; the echo needs none of them."""

    async def invoke(self, choice: Choice, body: bytes, *, stream: bool, request_id: str) -> EchoAnswer:  # noqa: ARG002
        try:
            reply = _reply(_decode(body))
        except (msgspec.MsgspecError, ValueError) as error:
            return EchoAnswer(_encode({"error": {"message": str(error), "type": "invalid_request_error"}}), status=400)
        model = choice.deployment.upstream_model
        usage = {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
        }
        if stream:
            return EchoAnswer(b"", _chunks(reply, model, usage))
        return EchoAnswer(_encode(_completion(reply, model, usage)))


def _completion(reply: _Reply, model: str, usage: dict[str, int]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.words), "refusal": None}
    if reply.tool:
        call = {"id": "call_echo_0", "type": "function", "function": {"name": reply.tool, "arguments": reply.arguments}}
        message |= {"content": None, "tool_calls": [call]}
    choices = [
        {"index": i, "message": message, "logprobs": None, "finish_reason": reply.finish} for i in range(reply.n)
    ]
    return {
        "id": "chatcmpl-echo",
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": choices,
        "usage": usage,
    }


def _chunks(reply: _Reply, model: str, usage: dict[str, int]) -> Iterator[bytes]:
    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {"id": "chatcmpl-echo", "object": "chat.completion.chunk", "created": _CREATED, "model": model}
        return b"data: " + _encode(chunk | {"choices": choices} | more) + b"\n\n"

    def delta(index: int, content: dict[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": index, "delta": content, "logprobs": None, "finish_reason": finish}])

    for index in range(reply.n):
        yield delta(index, {"role": "assistant", "content": None if reply.tool else "", "refusal": None})
        if reply.tool:
            function = {"name": reply.tool, "arguments": ""}
            yield delta(
                index, {"tool_calls": [{"index": 0, "id": "call_echo_0", "type": "function", "function": function}]}
            )
            yield delta(index, {"tool_calls": [{"index": 0, "function": {"arguments": reply.arguments}}]})
        for word in reply.words:
            yield delta(index, {"content": word})
        yield delta(index, {}, reply.finish)
    yield event([], usage=usage)
    yield b"data: [DONE]\n\n"
