/** Refuse a blank model before anything is sent. */
export function checkModel(model: unknown): void {
  if (typeof model !== "string" || model.trim() === "") {
    throw new Error('JoyToken model must be "auto" or the name of a model.');
  }
}

/** Refuse `stream: true` where a whole answer is given. */
export function checkNotStreamed(request: { stream?: unknown }, call: string): void {
  if (request.stream)
    throw new Error(`JoyToken ${call} gives whole answers: leave stream out, or use ${streamOf(call)}().`);
}

function streamOf(call: string): string {
  return call.replace(/[a-zA-Z]+$/, (method) => (method === "create" ? "stream" : "runStream"));
}
