import { ResponseAssembly, withOutputText } from "./response-assembly.js";
import { isObject } from "./json.js";
import { runResponseLoop } from "./response-loop.js";
import { checkModel, checkNotStreamed } from "./request-check.js";
import type { ToolPlan, ToolSet } from "./tool-set.js";
import type { Call, Transport } from "./transport.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { CallOptions, ToolRunStreamOptions } from "./types/options.js";
import type {
  Response,
  ResponseFields,
  ResponseRequest,
  ResponseStreamEvent,
  ResponseStreamRequest,
  ResponseTool,
} from "./types/responses.js";

const INITIAL: JoyTokenErrorContext = { protocol: "responses", phase: "initial_request", requestNumber: 1 };

/** `client.responses`: POST `/responses`. */
export class Responses {
  readonly #transport: Transport;
  readonly #url: string;
  readonly #tools: ToolSet;

  constructor(transport: Transport, openAIBaseUrl: string, tools: ToolSet) {
    this.#transport = transport;
    this.#url = `${openAIBaseUrl}/responses`;
    this.#tools = tools;
  }

  /**
   * One answer. Without tools of the request or the client, the default ones are declared and run; tools of your own
   * are never run here.
   *
   * @throws JoyTokenAPIError where the call fails; Error where it cannot be sent.
   */
  async create(request: ResponseRequest, options: CallOptions = {}): Promise<Response> {
    const plan = this.#checked(request, "responses.create");
    return plan.automatic ? this.#loop(request, plan, options) : this.#whole(request, plan, options, INITIAL);
  }

  /** Ask, run the client's tools that are called for, and ask again until there are no more calls; the last answer. */
  async run(request: ResponseRequest, options: CallOptions = {}): Promise<Response> {
    return this.#loop(request, this.#checked(request, "responses.run"), options);
  }

  /** The same as `run`. */
  executeTools(request: ResponseRequest, options: CallOptions = {}): Promise<Response> {
    return this.run(request, options);
  }

  /**
   * The events of one answer, which is asked for when the first one is. No tool is run. Who leaves the loop ends the
   * call.
   */
  async *stream(
    request: ResponseStreamRequest,
    options: CallOptions = {},
  ): AsyncGenerator<ResponseStreamEvent, void, undefined> {
    yield* this.#events(request, this.#checked(request), options, INITIAL);
  }

  /** Like `run`, with answers that are streamed: `options` are told of texts and tools as they come. */
  async runStream(
    request: ResponseRequest | ResponseStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<Response> {
    const plan = this.#checked(request);
    return runResponseLoop({
      request,
      handlers: plan.handlers,
      stepsMax: this.#tools.stepsMax,
      signal: options.signal,
      onToolResult: options.onToolResult,
      ask: async (turn, context) => {
        const assembly = new ResponseAssembly(options);
        for await (const event of this.#events(turn, plan, options, context)) assembly.add(event);
        return assembly.response();
      },
    });
  }

  /** The same as `runStream`. */
  executeToolsStream(
    request: ResponseRequest | ResponseStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<Response> {
    return this.runStream(request, options);
  }

  /** Check a request, by the name of a call where it must not be streamed; its tools. */
  #checked(request: ResponseFields & { stream?: unknown }, whole?: string): ToolPlan<ResponseTool> {
    checkModel(request.model);
    if (whole !== undefined) checkNotStreamed(request, whole);
    for (const tool of request.tools ?? []) {
      const stores = tool?.type === "file_search" ? tool["vector_store_ids"] : [""];
      if (!Array.isArray(stores) || stores.length === 0) {
        throw new Error("JoyToken Responses hosted file_search requires a non-empty vector_store_ids array.");
      }
    }
    return this.#tools.forResponse(request.tools);
  }

  #loop(request: ResponseFields, plan: ToolPlan<ResponseTool>, options: CallOptions): Promise<Response> {
    return runResponseLoop({
      request,
      handlers: plan.handlers,
      stepsMax: this.#tools.stepsMax,
      signal: options.signal,
      ask: (turn, context) => this.#whole(turn, plan, options, context),
    });
  }

  async #whole(
    request: ResponseFields,
    plan: ToolPlan<ResponseTool>,
    options: CallOptions,
    context: JoyTokenErrorContext,
  ): Promise<Response> {
    const body = { ...request, tools: plan.declared, stream: false };
    const { value } = await this.#transport.json(this.#call(body, options, context));
    return withOutputText(checkedObject(value) as unknown as Response);
  }

  async *#events(
    request: ResponseFields,
    plan: ToolPlan<ResponseTool>,
    options: CallOptions,
    context: JoyTokenErrorContext,
  ): AsyncGenerator<ResponseStreamEvent, void, undefined> {
    const body = { ...request, tools: plan.declared, stream: true };
    for await (const { value } of this.#transport.events(this.#call(body, options, context))) {
      yield checkedObject(value) as ResponseStreamEvent;
    }
  }

  #call(body: unknown, options: CallOptions, context: JoyTokenErrorContext): Call {
    const { requestNumber } = context;
    return { method: "POST", url: this.#url, body, paid: true, options, requestNumber, context };
  }
}

function checkedObject(value: unknown): Record<string, unknown> {
  if (!isObject(value)) throw new Error("JoyToken Responses answer or event is no JSON object");
  return value;
}
