import { isObject, numberOf, textOf } from "./json.js";
import type { ChatCompletionResponse } from "./types/chat.js";
import type { OrchestrationPlanItem, OrchestrationResult, OrchestrationStage } from "./types/orchestration.js";

type Row = Record<string, unknown>;

/**
 * Plan and stages of an orchestrated answer; undefined where it is none. A plan, or a row of metadata that names a
 * task, is the sign of one. Stages come from the content and are completed by the rows, by task id, then by number,
 * then by title; titled rows without content become empty stages.
 */
export function parseOrchestrationResponse(
  response: ChatCompletionResponse | undefined,
): OrchestrationResult | undefined {
  const plan = Array.isArray(response?.plan) ? response.plan : undefined;
  const rows: Row[] = Array.isArray(response?.metadata) ? (response.metadata as unknown[]).filter(isObject) : [];
  if (response === undefined || (plan === undefined && !rows.some(namesTask))) return undefined;
  const left = rows.filter((row) => textOf(row["title"]) !== undefined);
  const stages = piecesOf(response.choices?.[0]?.message?.content).map((piece) => stageOf(piece, take(left, piece)));
  stages.push(...left.map((row) => stageOf({}, row)));
  return { ...(plan !== undefined && { plan: plan as OrchestrationPlanItem[] }), stages };
}

function namesTask(row: Row): boolean {
  return (
    textOf(row["task_id"]) !== undefined ||
    numberOf(row["task_seq"]) !== undefined ||
    textOf(row["title"]) !== undefined
  );
}

/** The pieces of a content: a list, a JSON text of one, or one text. */
function piecesOf(content: unknown): Row[] {
  if (Array.isArray(content)) return content.map(pieceOf);
  if (typeof content !== "string" || content === "") return [];
  if (content.trimStart().startsWith("[")) {
    try {
      const list: unknown = JSON.parse(content);
      if (Array.isArray(list)) return list.map(pieceOf);
    } catch {
      // not JSON after all: a text that begins with a bracket
    }
  }
  return [{ content }];
}

function pieceOf(item: unknown): Row {
  return isObject(item) ? item : { content: item };
}

/** Take the row that belongs to a piece out of those that are left. */
function take(left: Row[], piece: Row): Row | undefined {
  const same = (field: string, value: unknown): number =>
    value === undefined ? -1 : left.findIndex((row) => row[field] === value);
  const found = [
    same("task_id", textOf(piece["task_id"])),
    same("task_seq", numberOf(piece["task_seq"])),
    same("title", textOf(piece["title"])),
  ].find((index) => index >= 0);
  return found === undefined ? undefined : left.splice(found, 1)[0];
}

function stageOf(piece: Row, row: Row | undefined): OrchestrationStage {
  const known = {
    task_id: textOf(piece["task_id"]) ?? textOf(row?.["task_id"]),
    task_seq: numberOf(piece["task_seq"]) ?? numberOf(row?.["task_seq"]),
    task_status: textOf(piece["task_status"]) ?? textOf(row?.["task_status"]),
    title: textOf(piece["title"]) ?? textOf(row?.["title"]),
  };
  const told = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  return { ...told, content: contentOf(piece) };
}

/** The text of a piece: its content, or that of a content part. */
function contentOf(piece: Row): string {
  const content = piece["content"] ?? piece["text"];
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => contentOf(pieceOf(part))).join("");
  return content === undefined || content === null ? "" : JSON.stringify(content);
}
