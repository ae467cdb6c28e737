import type { ChildProcess } from "node:child_process";
import type { NodePlatform } from "../platform.js";
import type { ShellSandbox, Tool } from "../types/tool.js";
import { textArgument, textParameters } from "./arguments.js";
import { nodePlatform, systemReason } from "./node-platform.js";

/** How long a command may take: 30 s. */
export const DefaultShellTimeoutMs = 30_000;

/** How much a command may print: 64 KiB. */
export const DefaultShellOutputBytes = 64 << 10;

/** How long what a command left behind may hold its output open. */
const LEFT_BEHIND_MS = 500;

/** The absolute folder in which commands start: the working directory where the sandbox names none. */
export function absWorkingDir(sandbox: ShellSandbox): string {
  const { path, cwd } = nodePlatform();
  return path.resolve(sandbox.workingDir || cwd());
}

/**
 * A tool: runs a command with `sh -c` (on Windows `cmd /C`), without input, as `{ command, output, truncated,
 * exit_code, timed_out?, output_limit_exceeded? }`. One that takes too long or prints too much is killed with all that
 * it started. Variables that begin with `JOY_TOKEN_` are kept from it. A command can do whatever this process can, so
 * gate it with `gateShell`.
 */
export function shell(sandbox: ShellSandbox): Tool {
  return {
    name: "shell",
    description: "Run a command in the workspace and return what it prints.",
    parameters: textParameters({ command: "The command line." }, ["command"]),
    async execute(input) {
      const command = textArgument("shell", input, "command");
      if (command.trim() === "") throw new Error("shell: command is empty");
      return run(sandbox, command);
    },
  };
}

interface Ended {
  code: number | null;
  failed?: unknown;
}

async function run(sandbox: ShellSandbox, command: string): Promise<Record<string, unknown>> {
  const node = nodePlatform();
  const child = start(node, command, absWorkingDir(sandbox));
  const output = new BoundedOutput(positive(sandbox.maxOutputBytes, DefaultShellOutputBytes), () => kill(child));
  child.stdout?.on("data", (data: Uint8Array) => output.add(data));
  child.stderr?.on("data", (data: Uint8Array) => output.add(data));
  let timedOut = false;
  const timer = setTimeout(
    () => {
      timedOut = true;
      kill(child);
    },
    positive(sandbox.timeoutMs, DefaultShellTimeoutMs),
  );
  const ended = await endOf(child);
  clearTimeout(timer);
  kill(child); // what it left in the background ends with it
  if (ended.failed !== undefined) throw new Error(`shell: ${systemReason(ended.failed)}`);
  return {
    command,
    output: output.text(),
    truncated: output.exceeded,
    exit_code: ended.code ?? -1,
    ...(output.exceeded ? { output_limit_exceeded: true } : timedOut && { timed_out: true }),
  };
}

function start(node: NodePlatform, command: string, cwd: string): ChildProcess {
  const windows = node.path.sep === "\\";
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("JOY_TOKEN_")));
  return node.childProcess.spawn(windows ? "cmd" : "sh", [windows ? "/C" : "-c", command], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: !windows, // a group of its own, which is killed as one
    windowsHide: true,
  });
}

/** When the command is over and its output read; what it left behind is waited for no longer than a moment. */
function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    child.on("error", (failed) => resolve({ code: null, failed }));
    child.on("close", (code) => resolve({ code }));
    child.on("exit", (code) => {
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ code });
      }, LEFT_BEHIND_MS).unref();
    });
  });
}

/** Kill a command with all that it started. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // no group: Windows, or nothing of it is left
  }
}

function positive(value: number | undefined, otherwise: number): number {
  return value !== undefined && value > 0 ? value : otherwise;
}

/** What was printed, up to a number of bytes; more than that is told once. */
class BoundedOutput {
  readonly #pieces: Uint8Array[] = [];
  readonly #max: number;
  readonly #full: () => void;
  #length = 0;
  exceeded = false;

  constructor(max: number, full: () => void) {
    this.#max = max;
    this.#full = full;
  }

  add(data: Uint8Array): void {
    const room = this.#max - this.#length;
    if (room > 0) this.#pieces.push(data.subarray(0, room));
    this.#length += Math.min(room, data.length);
    if (data.length <= room || this.exceeded) return;
    this.exceeded = true;
    this.#full();
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  }
}
