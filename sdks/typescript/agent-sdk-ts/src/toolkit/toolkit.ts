import { calculator, dateTime } from "@joytoken/client-sdk-ts";
import { Agent } from "../agent.js";
import type { AgentOptions, AgentTool } from "../types.js";
import { permissionMiddleware, PermissionMode, type Middleware, type Permission } from "./middleware.js";

/** What a toolkit is made with. */
export interface ToolkitOptions {
  /** Every tool may run by default. */
  permission?: Permission | undefined;
  /** The first is outermost; the permission is asked last, right before the tool. */
  middleware?: Middleware[] | undefined;
}

/** A list of tools with the same things around each of them. */
export class Toolkit {
  readonly #middleware: Middleware[];
  readonly #tools = new Map<string, AgentTool>();

  constructor(options: ToolkitOptions = {}) {
    const permission = permissionMiddleware(options.permission ?? { mode: PermissionMode.Auto });
    this.#middleware = [...(options.middleware ?? []), permission];
  }

  /** Add tools. One of a name that is there takes its place. */
  register(...tools: AgentTool[]): this {
    for (const tool of tools) this.#tools.set(tool.name, tool);
    return this;
  }

  /** The tools, each with everything around it. */
  tools(): AgentTool[] {
    return [...this.#tools.values()].map((tool) => {
      if (tool.execute === undefined) return tool;
      const own: NonNullable<AgentTool["execute"]> = (input, context) => tool.execute!(input, context);
      return { ...tool, execute: this.#middleware.reduceRight((next, around) => around(tool.name, next), own) };
    });
  }
}

/** A toolkit without tools. */
export function createToolkit(options: ToolkitOptions = {}): Toolkit {
  return new Toolkit(options);
}

/** A toolkit with `calculator` and `datetime`. */
export function defaultToolkit(options: ToolkitOptions = {}): Toolkit {
  return new Toolkit(options).register(calculator(), dateTime());
}

/** Options with the default tools where they say nothing of tools; `[]` stays. */
export function withDefaults(options: AgentOptions, toolkit: ToolkitOptions = {}): AgentOptions {
  return options.tools === undefined ? { ...options, tools: defaultToolkit(toolkit).tools() } : options;
}

/** An agent, with the default tools where the options say nothing of tools. */
export function createAgent(options: AgentOptions, toolkit: ToolkitOptions = {}): Agent {
  return new Agent(withDefaults(options, toolkit));
}
