/** A step of a plan. */
export interface OrchestrationPlanItem {
  seq: number;
  task_id: string;
  title: string;
}

/** What a chunk says of its stage; `plan` comes with the chunk of the plan. */
export interface OrchestrationInfo {
  task_id?: string | undefined;
  task_seq?: number | undefined;
  task_status?: string | undefined;
  title?: string | undefined;
  phase?: string | undefined;
  plan?: OrchestrationPlanItem[] | undefined;
}

/** A stage with its content. */
export interface OrchestrationStage {
  task_id?: string | undefined;
  task_seq?: number | undefined;
  task_status?: string | undefined;
  title?: string | undefined;
  content: string;
}

/** Plan and stages of an answer. */
export interface OrchestrationResult {
  plan?: OrchestrationPlanItem[] | undefined;
  stages: OrchestrationStage[];
}

/** The plan, as a streamed run tells it. */
export interface OrchestrationPlanEvent {
  type: "plan";
  plan: OrchestrationPlanItem[];
  phase?: string | undefined;
}

/** A stage that began or changed its status, as a streamed run tells it. */
export interface OrchestrationStageEvent {
  type: "stage";
  task_id?: string | undefined;
  task_seq?: number | undefined;
  task_status?: string | undefined;
  title?: string | undefined;
  /** Whether this stage is the answer. */
  final: boolean;
}

/** What `onOrchestrationEvent` is told. */
export type OrchestrationEvent = OrchestrationPlanEvent | OrchestrationStageEvent;

/** Times of a stage, in milliseconds. */
export interface OrchestrationLatency {
  first_token_ms?: number | undefined;
  stream_ms?: number | undefined;
  [field: string]: unknown;
}

/** Model, tier and billing of a stage. */
export interface OrchestrationTaskMetadata {
  task_id?: string | undefined;
  task_seq?: number | undefined;
  task_status?: string | undefined;
  title?: string | undefined;
  model?: string | undefined;
  tier?: string | undefined;
  latency?: OrchestrationLatency | undefined;
  billing?: Record<string, unknown> | undefined;
  billing_id?: string | undefined;
  tag?: string[] | undefined;
  [field: string]: unknown;
}
