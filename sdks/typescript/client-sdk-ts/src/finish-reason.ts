/** Why an answer ended. */
export enum FinishReasonKind {
  Unknown = "unknown",
  Stop = "stop",
  ToolCalls = "tool_calls",
  Length = "length",
  ContentFilter = "content_filter",
  MalformedToolCall = "malformed_function_call",
}

/** How providers spell it, in lower case and with underscores. */
function kindOf(spelling: string): FinishReasonKind {
  switch (spelling) {
    case "stop":
    case "end_turn":
    case "endturn":
    case "complete":
    case "completed":
      return FinishReasonKind.Stop;
    case "tool_calls":
    case "toolcalls":
    case "tool_use":
    case "tooluse":
    case "function_call":
    case "functioncall":
      return FinishReasonKind.ToolCalls;
    case "length":
    case "max_tokens":
    case "maxtokens":
    case "model_length":
      return FinishReasonKind.Length;
    case "content_filter":
    case "contentfilter":
    case "safety":
    case "blocklist":
    case "prohibited_content":
    case "recitation":
      return FinishReasonKind.ContentFilter;
    case "malformed_function_call":
    case "malformedfunctioncall":
    case "malformed_tool_call":
      return FinishReasonKind.MalformedToolCall;
    default:
      return FinishReasonKind.Unknown;
  }
}

/** Read a provider's finish reason, however it is spelled. */
export function classifyFinishReason(raw: string | null | undefined): FinishReasonKind {
  return kindOf((raw ?? "").trim().toLowerCase().replace(/[- ]/g, "_"));
}

/** What a model is told whose tool call was malformed, so that it makes it again. */
export const malformedToolCallNudge =
  "Your last tool call could not be read: it was malformed, so nothing was run. " +
  "If you still need the tool, call it again, with arguments that are one valid JSON object and fit its schema; " +
  "otherwise answer in plain text.";
