import type { ToolExecuteFunc } from "@joytoken/client-sdk-ts";

/** Something that is put around each tool of a toolkit. */
export type Middleware = (name: string, next: ToolExecuteFunc) => ToolExecuteFunc;

/** Says which tools may run. */
export enum PermissionMode {
  Auto = "auto",
  Ask = "ask",
  Deny = "deny",
}

/** What a `PermissionFunc` decides upon. */
export interface PermissionRequest {
  toolName: string;
  input: unknown;
  /** The number of the model's answer that asked for the call, from 1. */
  step: number;
}

/** Says whether a call may be run. Throwing is a no. */
export type PermissionFunc = (request: PermissionRequest) => boolean | Promise<boolean>;

/** Whether tools run: always, when `ask` says so, or never. */
export interface Permission {
  mode: PermissionMode;
  ask?: PermissionFunc | undefined;
}

/** Runs a tool only where a permission says so. */
export function permissionMiddleware(permission: Permission): Middleware {
  return (name, next) => async (input, context) => {
    await checkPermission(permission, { toolName: name, input, step: context.step });
    return next(input, context);
  };
}

async function checkPermission({ mode, ask }: Permission, request: PermissionRequest): Promise<void> {
  const name = `tool "${request.toolName}"`;
  if (mode === PermissionMode.Auto) return;
  if (mode !== PermissionMode.Ask) throw new Error(`${name} denied by permission policy`);
  if (ask === undefined) throw new Error(`${name} requires approval but no permission handler is configured`);
  let allowed: boolean;
  try {
    allowed = await ask(request);
  } catch (error) {
    throw new Error(`${name} permission check failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!allowed) throw new Error(`${name} rejected by permission handler`);
}

/** Tells of each call when it has ended, with its error where it failed. */
export function audit(log: (name: string, input: unknown, error?: Error) => void): Middleware {
  return (name, next) => async (input, context) => {
    try {
      const result = await next(input, context);
      log(name, input);
      return result;
    } catch (thrown) {
      log(name, input, thrown instanceof Error ? thrown : new Error(String(thrown)));
      throw thrown;
    }
  };
}

/** Gives a call up after so many milliseconds; 0 or less: never. */
export function timeout(ms: number): Middleware {
  return (name, next) => {
    if (!(ms > 0)) return next;
    return async (input, context) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const over = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`tool "${name}" timed out after ${ms}ms`)), ms);
      });
      try {
        return await Promise.race([next(input, context), over]);
      } finally {
        clearTimeout(timer);
      }
    };
  };
}
