import { encodeRunState, parseRunState, type RunState } from "./state.js";

/** Keeps the state of runs, so that another process can go on with them. */
export interface RunStore {
  /** Keep a state, over an earlier one of the same run; it is kept once this settles. */
  save(state: RunState): Promise<void>;
  /** The state of a run; undefined where there is none. */
  load(runId: string): Promise<RunState | undefined>;
}

/** Keeps states in this process, for tests and for runs that only pause. */
export class MemoryRunStore implements RunStore {
  readonly #states = new Map<string, string>();

  async save(state: RunState): Promise<void> {
    this.#states.set(state.run.id, encodeRunState(state));
  }

  async load(runId: string): Promise<RunState | undefined> {
    const saved = this.#states.get(runId);
    return saved === undefined ? undefined : parseRunState(saved);
  }
}
