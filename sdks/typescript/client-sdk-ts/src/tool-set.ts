import { toChatTool, toResponseTool } from "./tool.js";
import { calculator } from "./tools/calculator.js";
import { dateTime } from "./tools/date-time.js";
import { fileRead } from "./tools/file-read.js";
import { fileSearch } from "./tools/file-search.js";
import { fileWrite } from "./tools/file-write.js";
import { listDir } from "./tools/list-dir.js";
import { hasNodePlatform } from "./tools/node-platform.js";
import { gateFileWrite, gateShell } from "./tools/permission.js";
import { shell } from "./tools/shell.js";
import type { ChatTool } from "./types/chat.js";
import type { JoyTokenClientOptions } from "./types/options.js";
import type { ResponseTool } from "./types/responses.js";
import type { Tool } from "./types/tool.js";

const TOOL_STEPS_DEFAULT = 8;
const HOSTED_SEARCH = "web_search_preview";

/** The tools of one call: what is declared, and what can be run of it. */
export interface ToolPlan<Declared> {
  /** Undefined: the field is left out. */
  declared: Declared[] | undefined;
  handlers: Map<string, Tool>;
  /** Whether these are the default tools, which plain calls run, too. */
  automatic: boolean;
}

/** Whose tools a call has: its own, else the client's, else the default ones. */
export class ToolSet {
  /** Rounds of tools in one run. */
  readonly stepsMax: number;
  readonly #own: Tool[];
  readonly #defaults: Tool[];
  readonly #hosted: boolean;

  constructor(options: JoyTokenClientOptions) {
    const steps = Math.floor(options.toolMaxSteps ?? TOOL_STEPS_DEFAULT);
    this.stepsMax = steps > 0 ? steps : TOOL_STEPS_DEFAULT;
    const excluded = new Set(options.excludedDefaultTools);
    this.#own = [...(options.tools ?? [])];
    this.#defaults =
      options.defaultLocalTools === false ? [] : defaultTools(options).filter(({ name }) => !excluded.has(name));
    this.#hosted = options.defaultBuiltinTools === true && !excluded.has(HOSTED_SEARCH);
  }

  /** The tools of a chat, or of a message that is sent as one. */
  forChat(given: ChatTool[] | undefined): ToolPlan<ChatTool> {
    if (given !== undefined) return this.#asGiven(given, (tool) => tool?.function?.name);
    return this.#own.length > 0 ? this.#client(toChatTool) : this.#default(this.#defaults.map(toChatTool));
  }

  /** The tools of a response. */
  forResponse(given: ResponseTool[] | undefined): ToolPlan<ResponseTool> {
    if (given !== undefined) {
      return this.#asGiven(given, (tool) => (tool?.type === "function" ? (tool.name as string) : undefined));
    }
    if (this.#own.length > 0) return this.#client(toResponseTool);
    const hosted: ResponseTool[] = this.#hosted ? [{ type: HOSTED_SEARCH }] : [];
    return this.#default([...this.#defaults.map(toResponseTool), ...hosted]);
  }

  #asGiven<Declared>(given: Declared[], nameOf: (tool: Declared) => string | undefined): ToolPlan<Declared> {
    const names = new Set(given.map(nameOf));
    return { declared: given, handlers: handlersOf(this.#own.filter(({ name }) => names.has(name))), automatic: false };
  }

  #client<Declared>(declare: (tool: Tool) => Declared): ToolPlan<Declared> {
    return { declared: this.#own.map(declare), handlers: handlersOf(this.#own), automatic: false };
  }

  #default<Declared>(declared: Declared[]): ToolPlan<Declared> {
    return {
      declared: declared.length > 0 ? declared : undefined,
      handlers: handlersOf(this.#defaults),
      automatic: this.#defaults.length > 0,
    };
  }
}

function handlersOf(tools: Tool[]): Map<string, Tool> {
  return new Map(tools.filter(({ execute }) => execute !== undefined).map((tool) => [tool.name, tool]));
}

/** The default tools, in the order in which they are declared; those that need Node.js only where it is. */
function defaultTools(options: JoyTokenClientOptions): Tool[] {
  const anywhere = [calculator(), dateTime()];
  if (!hasNodePlatform()) return anywhere;
  const files = { root: options.fileWorkspace };
  const commands = { workingDir: options.shellWorkspace };
  return [
    ...anywhere,
    fileSearch(files),
    listDir(files),
    fileRead(files),
    gateFileWrite(fileWrite(files), files.root ?? "", options.filePermission),
    gateShell(shell(commands), commands.workingDir ?? "", options.shellPermission),
  ];
}
