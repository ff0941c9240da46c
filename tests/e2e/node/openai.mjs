// OpenAI's client for Node, as test_sdk_openai_node.py runs it.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { BASE, KEY, LONG, MESSAGES, MODEL, SAID, SCHEMA, TOOL, call, collect, count, fails, run } from './checks.mjs';

const connect = (more = {}) => new OpenAI({ baseURL: BASE, apiKey: KEY, maxRetries: 0, timeout: 600000, ...more });
const client = connect();
const chat = client.chat.completions;
const options = { model: MODEL, messages: MESSAGES, temperature: 0 };
const form = { type: 'json_schema', json_schema: { name: 'weather', strict: true, schema: SCHEMA } };
const called = [['get_weather', '{"city": "Oslo"}']];
const names = (calls) => calls.map((c) => [c.function.name, c.function.arguments]);
const endless = { max_tokens: 1900, ignore_eos: true };

await run({
  async models() {
    const models = await collect(await call(() => client.models.list()));
    assert.deepEqual(models.map((m) => m.id), [MODEL]);
    assert.equal((await call(() => client.models.retrieve(MODEL))).owned_by, 'fulgur');
  },
  async whole_and_stream() {
    const whole = await call(() => chat.create(options));
    assert.equal(whole.choices[0].message.content, SAID);
    const chunks = await collect(await call(() => chat.create({ ...options, stream: true,
      stream_options: { include_usage: true } })));
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? '').join(''), SAID);
    assert.equal(chunks.at(-1).usage.total_tokens, whole.usage.total_tokens);
    assert.equal(await call(() => chat.stream(options).finalContent()), SAID);
    const left = await call(() => chat.create({ ...options, ...endless, stream: true }));
    for await (const chunk of left) break; // leaves in the middle
    const raw = await call(() => chat.create(options).withResponse());
    assert.equal(raw.response.status, 200);
    const text = await call(() => client.completions.create({ model: MODEL, prompt: 'The sky is', max_tokens: 3 }));
    assert.equal(text.usage.completion_tokens, 3);
  },
  async forms() {
    const parsed = await call(() => chat.parse({ ...options, response_format: form }));
    assert.deepEqual(parsed.choices[0].message.parsed, { city: 'Oslo', celsius: 7 });
    const object = await call(() => chat.create({ ...options, response_format: { type: 'json_object' } }));
    assert.equal(JSON.parse(object.choices[0].message.content).celsius, 7);
  },
  async tools() {
    for (const tool_choice of ['auto', 'required', { type: 'function', function: { name: 'get_weather' } }]) {
      const said = await call(() => chat.create({ ...options, tools: [TOOL], tool_choice }));
      assert.equal(said.choices[0].finish_reason, 'tool_calls');
      assert.deepEqual(names(said.choices[0].message.tool_calls), called);
    }
    const final = await call(() => chat.stream({ ...options, tools: [TOOL] }).finalChatCompletion());
    assert.deepEqual(names(final.choices[0].message.tool_calls), called);
    const asked = [];
    const tool = { ...TOOL, function: { ...TOOL.function, parse: JSON.parse,
      function: ({ city }) => { asked.push(city); return '7 degrees'; } } };
    count(2);
    assert.equal(await chat.runTools({ ...options, tools: [tool] }).finalContent(), SAID);
    assert.deepEqual(asked, ['Oslo']);
  },
  async responses() {
    const ask = { model: MODEL, input: 'Weather?', temperature: 0 };
    const first = await call(() => client.responses.create(ask));
    assert.equal(first.output_text, SAID);
    const events = await collect(await call(() => client.responses.create({ ...ask, stream: true })));
    assert.equal(events.at(-1).type, 'response.completed');
    const parsed = await call(() => client.responses.parse({ ...ask, text: { format: { type: 'json_schema',
      name: 'weather', schema: SCHEMA, strict: true } } }));
    assert.equal(parsed.output_parsed.celsius, 7);
    const second = await call(() => client.responses.create({ ...ask, previous_response_id: first.id }));
    assert.equal(second.previous_response_id, first.id);
    await call(() => client.responses.delete(first.id));
    await fails(OpenAI.NotFoundError, () => client.responses.retrieve(first.id));
  },
  async errors() {
    const long = await fails(OpenAI.BadRequestError,
      () => chat.create({ ...options, messages: [{ role: 'user', content: LONG }] }));
    assert.equal(long.code, 'context_length_exceeded');
    const wrong = await fails(OpenAI.BadRequestError, () => chat.create({ ...options, temperature: 1000 }));
    assert.equal(wrong.param, 'temperature');
    await fails(OpenAI.NotFoundError, () => chat.create({ ...options, model: 'other' }));
    await fails(OpenAI.AuthenticationError, () => connect({ apiKey: 'other' }).models.list());
    await fails(OpenAI.APIConnectionTimeoutError, () => chat.create({ ...options, ...endless }, { timeout: 200 }));
    await fails(OpenAI.APIConnectionError, () => connect({ baseURL: 'http://127.0.0.1:1/v1' }).models.list());
    const controller = new AbortController();
    const given_up = fails(OpenAI.APIUserAbortError,
      () => chat.create({ ...options, ...endless }, { signal: controller.signal }));
    controller.abort();
    await given_up;
  },
});
