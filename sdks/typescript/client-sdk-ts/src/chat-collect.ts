import { ChatAssembly } from "./chat-assembly.js";
import type { ChatCompletionChunk, ChatCompletionResponse } from "./types/chat.js";
import type { ToolRunStreamOptions } from "./types/options.js";

/** The whole answer of a chat stream; `told` hears of its text and stages as they come. No tool is run. */
export async function collectChat(
  chunks: AsyncIterable<ChatCompletionChunk>,
  told: Pick<ToolRunStreamOptions, "onTextDelta" | "onOrchestrationEvent"> = {},
): Promise<ChatCompletionResponse> {
  const assembly = new ChatAssembly(told);
  for await (const chunk of chunks) assembly.add(chunk);
  return assembly.response();
}
