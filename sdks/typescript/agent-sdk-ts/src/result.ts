import type { JoyTokenAPIError } from "@joytoken/client-sdk-ts";
import type { RunState, StepState, ToolResultState, UsageState } from "./state.js";
import type { AgentResult, AgentState, AgentStep, ToolResult, UsageSummary } from "./types.js";

/** What a stop condition sees of a run. */
export function agentStateOf(state: RunState): AgentState {
  return {
    step: state.step,
    toolCalls: state.tool_calls,
    usage: usageOf(state.usage),
    messages: [...state.messages],
    creditsUsed: state.credits_used,
  };
}

/** What a run has come to. */
export function resultOf(state: RunState, refusal: JoyTokenAPIError | undefined, output: unknown): AgentResult {
  return {
    finalText: state.final_text,
    messages: state.messages,
    steps: state.steps.map(stepOf),
    usage: usageOf(state.usage),
    ...(state.stopped_by !== null && { stoppedBy: state.stopped_by }),
    status: state.status,
    runId: state.run.id,
    creditsUsed: state.credits_used,
    requestIds: state.steps.flatMap(({ request_id }) => (request_id === undefined ? [] : [request_id])),
    ...(refusal !== undefined && { refusal }),
    pending: state.pending,
    ...(output !== undefined && { output }),
    state,
  };
}

export function stepOf(step: StepState): AgentStep {
  return {
    index: step.index,
    assistantMessage: step.assistant_message,
    toolResults: step.tool_results.map(toolResultOf),
    ...(step.usage !== null && { usage: step.usage }),
    ...(step.request_id !== undefined && { requestId: step.request_id }),
    ...(step.metadata !== undefined && { metadata: step.metadata }),
  };
}

export function toolResultOf(result: ToolResultState): ToolResult {
  return {
    toolCallId: result.tool_call_id,
    toolName: result.tool_name,
    content: result.content,
    ...(result.is_error && { isError: true }),
  };
}

function usageOf(usage: UsageState): UsageSummary {
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    totalTokens: usage.total_tokens,
    ...(usage.cost !== null && { cost: usage.cost }),
  };
}
