import type { ToolExecutionContext } from "../types.js";
import { withinTime } from "./bounds.js";

/** What a tool of an agent does. Whatever it throws is told to the model as the result. */
export type ToolExecuteFunc<Input = unknown, Output = unknown> = (
  input: Input,
  context: ToolExecutionContext,
) => Output | Promise<Output>;

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
  let allowed: unknown;
  try {
    allowed = await ask(request);
  } catch (error) {
    throw new Error(`${name} permission check failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (allowed !== true) throw new Error(`${name} rejected by permission handler`);
}

/**
 * Tells of each call once, when it has ended, with its error where it failed. A promise of the log's is waited for, and
 * a log that fails fails the call.
 */
export function audit(log: (name: string, input: unknown, error?: Error) => unknown): Middleware {
  return (name, next) => async (input, context) => {
    let result: unknown;
    try {
      result = await next(input, context);
    } catch (thrown) {
      await log(name, input, thrown instanceof Error ? thrown : new Error(String(thrown)));
      throw thrown;
    }
    await log(name, input);
    return result;
  };
}

/**
 * Gives a call up after so many milliseconds; 0 or less: never. The signal of the tool's context ends then; a tool that
 * does not hear it goes on, and what it returns is dropped.
 */
export function timeout(ms: number): Middleware {
  return (name, next) => {
    if (!(ms > 0)) return next;
    return (input, context) => {
      const expired = `tool "${name}" timed out after ${ms}ms`;
      return withinTime(ms, expired, context?.signal, (signal) => next(input, { ...context, signal }));
    };
  };
}
