"""A whole answer from the chunks of its stream."""

from typing import cast

from joytoken_sdk.json_value import JsonObject, object_of, objects_of
from joytoken_sdk.orchestration import OrchestrationAssembly, OrchestrationResult
from joytoken_sdk.tool_calls import ToolCallAssembly


class ChatAssembly:
    """Puts a chat completion together from the chunks of its stream, which are plain JSON."""

    def __init__(self) -> None:
        self._orchestration = OrchestrationAssembly()
        self._calls = ToolCallAssembly()
        self._text: list[str] = []
        self._message: JsonObject = {"role": "assistant", "content": None}
        self._answer: JsonObject = {}
        self._finish_reason: str | None = None

    def add(self, chunk: JsonObject) -> str:
        """Take a chunk in, and return the text of the answer in it. Of several choices only the first is followed."""
        self._orchestration.add(chunk.get("orchestration"))
        for name, value in chunk.items():
            if name == "metadata":
                before, more = object_of(self._answer.get(name)), object_of(value)
                self._answer[name] = value if before is None or more is None else {**before, **more}
            elif name not in {"choices", "orchestration", "object"} and (name != "usage" or value):
                self._answer[name] = value
        text = ""
        for position, choice in enumerate(objects_of(chunk.get("choices"))):
            if choice.get("index", position) == 0:
                text += self._add_delta(object_of(choice.get("delta")) or {})
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return text

    def answer(self) -> JsonObject:
        """Return the completion as far as it came. Without a final stage its text is that of all stages."""
        orchestration = self._orchestration.result()
        stages = [stage.content for stage in orchestration.stages] if orchestration is not None else []
        message = {**self._message, "content": "".join(self._text or stages) or None}
        calls = self._calls.calls()
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason}
        return {**self._answer, "object": "chat.completion", "choices": [choice]}

    def orchestration(self) -> OrchestrationResult | None:
        """Return plan and stages so far; None where the stream is not orchestrated."""
        return self._orchestration.result()

    def _add_delta(self, delta: JsonObject) -> str:
        told = ""
        for name, piece in delta.items():
            if name == "content":
                if isinstance(piece, str) and piece and self._orchestration.is_answer(piece):
                    self._text.append(piece)
                    told = piece
            elif name == "tool_calls":
                self._calls.add(objects_of(piece))
            elif name == "role":
                self._message[name] = piece or self._message[name]
            else:
                self._add_piece(name, piece)
        return told

    def _add_piece(self, name: str, piece: object) -> None:
        """Add to a provider's own field of a message, such as its reasoning, which comes in pieces, too."""
        before = self._message.get(name)
        if isinstance(before, str) and isinstance(piece, str):
            self._message[name] = before + piece
        elif isinstance(before, list) and isinstance(piece, list):
            self._message[name] = [*cast("list[object]", before), *cast("list[object]", piece)]
        elif piece is not None:
            self._message[name] = piece
