// Nothing of this file is run: that it compiles is the test of the public types, a line or more for each.
import type {
  CallBilling,
  CallLatency,
  CallMetadata,
  CallOptions,
  CatalogOption,
  ChatCompletionChunk,
  ChatCompletionRequest,
  ChatCompletionResponse,
  ChatCompletionStreamRequest,
  ChatMessage,
  ChatTool,
  ErrorCode,
  FilePermissionFunc,
  FilePermissionRequest,
  FileSandbox,
  GeneratedImage,
  ImageEditRequest,
  ImageGenerationRequest,
  ImageGenerationResponse,
  JoyTokenClientOptions,
  JoyTokenErrorContext,
  JoyTokenModel,
  JoyTokenProtocol,
  JoyTokenToolCallDiagnostic,
  KeyInfo,
  KeyLimit,
  KeyPolicy,
  KeyWallet,
  ListModelsOptions,
  MessageContentBlock,
  MessageParam,
  MessageRequest,
  MessageResponse,
  MessageStreamEvent,
  MessageStreamRequest,
  MessageTool,
  MessageToolChoice,
  MessageUsage,
  ModelInfo,
  ModelListResponse,
  ModelLocale,
  ModelMetadata,
  ModelMetadataResponse,
  OrchestrationEvent,
  OrchestrationInfo,
  OrchestrationLatency,
  OrchestrationPlanEvent,
  OrchestrationPlanItem,
  OrchestrationResult,
  OrchestrationStage,
  OrchestrationStageEvent,
  OrchestrationTaskMetadata,
  Pricing,
  PricingResponse,
  PricingSku,
  PricingTier,
  Receipt,
  ReceiptAttempt,
  ReceiptEnding,
  ReceiptMoney,
  ReceiptRequest,
  ReceiptRoute,
  Response,
  ResponseFunctionTool,
  ResponseHead,
  ResponseHostedFileSearchTool,
  ResponseHostedTool,
  ResponseHostedWebSearchTool,
  ResponseInputContentPart,
  ResponseInputItem,
  ResponseOutputContent,
  ResponseOutputItem,
  ResponseRequest,
  ResponseStreamEvent,
  ResponseStreamRequest,
  ResponseTool,
  ResponseToolChoice,
  ResponseUsage,
  RunNode,
  RunOptions,
  RunRequest,
  RunTree,
  ShellPermissionFunc,
  ShellPermissionRequest,
  ShellSandbox,
  Tool,
  ToolCall,
  ToolCallResult,
  ToolExecuteFunc,
  ToolExecutionContext,
  ToolRunStreamOptions,
  Usage,
} from "@joytoken/client-sdk-ts";
import {
  callMetadata,
  callUsage,
  classifyFinishReason,
  collectChat,
  defineTool,
  FinishReasonKind,
  JoyTokenAPIError,
  JoyTokenClient,
  safeExecuteTool,
} from "@joytoken/client-sdk-ts";

/** Compiles only where the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;
const isA = <T>(_: T): void => undefined;

export async function client(options: JoyTokenClientOptions): Promise<void> {
  const made = new JoyTokenClient(options);
  same<typeof made.apiBaseUrl, string>(true);
  const { completions } = made.chat;
  const request: ChatCompletionRequest = { model: "auto", messages: [], tools: undefined, anything: 1 };
  same<Awaited<ReturnType<typeof completions.create>>, ChatCompletionResponse>(true);
  isA<Promise<ChatCompletionResponse>>(completions.run(request, { timeoutMs: 5 }));
  isA<Promise<ChatCompletionResponse>>(completions.runStream(request, { onTextDelta: (text: string) => void text }));
  isA<AsyncIterable<ChatCompletionChunk>>(completions.stream({ model: "auto", messages: [], stream: true }));
  isA<Promise<ChatCompletionResponse>>(collectChat(completions.stream(request as ChatCompletionStreamRequest)));
  isA<AsyncIterable<MessageStreamEvent>>(made.messages.stream({ model: "auto", max_tokens: 1, messages: [] }));
  isA<Promise<MessageResponse>>(made.messages.executeTools({ model: "auto", max_tokens: 1, messages: [] }));
  isA<AsyncIterable<ResponseStreamEvent>>(made.responses.stream({ model: "auto", input: "x" }));
  isA<Promise<Response>>(made.responses.executeToolsStream({ model: "auto", input: [{ role: "user" }] }));
  isA<Promise<ImageGenerationResponse>>(made.images.generate({ model: "auto", prompt: "x" }));
  isA<Promise<ImageGenerationResponse>>(made.images.edit({ model: "auto", prompt: "x", image: ["a"] }));
  isA<Promise<ModelListResponse>>(made.models.list({ locale: "en" }));
  isA<Promise<ModelMetadataResponse>>(made.models.meta());
  isA<Promise<PricingResponse>>(made.pricing.retrieve());
  isA<Promise<Receipt>>(made.receipts.retrieve("req-1"));
  isA<Promise<KeyInfo>>(made.key.retrieve());
  isA<Promise<RunTree>>(made.runs.retrieve("r"));
  // @ts-expect-error a key is no property
  made.apiKey;
  // @ts-expect-error a locale is zh or en
  made.models.list({ locale: "de" });
  // @ts-expect-error a whole answer is not streamed
  completions.create({ model: "auto", messages: [], stream: true });
  // @ts-expect-error messages need max_tokens
  made.messages.create({ model: "auto", messages: [] });
  // @ts-expect-error roles are few
  isA<ChatMessage>({ role: "robot" });
}

export function answers(answer: ChatCompletionResponse, chunk: ChatCompletionChunk, error: JoyTokenAPIError): void {
  same<ReturnType<typeof callMetadata>, CallMetadata | undefined>(true);
  isA<string | undefined>(callMetadata(answer)?.billing?.credits_used);
  same<ReturnType<typeof callUsage>, Usage | undefined>(true);
  isA<number | undefined>(callUsage(answer)?.total_tokens);
  isA<CallBilling | undefined>(callMetadata(chunk)?.billing);
  isA<CallLatency | undefined>(callMetadata(answer)?.latency);
  isA<ToolCall[] | undefined>(answer.choices[0]?.message.tool_calls);
  isA<Usage | undefined>(answer.usage);
  isA<string | null | undefined>(chunk.choices[0]?.delta.content);
  isA<OrchestrationResult | undefined>(answer.orchestration);
  isA<OrchestrationInfo | undefined>(chunk.orchestration);
  same<typeof error.code, ErrorCode>(true);
  isA<JoyTokenErrorContext | undefined>(error.context);
  isA<JoyTokenToolCallDiagnostic[] | undefined>(error.context?.toolCalls);
  isA<string | undefined>(error.errorType ?? error.errorCode ?? error.param ?? error.requestId);
  isA<Headers>(error.responseHeaders);
  same<ReturnType<typeof classifyFinishReason>, FinishReasonKind>(true);
  // @ts-expect-error the bodies of errors are not known
  error.body.error;
}

export async function tools(context: ToolExecutionContext): Promise<void> {
  const weather = defineTool({ name: "w", execute: (input: { city: string }) => input.city.length });
  same<typeof weather, Tool<{ city: string }, number>>(true);
  isA<JoyTokenClientOptions>({ tools: [weather] });
  const execute: ToolExecuteFunc<string, number> = (input) => input.length;
  same<Awaited<ReturnType<typeof safeExecuteTool<string, number>>>, { output?: number; error?: Error }>(true);
  const { output } = await safeExecuteTool(execute, "x", context);
  isA<number | undefined>(output);
  const writes: FilePermissionFunc = async (request: FilePermissionRequest) => request.root !== "/" && request.step > 0;
  const runs: ShellPermissionFunc = (request: ShellPermissionRequest) =>
    request.command === "ls" && !!request.workingDir;
  isA<JoyTokenClientOptions>({ filePermission: writes, shellPermission: runs });
  isA<FileSandbox>({ root: "x", maxBytes: 1 });
  isA<ShellSandbox>({ workingDir: "x", timeoutMs: 1, maxOutputBytes: 1 });
  isA<ToolCallResult>({ tool_call_id: "c", tool_name: "n", content: "", is_error: false });
  isA<ChatTool>({ type: "function", function: { name: "x" } });
  isA<ResponseFunctionTool>({ type: "function", name: "x" });
  isA<MessageTool>({ name: "x", input_schema: {} });
  // @ts-expect-error a tool has a name
  isA<Tool>({ description: "x" });
}

export function options(signal: AbortSignal): void {
  const run: RunOptions = { id: "r", parentId: "p", workflow: "w", budget: "0.5", step: 1 };
  isA<CallOptions>({ signal, run, headers: { a: "b" }, idempotencyKey: "k", maxRetries: 1, onDisconnect: "finish" });
  isA<CallOptions>({ onResponse: (head: ResponseHead) => void head.headers.get("x") });
  isA<ToolRunStreamOptions>({ signal, onToolResult: (result) => void result.content, onOrchestrationEvent: told });
  // @ts-expect-error a hang-up is stop or finish
  isA<CallOptions>({ onDisconnect: "drain" });
}

function told(event: OrchestrationEvent): void {
  if (event.type === "plan") isA<OrchestrationPlanItem[]>((event satisfies OrchestrationPlanEvent).plan);
  else isA<boolean>((event satisfies OrchestrationStageEvent).final);
}

export function requests(): void {
  isA<JoyTokenModel>("auto");
  isA<JoyTokenModel>("openai/gpt-4o-mini");
  isA<JoyTokenProtocol>("messages");
  isA<ModelLocale>("zh");
  isA<ListModelsOptions>({});
  isA<ChatCompletionStreamRequest>({ model: "auto", messages: [{ role: "developer", content: [{ type: "text" }] }] });
  isA<MessageParam>({ role: "user", content: [{ type: "text", text: "x" }] });
  isA<MessageContentBlock>({ type: "tool_result", tool_use_id: "c", content: "x", is_error: true });
  isA<MessageToolChoice>({ type: "tool", name: "x", disable_parallel_tool_use: true });
  isA<MessageRequest>({ model: "auto", max_tokens: 1, messages: [], system: "x", stop_sequences: ["x"] });
  isA<MessageStreamRequest>({ model: "auto", max_tokens: 1, messages: [], stream: true });
  isA<ResponseRequest>({ model: "auto", input: "x", tools: [{ type: "web_search_preview" }], store: false });
  isA<ResponseStreamRequest>({ model: "auto", input: "x", stream: true });
  isA<ResponseTool>({ type: "file_search", vector_store_ids: ["v"] } satisfies ResponseHostedFileSearchTool);
  isA<ResponseHostedTool>({ type: "web_search_preview" } satisfies ResponseHostedWebSearchTool);
  isA<ResponseToolChoice>("required");
  isA<ResponseInputItem>({
    type: "message",
    role: "user",
    content: [{ type: "input_text", text: "x" } satisfies ResponseInputContentPart],
  });
  isA<ImageGenerationRequest>({ model: "auto", prompt: "x", response_format: "b64_json" });
  isA<ImageEditRequest>({ model: "auto", prompt: "x", image: "x" });
  // @ts-expect-error a file search has vector stores
  isA<ResponseTool>({ type: "file_search" });
}

export function wire(
  response: Response,
  message: MessageResponse,
  event: MessageStreamEvent,
  images: ImageGenerationResponse,
): void {
  isA<ResponseOutputItem[] | undefined>(response.output);
  isA<ResponseOutputContent[] | undefined>(response.output?.[0]?.content);
  isA<ResponseUsage | undefined>(response.usage);
  same<typeof message.usage, MessageUsage>(true);
  isA<string | undefined>(event.delta?.partial_json);
  same<typeof images.data, GeneratedImage[]>(true);
  isA<string | undefined>(images.data[0]?.revised_prompt);
}

export function catalog(list: ModelListResponse, meta: ModelMetadataResponse, pricing: PricingResponse): void {
  same<typeof list.data.models, ModelInfo[]>(true);
  isA<number | undefined>(list.data.models[0]?.customerInputMtok);
  same<typeof meta.data, ModelMetadata>(true);
  same<typeof meta.data.tiers, CatalogOption[]>(true);
  same<typeof pricing.data, Pricing>(true);
  isA<PricingTier | undefined>(pricing.data.tiers[0]);
  isA<PricingSku | undefined>(pricing.data.skus[0]);
  isA<string | undefined>(pricing.data.tiers[0]?.usdPerCredit);
}

export function orchestration(stage: OrchestrationStage, row: OrchestrationTaskMetadata): void {
  isA<string>(stage.content);
  isA<OrchestrationLatency | undefined>(row.latency);
}

export function account(receipt: Receipt, key: KeyInfo, tree: RunTree): void {
  same<typeof receipt.request, ReceiptRequest>(true);
  same<typeof receipt.ending, ReceiptEnding>(true);
  same<typeof receipt.money, ReceiptMoney>(true);
  same<typeof receipt.route, ReceiptRoute>(true);
  same<typeof receipt.attempts, ReceiptAttempt[]>(true);
  same<typeof key.policy, KeyPolicy>(true);
  same<typeof key.limits, KeyLimit[]>(true);
  same<typeof key.wallets, KeyWallet[]>(true);
  same<typeof tree.runs, RunNode[]>(true);
  same<typeof tree.requests, RunRequest[]>(true);
}
