import type { FilePermissionFunc, ShellPermissionFunc, Tool, ToolExecutionContext } from "../types/tool.js";
import { textArgument } from "./arguments.js";
import { absRoot } from "./file-root.js";
import { absWorkingDir } from "./shell.js";

/** Let a file tool run only where a permission callback says so; without one it never runs. */
export function gateFileWrite(tool: Tool, root: string, permission?: FilePermissionFunc): Tool {
  return gate(
    tool,
    "file",
    permission && ((input, step) => permission({ toolName: tool.name, input, root: absRoot({ root }), step })),
  );
}

/** Let the shell tool run only where a permission callback says so; without one it never runs. */
export function gateShell(tool: Tool, workingDir: string, permission?: ShellPermissionFunc): Tool {
  return gate(
    tool,
    "shell",
    permission &&
      ((input, step) =>
        permission({
          toolName: tool.name,
          input,
          command: textArgument(tool.name, input, "command"),
          workingDir: absWorkingDir({ workingDir }),
          step,
        })),
  );
}

type Ask = (input: unknown, step: number) => boolean | Promise<boolean>;

function gate(tool: Tool, kind: "file" | "shell", ask: Ask | undefined): Tool {
  return {
    ...tool,
    async execute(input: unknown, context: ToolExecutionContext): Promise<unknown> {
      if (ask === undefined) {
        throw new Error(
          `tool "${tool.name}" rejected: no ${kind} permission handler configured (set ${kind}Permission to enable)`,
        );
      }
      let allowed: unknown;
      try {
        allowed = await ask(input, context.step);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`tool "${tool.name}" permission check failed: ${why}`);
      }
      // Only `true` is a yes: a callback without types may give anything back.
      if (allowed !== true) throw new Error(`tool "${tool.name}" rejected by ${kind} permission handler`);
      return tool.execute?.(input, context);
    },
  };
}
