import type {
  AgentTool,
  ChatMessage,
  ModelProvider,
  ModelRequest,
  ModelResponse,
  ToolCall,
  ToolExecutionContext,
} from "@joytoken/agent-sdk-ts";

type Turn = ChatMessage | ModelResponse | Error | ((request: ModelRequest) => ModelResponse | Promise<ModelResponse>);

/** A model that says one thing after the other, and keeps what it was asked. */
export class ScriptedModel implements ModelProvider {
  readonly asked: ModelRequest[] = [];
  readonly #turns: Turn[];

  constructor(...turns: Turn[]) {
    this.#turns = turns;
  }

  async complete(request: ModelRequest): Promise<ModelResponse> {
    this.asked.push(request);
    const turn = this.#turns.shift();
    if (turn === undefined) throw new Error("the model has nothing more to say");
    if (turn instanceof Error) throw turn;
    if (typeof turn === "function") return turn(request);
    return "role" in turn ? { message: turn as ChatMessage } : turn;
  }
}

/** A message that ends a conversation. */
export function says(content: string): ChatMessage {
  return { role: "assistant", content };
}

/** A message that asks for tools. */
export function calls(...tool_calls: ToolCall[]): ChatMessage {
  return { role: "assistant", content: null, tool_calls };
}

export function call(id: string, name: string, input: unknown = {}): ToolCall {
  const given = typeof input === "string" ? input : JSON.stringify(input);
  return { id, type: "function", function: { name, arguments: given } };
}

/** A tool that keeps what it was run with. */
export function recording(name: string, result: unknown = "done", more: Partial<AgentTool> = {}): AgentTool & { ran: unknown[] } {
  const ran: unknown[] = [];
  return {
    name,
    ran,
    execute: (input) => {
      ran.push(input);
      return result;
    },
    ...more,
  };
}

/** What the gateway says of a call. */
export function metadata(number: number, credits: string): NonNullable<ModelResponse["metadata"]> {
  return { request_id: `req-${number}`, billing: { credits_used: credits } };
}

/** What a tool is run with outside of an agent. */
export function context(name: string): ToolExecutionContext {
  return { step: 1, toolCall: call("1", name), messages: [] };
}
