import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, AgentOutputError, array, boolean, integer, nullable, number, object, oneOf, optional, outputOf, string, tool } from "@joytoken/agent-sdk-ts";
import { call, calls, says, ScriptedModel } from "./model.js";

const output = outputOf("weather", object({ city: string(), days: integer() }));

test("a final answer is asked for by its schema, and given as its value", async () => {
  const model = new ScriptedModel(says('```json\n{"city":"Paris","days":2}\n```'));
  const result = await new Agent({ model, output }).run("go");
  assert.deepEqual(result.output, { city: "Paris", days: 2 });
  assert.deepEqual(model.asked[0]?.responseFormat, {
    type: "json_schema",
    json_schema: { name: "weather", schema: output.schema, strict: true },
  });
});

test("an answer that does not fit is asked for once more", async () => {
  const model = new ScriptedModel(says("Paris"), says('{"city":"Paris","days":2}'));
  const result = await new Agent({ model, output }).run("go");
  assert.deepEqual(result.output, { city: "Paris", days: 2 });
  assert.match(String(model.asked[1]?.messages.at(-1)?.content), /^Your answer does not fit the schema: it is no JSON/);
});

test("an answer that never fits is an error that has it", async () => {
  const run = new Agent({ model: new ScriptedModel(says("no"), says('{"city":1,"days":2}')), output }).run("go");
  await assert.rejects(run, (error: AgentOutputError) => {
    assert.deepEqual([error.name, error.text], ["AgentOutputError", '{"city":1,"days":2}']);
    return /at \.city: it must be of type string/.test(error.message);
  });
});

test("a name that no provider takes is refused before anything is asked", async () => {
  const model = new ScriptedModel(says("x"));
  await assert.rejects(new Agent({ model, output: { name: "a b", schema: {} } }).run("go"), /output\.name must be/);
  assert.equal(model.asked.length, 0);
});

test("a schema says what it is made of", () => {
  const made = object({
    city: string("The city", { minLength: 1 }),
    unit: optional(oneOf(["C", "F"], "The unit")),
    days: optional(array(integer(), "Which days", { maxItems: 7 })),
    exact: boolean(),
    wind: nullable(number("In m/s")),
  });
  assert.deepEqual(made.schema, {
    type: "object",
    properties: {
      city: { type: "string", description: "The city", minLength: 1 },
      unit: { type: "string", enum: ["C", "F"], description: "The unit" },
      days: { type: "array", items: { type: "integer" }, description: "Which days", maxItems: 7 },
      exact: { type: "boolean" },
      wind: { anyOf: [{ type: "number", description: "In m/s" }, { type: "null" }] },
    },
    required: ["city", "exact", "wind"],
    additionalProperties: false,
  });
});

test("a typed tool is run with what fits its schema only", async () => {
  const ran: string[] = [];
  const weather = tool({
    name: "weather",
    input: object({ city: string(), days: optional(integer()) }),
    execute: ({ city, days = 1 }) => void ran.push(`${city} ${days.toFixed()}`),
  });
  const asked = calls(call("1", "weather", { city: "Paris" }), call("2", "weather", { city: "Paris", more: 1 }));
  const result = await new Agent({ model: new ScriptedModel(asked, says("x")), tools: [weather] }).run("go");
  assert.deepEqual(ran, ["Paris 1"]);
  assert.match(result.steps[0]!.toolResults[1]!.content, /property "more" is not allowed/);
});
