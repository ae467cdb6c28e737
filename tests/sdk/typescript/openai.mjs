// Ask a gateway by the official package, as a caller's program would, and print what came of each case as JSON.
//
//     node openai.mjs BASE_URL API_KEY POOR_KEY SLOW_KEY

import OpenAI, { APIConnectionTimeoutError, APIUserAbortError } from 'openai';

const [baseURL, apiKey, poorKey, slowKey] = process.argv.slice(2);
const options = { baseURL, apiKey, maxRetries: 0, timeout: 60_000 };
const client = new OpenAI(options);
const chat = client.chat.completions;

const model = 'echo/echo';
const messages = [{ role: 'user', content: 'Hello from the other side' }];
const stub = { model: 'stub/plain', messages };
const schema = {
  type: 'object',
  properties: { city: { $ref: '#/$defs/City' }, days: { type: 'integer' } },
  required: ['city', 'days'],
  additionalProperties: false,
  $defs: { City: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } },
};
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: schema } }];

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const cases = {
  async completion() {
    const { data, response, request_id } = await chat.create({ model, messages }).withResponse();
    const headers = Object.fromEntries(response.headers);
    return { data, headers, request_id, own: data._request_id };
  },

  async stream() {
    return collect(await chat.create({ model, messages, stream: true }));
  },

  async stream_with_usage() {
    return collect(await chat.create({ model, messages, stream: true, stream_options: { include_usage: true } }));
  },

  async stream_helper() {
    const said = [];
    const runner = chat.stream({ model, messages, stream_options: { include_usage: true } });
    runner.on('content', (delta) => said.push(delta));
    const completion = await runner.finalChatCompletion();
    return { said, completion, usage: await runner.totalUsage() };
  },

  async tool_turns() {
    const said = [{ role: 'user', content: 'Use get_weather for me.' }];
    const first = await chat.create({ model, messages: said, tools });
    const [call] = first.choices[0].message.tool_calls;
    said.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'It is sunny.' });
    const second = await chat.create({ model, messages: said, tools });
    return { first: first.choices[0], second: second.choices[0] };
  },

  async forced_tool_streams() {
    const completion = await chat.stream({ model, messages, tools, tool_choice: 'required' }).finalChatCompletion();
    return completion.choices[0];
  },

  async tools_are_run() {
    const asked = [];
    const runner = chat.runTools({
      model,
      messages: [{ role: 'user', content: 'Use get_weather for me.' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            parameters: schema,
            parse: JSON.parse,
            function: (given) => {
              asked.push(given);
              return 'It rains.';
            },
          },
        },
      ],
    });
    return { final: await runner.finalContent(), asked };
  },

  async structured() {
    const response_format = { type: 'json_schema', json_schema: { name: 'trip', schema, strict: true } };
    const completion = await chat.parse({ model, messages, response_format });
    return { content: completion.choices[0].message.content };
  },

  async models() {
    const names = [];
    for await (const listed of client.models.list()) names.push(listed.id);
    return { names, one: await client.models.retrieve(model) };
  },

  async wrong_key() {
    await new OpenAI({ ...options, apiKey: 'jt_live_wrong' }).chat.completions.create({ model, messages });
  },

  async no_key() {
    await chat.create({ model, messages }, { headers: { Authorization: null } });
  },

  async bad_request() {
    await chat.create({ model, messages: [] });
  },

  async unknown_model() {
    await chat.create({ model: 'nobody/nothing', messages });
  },

  async unknown_tier() {
    await chat.create({ model, messages, tier: 'gold' });
  },

  async empty_wallet() {
    await new OpenAI({ ...options, apiKey: poorKey }).chat.completions.create({ model, messages });
  },

  async rate_limit() {
    const slow = new OpenAI({ ...options, apiKey: slowKey });
    await slow.chat.completions.create({ model, messages });
    await slow.chat.completions.create({ model, messages });
  },

  // The answers of these are set by the test, in this order.
  async error_in_stream() {
    const said = [];
    for await (const chunk of await chat.create({ ...stub, stream: true })) said.push(chunk);
  },

  async aborted() {
    const stream = await chat.create({ ...stub, stream: true });
    let count = 0;
    for await (const _ of stream) if (++count === 3) break;
    return { count, aborted: stream.controller.signal.aborted };
  },

  async aborted_by_signal() {
    const controller = new AbortController();
    const runner = chat.stream(stub, { signal: controller.signal });
    runner.on('content', () => controller.abort());
    await runner.done();
  },

  async timed_out() {
    await chat.create(stub, { timeout: 500 });
  },
};

function told(error) {
  return {
    class: error.constructor.name,
    message: error.message,
    status: error.status,
    type: error.type,
    code: error.code,
    request_id: error.requestID,
    retry_after: error.headers?.get?.('retry-after'),
    aborted: error instanceof APIUserAbortError,
    timed_out: error instanceof APIConnectionTimeoutError,
  };
}

const results = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    results[name] = { value: (await run()) ?? null };
  } catch (error) {
    results[name] = { error: told(error) };
  }
}
process.stdout.write(JSON.stringify(results));
