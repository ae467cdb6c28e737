"""Answers that were made in several stages."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from joytoken_sdk.json_value import JsonObject, compact, number_of, object_of, objects_of, text_of
from joytoken_sdk.metadata import FINAL_TASK_ID

ORCHESTRATION_FINAL_TASK_ID = FINAL_TASK_ID
"""The stage that holds the answer."""

_TOLD = ("task_id", "task_seq", "task_status", "title")


@dataclass(slots=True)
class OrchestrationStage:
    """A stage with its content."""

    content: str = ""
    task_id: str | None = None
    task_seq: float | None = None
    task_status: str | None = None
    title: str | None = None


@dataclass(slots=True)
class OrchestrationResult:
    """Stages of an answer, and its plan where there was one: items with `seq`, `task_id` and `title`."""

    stages: list[OrchestrationStage] = field(default_factory=list[OrchestrationStage])
    plan: list[JsonObject] | None = None


def parse_orchestration_response(answer: object) -> OrchestrationResult | None:
    """Return plan and stages of an orchestrated answer: of the `openai` package's, or of plain JSON; else None.

    A plan, or a row of metadata that names a task, is the sign of one. Stages come from the content and are completed
    by the rows, by task id, then by number, then by title; titled rows without content become empty stages.
    """
    fields = _fields_of(answer)
    plan = fields.get("plan")
    rows = objects_of(fields.get("metadata"))
    if not isinstance(plan, list) and not any(_names_task(row) for row in rows):
        return None
    left = [row for row in rows if text_of(row.get("title")) is not None]
    stages = [_stage_of(piece, _take(left, piece)) for piece in _pieces_of(_content_of(fields))]
    stages += [_stage_of({}, row) for row in left]
    return OrchestrationResult(stages, cast("list[JsonObject]", plan) if isinstance(plan, list) else None)


class OrchestrationAssembly:
    """Collects plan and stages of an orchestrated stream, and tells which text is the answer."""

    def __init__(self) -> None:
        self._orchestrated = False
        self._result = OrchestrationResult()
        self._current: OrchestrationStage | None = None
        self._final = False

    def add(self, information: object) -> None:
        """Take in what a chunk says of its stage; a chunk that names none goes on with the last one."""
        said = object_of(information)
        if said is None:
            return
        self._orchestrated = True
        plan = said.get("plan")
        if isinstance(plan, list) and self._result.plan is None:
            self._result.plan = cast("list[JsonObject]", plan)
        if said.get("task_id") == ORCHESTRATION_FINAL_TASK_ID:
            self._final = True
        elif any(said.get(name) is not None for name in ("task_id", "task_seq", "title")):
            self._final = False
            self._current = self._stage(said)

    def is_answer(self, text: str) -> bool:
        """Tell whether text that comes now is a part of the answer; text of a stage is kept."""
        if not self._orchestrated or self._final:
            return True
        if self._current is not None:
            self._current.content += text
        return False

    def result(self) -> OrchestrationResult | None:
        """Return plan and stages; None where the stream was not orchestrated."""
        return self._result if self._orchestrated else None

    def _stage(self, said: JsonObject) -> OrchestrationStage:
        stage = next((known for known in self._result.stages if _is_same(known, said)), None)
        if stage is None:
            stage = OrchestrationStage()
            self._result.stages.append(stage)
        for name in _TOLD:
            if said.get(name) is not None:
                setattr(stage, name, said[name])
        return stage


def _is_same(stage: OrchestrationStage, said: JsonObject) -> bool:
    for name in ("task_id", "task_seq"):
        mine, theirs = getattr(stage, name), said.get(name)
        if mine is not None and theirs is not None:
            return mine == theirs
    return said.get("title") is not None and said["title"] == stage.title


def _fields_of(answer: object) -> JsonObject:
    """Return an answer as plain JSON; fields that the `openai` package does not know are kept by it."""
    fields = object_of(answer)
    if fields is not None:
        return fields
    named = {name: getattr(answer, name, None) for name in ("plan", "metadata")}
    choices: Any = getattr(answer, "choices", None) or []
    content = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    return {**named, "choices": [{"message": {"content": content}}]}


def _content_of(fields: JsonObject) -> object:
    choices = objects_of(fields.get("choices"))
    message = object_of(choices[0].get("message")) if choices else None
    return (message or {}).get("content")


def _names_task(row: JsonObject) -> bool:
    named = text_of(row.get("task_id")) or text_of(row.get("title"))
    return named is not None or number_of(row.get("task_seq")) is not None


def _pieces_of(content: object) -> list[JsonObject]:
    """Return the pieces of a content: a list, a JSON text of one, or one text."""
    if isinstance(content, list):
        return [_piece_of(item) for item in cast("list[object]", content)]
    if not isinstance(content, str) or not content:
        return []
    if content.lstrip().startswith("["):
        try:
            return _pieces_of(json.loads(content))
        except (ValueError, RecursionError):
            pass  # not JSON after all: a text that begins with a bracket
    return [{"content": content}]


def _piece_of(item: object) -> JsonObject:
    piece = object_of(item)
    return {"content": item} if piece is None else piece


def _take(left: list[JsonObject], piece: JsonObject) -> JsonObject | None:
    """Take the row that belongs to a piece out of those that are left."""
    wanted = {
        "task_id": text_of(piece.get("task_id")),
        "task_seq": number_of(piece.get("task_seq")),
        "title": text_of(piece.get("title")),
    }
    for name, value in wanted.items():
        at = next((at for at, row in enumerate(left) if value is not None and row.get(name) == value), None)
        if at is not None:
            return left.pop(at)
    return None


def _stage_of(piece: JsonObject, row: JsonObject | None) -> OrchestrationStage:
    known = row or {}
    seq = number_of(piece.get("task_seq"))
    return OrchestrationStage(
        content=_text_of_piece(piece),
        task_id=text_of(piece.get("task_id")) or text_of(known.get("task_id")),
        task_seq=number_of(known.get("task_seq")) if seq is None else seq,
        task_status=text_of(piece.get("task_status")) or text_of(known.get("task_status")),
        title=text_of(piece.get("title")) or text_of(known.get("title")),
    )


def _text_of_piece(piece: JsonObject) -> str:
    """Return the text of a piece: its content, or that of a content part."""
    content = piece.get("content")
    content = piece.get("text") if content is None else content
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text_of_piece(_piece_of(part)) for part in cast("list[object]", content))
    return "" if content is None else compact(content)
