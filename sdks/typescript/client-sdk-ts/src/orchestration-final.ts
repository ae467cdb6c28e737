/** The task id of the stage that is the answer. */
export const ORCHESTRATION_FINAL_TASK_ID = "__final__";
