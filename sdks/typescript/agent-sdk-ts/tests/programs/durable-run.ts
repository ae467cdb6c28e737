/** The program that a test kills in the middle of an agent's run, and resumes. */
import { parseArgs } from "node:util";
import { Agent, createJoyTokenProvider, FileRunStore, object, string, tool } from "@joytoken/agent-sdk-ts";

const QUESTION = "What is the weather in Paris?";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "echo" },
    "run-id": { type: "string", default: "" },
    state: { type: "string", default: "" },
    "hang-after-answer": { type: "string", default: "0" },
    resume: { type: "boolean", default: false },
  },
});
const hangAfter = Number(values["hang-after-answer"]);
let answers = 0;
let replayed = 0;

/** After the answer with that number it is told of, and given to nobody. */
const line: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  const body = await response.arrayBuffer();
  answers += 1;
  if (response.headers.get("idempotent-replayed") === "true") replayed += 1;
  if (answers === hangAfter) {
    console.log(`answer ${answers}`);
    await new Promise(() => setInterval(() => {}, 1 << 30));
  }
  return new Response(body, response);
};

const weather = tool({
  name: "get_weather",
  description: "The weather in a city",
  input: object({ city: string("The city") }),
  execute: ({ city }) => ({ city, weather: "sunny, 21 degrees" }),
});
const agent = new Agent({
  model: createJoyTokenProvider({ model: values.model, fetch: line, timeoutMs: 0 }),
  tools: [weather],
  toolChoice: { type: "function", function: { name: weather.name } },
  temperature: 0,
  maxTokens: 48,
  store: new FileRunStore(values.state),
});
const runId = values["run-id"];
const result = values.resume ? await agent.resume(runId) : await agent.run({ input: QUESTION, run: { id: runId } });
const { finalText, stoppedBy = null, steps, requestIds, creditsUsed } = result;
console.log(JSON.stringify({ finalText, stoppedBy, steps: steps.length, requestIds, creditsUsed, replayed }));
