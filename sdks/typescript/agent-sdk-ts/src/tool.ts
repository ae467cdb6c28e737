import type { Schema } from "./schema.js";
import type { AgentTool, OutputFormat, ToolExecutionContext } from "./types.js";

/** Give a tool back with the types of its input and output. */
export function defineTool<Input = unknown, Output = unknown>(
  tool: AgentTool<Input, Output>,
): AgentTool<Input, Output> {
  return tool;
}

/** What `tool` takes: `execute` has the type of `input`, and is run with what fits it only. */
export interface TypedToolOptions<Input, Output> {
  name: string;
  description?: string | undefined;
  input: Schema<Input>;
  requiresApproval?: boolean | ((input: Input) => boolean) | undefined;
  execute(input: Input, context: ToolExecutionContext): Output | Promise<Output>;
}

/** A tool whose arguments are described by a schema: arguments that do not fit are told to the model, and not run. */
export function tool<Input, Output>(options: TypedToolOptions<Input, Output>): AgentTool<Input, Output> {
  const { input, requiresApproval, ...others } = options;
  return {
    ...others,
    parameters: input.schema,
    ...(requiresApproval !== undefined && {
      requiresApproval: requiresApproval as boolean | ((input: unknown) => boolean),
    }),
  };
}

/** A final answer of this schema, for `AgentOptions.output`. */
export function outputOf(name: string, schema: Schema<unknown>): OutputFormat {
  return { name, schema: schema.schema };
}
