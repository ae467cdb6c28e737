import { toChatTool, type ChatTool } from "@joytoken/client-sdk-ts";
import type { AgentTool } from "./types.js";

/** The tools of a run. Of two with one name the last is there, in the place of the first. */
export class ToolBox {
  /** As they are declared to the model. */
  readonly declared: ChatTool[];
  readonly #tools = new Map<string, AgentTool>();

  /** @throws Error where a tool has no name. */
  constructor(tools: readonly AgentTool[]) {
    for (const tool of tools) {
      if (typeof tool.name !== "string" || tool.name === "") throw new Error("a tool has no name");
      this.#tools.set(tool.name, tool);
    }
    this.declared = [...this.#tools.values()].map((tool) => toChatTool(tool));
  }

  find(name: string): AgentTool | undefined {
    return this.#tools.get(name);
  }
}

/** Whether a call waits for a decision: only a plain no lets it pass, and a tool that throws over it does not. */
export function needsApproval({ requiresApproval }: AgentTool, input: unknown): boolean {
  if (typeof requiresApproval !== "function") return (requiresApproval ?? false) !== false;
  try {
    return requiresApproval(input) !== false;
  } catch {
    return true;
  }
}
