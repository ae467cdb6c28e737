"""Model calls of an agent as chat completions: what is sent, and how the answer is read."""

from typing import Any, Literal, TypeAlias

from joytoken_sdk.agent.model import ModelRequest, ModelResponse
from joytoken_sdk.agent.state import content_text
from joytoken_sdk.errors import JoyTokenError, api_error
from joytoken_sdk.json_value import JsonObject, object_of, objects_of
from joytoken_sdk.metadata import raw_metadata, usage_of
from joytoken_sdk.run_naming import run_headers

JoyTokenProtocol: TypeAlias = Literal["openai", "anthropic"]
"""How a provider speaks: as chat completions, or under the rules of messages."""

_MESSAGE_MAX_TOKENS = 1024  # messages have a bound: this one where the agent has none


def chat_body(model: str, protocol: JoyTokenProtocol, request: ModelRequest, *, stream: bool) -> JsonObject:
    """Return the body of a model call. The same request gives the same body, to the byte."""
    messages, max_tokens = request.messages, request.max_tokens
    if protocol == "anthropic":
        messages, max_tokens = _one_system_message(messages), max_tokens or _MESSAGE_MAX_TOKENS
    body: JsonObject = {
        "model": model,
        "messages": messages,
        "temperature": request.temperature,
        "max_tokens": max_tokens,
        "tools": request.tools,
        "tool_choice": request.tool_choice,
        "tier": request.tier,
        "metadata": request.metadata,
        "response_format": request.response_format,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in body.items() if value is not None}


def call_headers(request: ModelRequest, max_retries: int) -> dict[str, str]:
    """Return the names of a call, its key and its run's, and what becomes of it when nobody waits for it any more.

    A durable call is finished by the gateway, so that whoever resumes the run gets the answer that was paid for. Any
    other ends with its caller, unless the client would make it again and then wants that answer.
    """
    on_disconnect = None if max_retries > 0 else "stop"
    named = {
        "Idempotency-Key": request.idempotency_key,
        "X-JoyToken-On-Disconnect": "finish" if request.durable else on_disconnect,
    }
    headers = {name: value for name, value in named.items() if value is not None}
    run = request.run
    if run is None:
        return headers
    return headers | run_headers(
        run.id, parent_id=run.parent_id, workflow=run.workflow, budget=run.budget, step=run.step
    )


def model_response(answer: Any) -> ModelResponse:
    """Read an answer. Raises JoyTokenAPIError of one that holds an error, JoyTokenError of one without a message."""
    read = object_of(answer) or {}
    if read.get("error") is not None:
        raise api_error(200, read)
    choices = objects_of(read.get("choices"))
    message = object_of(choices[0].get("message")) if choices else None
    if message is None:
        raise JoyTokenError("JoyToken did not return a chat completion message.")
    return ModelResponse(
        message={**message, "role": message.get("role") or "assistant"},
        usage=usage_of(read),
        raw=answer,
        metadata=raw_metadata(read),
    )


def _one_system_message(messages: list[JsonObject]) -> list[JsonObject]:
    """Join what the system says, with a blank line between, and put it first."""
    said = [message for message in messages if message.get("role") in {"system", "developer"}]
    if not said:
        return messages
    text = "\n\n".join(content_text(message.get("content")) for message in said)
    return [{"role": "system", "content": text}, *(message for message in messages if message not in said)]
