/** Only compiled: what the public types say, and what they refuse. */
import type { CallMetadata, ChatMessage, JoyTokenAPIError } from "@joytoken/client-sdk-ts";
import * as sdk from "@joytoken/agent-sdk-ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<T>(): <U>(value: U) => Same<T, U> extends true ? void : never;
declare const agent: sdk.Agent;

async function results(): Promise<void> {
  const result = await agent.run("x");
  expectType<sdk.AgentResult>()(result);
  expectType<string>()(result.finalText);
  expectType<ChatMessage[]>()(result.messages);
  expectType<sdk.AgentStep[]>()(result.steps);
  expectType<sdk.UsageSummary>()(result.usage);
  expectType<string | undefined>()(result.stoppedBy);
  expectType<sdk.RunStatus>()(result.status);
  expectType<JoyTokenAPIError | undefined>()(result.refusal);
  expectType<sdk.PendingCall[]>()(result.pending);
  expectType<sdk.RunState>()(result.state);
  expectType<unknown>()(result.output);
  expectType<CallMetadata | undefined>()(result.steps[0]!.metadata);
  expectType<sdk.ToolResult[]>()(result.steps[0]!.toolResults);
  expectType<boolean | undefined>()(result.steps[0]!.toolResults[0]!.isError);
}

async function events(): Promise<void> {
  const stream = agent.stream({ input: "x" });
  expectType<sdk.AgentStream>()(stream);
  expectType<Promise<sdk.AgentResult>>()(stream.result);
  for await (const event of stream) {
    if (event.type === "text") expectType<string>()(event.delta);
    if (event.type === "tool_call") expectType<sdk.ToolCall>()(event.toolCall);
    if (event.type === "done") expectType<sdk.AgentResult>()(event.result);
    // @ts-expect-error: only a text has a delta
    event.delta;
  }
}

function schemas(): void {
  const schema = sdk.object({ city: sdk.string(), days: sdk.optional(sdk.integer()), unit: sdk.oneOf(["C", "F"]) });
  expectType<{ city: string; unit: "C" | "F"; days?: number | undefined }>()({} as sdk.Infer<typeof schema>);
  const bare = sdk.object({ days: sdk.nullable(sdk.integer()) });
  expectType<{ days: number | null }>()({} as sdk.Infer<typeof bare>);
  const list = sdk.array(sdk.object({ on: sdk.boolean(), n: sdk.number() }));
  expectType<{ on: boolean; n: number }[]>()({} as sdk.Infer<typeof list>);
  const made = sdk.tool({ name: "t", input: schema, execute: ({ city }) => city.length });
  const tools: sdk.AgentTool[] = [made, sdk.defineTool<{ a: string }, number>({ name: "u", execute: ({ a }) => a.length })];
  // @ts-expect-error: the input has no such property
  sdk.tool({ name: "t", input: schema, execute: ({ country }) => country });
  const output: sdk.OutputFormat = sdk.outputOf("o", schema);
  const options: sdk.AgentOptions = { model: sdk.createJoyTokenProvider({ protocol: "openai" }), tools, output };
  new sdk.Agent(options);
}

function refused(): void {
  // @ts-expect-error: an agent needs a model
  new sdk.Agent({});
  // @ts-expect-error: there are two protocols
  sdk.createJoyTokenProvider({ protocol: "smoke" });
  // @ts-expect-error: credits are exact texts
  sdk.maxCredits(0.5);
  // @ts-expect-error: a state is more than this
  void agent.resume({ version: 1 });
}

function kept(state: sdk.RunState): void {
  expectType<sdk.RunIdentityState>()(state.run);
  expectType<sdk.StepState[]>()(state.steps);
  expectType<sdk.ToolResultState[]>()(state.steps[0]!.tool_results);
  expectType<sdk.UsageState>()(state.usage);
  expectType<string>()(state.credits_used);
  expectType<unknown>()(state.pending[0]!.input);
}

function parts(event: sdk.AgentEvent, error: sdk.AgentOutputError, handle: sdk.SqliteHandle): void {
  expectType<"text" | "tool_call" | "tool_result" | "step" | "pending" | "done">()(event.type);
  expectType<string>()(error.text);
  const stores: sdk.RunStore[] = [new sdk.MemoryRunStore(), new sdk.FileRunStore("runs"), new sdk.SqliteRunStore(handle)];
  const keywords: sdk.Keywords = { minLength: 1 };
  const city: sdk.Schema<string> = sdk.string("The city", keywords);
  const days: sdk.OptionalSchema<number> = sdk.optional(sdk.integer());
  expectType<{ city: string; days?: number | undefined }>()({} as sdk.ObjectOf<{ city: typeof city; days: typeof days }>);
  const typed: sdk.TypedToolOptions<string, number> = { name: "t", input: city, execute: (text) => text.length };
  const named: sdk.AsToolOptions = { name: "writer" };
  expectType<sdk.AgentTool<{ input: string }, string>>()(agent.asTool(named));
  void [stores, sdk.tool(typed)];
}

function conditions(): void {
  const all: sdk.StopCondition[] = [sdk.stepCountIs(1), sdk.maxToolCalls(1), sdk.maxCost(1), sdk.maxCredits("1")];
  all.push(({ step, usage }: sdk.AgentState) => step > 1 && (usage.cost ?? 0) > 1);
  all.push(() => ({ stop: true, reason: "mine" }) satisfies sdk.StopDecision);
}

class Provider implements sdk.ModelProvider {
  async complete(request: sdk.ModelRequest): Promise<sdk.ModelResponse> {
    const tools: sdk.ChatTool[] | undefined = request.tools;
    const usage: sdk.Usage = { prompt_tokens: tools?.length ?? 0 };
    return { message: { role: "assistant", content: "x" }, usage };
  }
}

class Store implements sdk.RunStore {
  async save(state: sdk.RunState): Promise<void> {
    sdk.encodeRunState(state);
  }
  async load(): Promise<sdk.RunState | undefined> {
    return sdk.parseRunState({});
  }
}

const run: sdk.AgentRunOptions = { input: "x", run: { workflow: "w" } satisfies sdk.AgentRunIdentity };
const resumed: sdk.ResumeOptions = { decisions: { a: true, b: { approved: false } satisfies sdk.Decision } };
const provider: sdk.JoyTokenProviderOptions = { apiKey: "k", protocol: "anthropic" satisfies sdk.JoyTokenProtocol };
const context: Pick<sdk.ToolExecutionContext, "runId" | "signal"> = { runId: "r", signal: undefined };
void [results, events, schemas, refused, kept, parts, conditions, Provider, Store, run, resumed, provider, context];
