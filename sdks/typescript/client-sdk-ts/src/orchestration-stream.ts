import { isObject } from "./json.js";
import { ORCHESTRATION_FINAL_TASK_ID } from "./orchestration-final.js";
import type {
  OrchestrationEvent,
  OrchestrationInfo,
  OrchestrationPlanItem,
  OrchestrationResult,
  OrchestrationStage,
} from "./types/orchestration.js";

/** Collects plan and stages of an orchestrated stream, and tells which text is the answer. */
export class OrchestrationAssembly {
  #orchestrated = false;
  #plan: OrchestrationPlanItem[] | undefined;
  readonly #stages: OrchestrationStage[] = [];
  #finalStatus: string | undefined;
  /** The stage that text belongs to; a chunk that names none goes on with the last one. */
  #current: OrchestrationStage | "final" | undefined;

  /** Take in what a chunk says of its stage; the events that it makes. */
  *add(info: OrchestrationInfo | undefined): Generator<OrchestrationEvent> {
    if (info === undefined || !isObject(info as unknown)) return;
    this.#orchestrated = true;
    if (Array.isArray(info.plan) && this.#plan === undefined) {
      this.#plan = info.plan;
      yield { type: "plan", plan: info.plan, ...(info.phase !== undefined && { phase: info.phase }) };
    }
    if (info.task_id === ORCHESTRATION_FINAL_TASK_ID) yield* this.#final(info);
    else if (info.task_id !== undefined || info.task_seq !== undefined || info.title !== undefined) {
      yield* this.#stage(info);
    }
  }

  /** Whether text that comes now is a part of the answer; text of a stage is kept. */
  isAnswer(text: string): boolean {
    if (!this.#orchestrated || this.#current === "final") return true;
    if (this.#current !== undefined) this.#current.content += text;
    return false;
  }

  /** Plan and stages; undefined where the stream was not orchestrated. */
  result(): OrchestrationResult | undefined {
    if (!this.#orchestrated) return undefined;
    return { ...(this.#plan !== undefined && { plan: this.#plan }), stages: this.#stages };
  }

  *#final(info: OrchestrationInfo): Generator<OrchestrationEvent> {
    const began = this.#current === "final";
    this.#current = "final";
    if (began && (info.task_status === undefined || info.task_status === this.#finalStatus)) return;
    this.#finalStatus = info.task_status;
    yield { type: "stage", ...described(info), final: true };
  }

  *#stage(info: OrchestrationInfo): Generator<OrchestrationEvent> {
    const known = this.#stages.find((stage) => isSame(stage, info));
    const stage = known ?? { content: "" };
    const changed = info.task_status !== undefined && info.task_status !== stage.task_status;
    Object.assign(stage, described(info));
    this.#current = stage;
    if (known === undefined) this.#stages.push(stage);
    if (known === undefined || changed) {
      const { content: _, ...told } = stage;
      yield { type: "stage", ...told, final: false };
    }
  }
}

function isSame(stage: OrchestrationStage, info: OrchestrationInfo): boolean {
  if (info.task_id !== undefined && stage.task_id !== undefined) return stage.task_id === info.task_id;
  if (info.task_seq !== undefined && stage.task_seq !== undefined) return stage.task_seq === info.task_seq;
  return info.title !== undefined && stage.title === info.title;
}

/** What identifies and describes a stage; only what is there. */
function described(info: OrchestrationInfo): Omit<OrchestrationStage, "content"> {
  const { task_id, task_seq, task_status, title } = info;
  return Object.fromEntries(
    Object.entries({ task_id, task_seq, task_status, title }).filter(([, value]) => value !== undefined),
  );
}
