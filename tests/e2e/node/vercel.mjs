// Vercel's AI SDK with its provider for servers that speak as OpenAI's, as test_sdk_vercel.py runs it.
import assert from 'node:assert/strict';
import { APICallError, Output, embed, generateObject, generateText, isStepCount, streamObject, streamText, tool }
  from 'ai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import { BASE, KEY, LONG, MODEL, SAID, call, collect, count, fails, run } from './checks.mjs';

const connect = (more = {}) => createOpenAICompatible({ name: 'fulgur', baseURL: BASE, apiKey: KEY,
  includeUsage: true, supportsStructuredOutputs: true, ...more });
const model = connect()(MODEL);
const options = { model, instructions: 'Be brief.', prompt: 'What is the weather in Oslo?', temperature: 0,
  maxRetries: 0 };
const schema = z.object({ city: z.string(), celsius: z.number().int() });
const weather = { city: 'Oslo', celsius: 7 };

function tools(asked) {
  return { get_weather: tool({ description: 'The weather of a city.', inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => { asked.push(city); return '7 degrees'; } }) };
}

await run({
  async text() {
    const whole = await call(() => generateText(options));
    assert.deepEqual([whole.text, whole.finishReason], [SAID, 'stop']);
    assert(whole.usage.inputTokens > 5);
    const stream = call(() => streamText(options));
    assert.equal((await collect(stream.textStream)).join(''), SAID);
    assert.equal((await stream.usage).totalTokens, whole.usage.totalTokens);
    const many = { ...options, prompt: 'word '.repeat(200) };
    await call(() => generateText(many));
    const again = await call(() => generateText(many));
    assert(again.usage.inputTokenDetails.cacheReadTokens > 63, JSON.stringify(again.usage));
    const cut = await call(() => generateText({ ...options, maxOutputTokens: 2 }));
    assert.equal(cut.finishReason, 'length');
  },
  async forms() {
    assert.deepEqual((await call(() => generateObject({ ...options, schema }))).object, weather);
    const stream = call(() => streamObject({ ...options, schema }));
    const parts = await collect(stream.partialObjectStream);
    assert(parts.length > 1);
    assert.deepEqual(await stream.object, weather);
    const output = await call(() => generateText({ ...options, output: Output.object({ schema }) }));
    assert.deepEqual(output.output, weather);
    const plain = connect({ supportsStructuredOutputs: false })(MODEL);
    assert.deepEqual((await call(() => generateObject({ ...options, model: plain, schema }))).object, weather);
  },
  async tools() {
    for (const toolChoice of ['auto', 'required', { type: 'tool', toolName: 'get_weather' }]) {
      const asked = [];
      const said = await call(() => generateText({ ...options, tools: tools(asked), toolChoice }));
      assert.deepEqual([asked, said.finishReason], [['Oslo'], 'tool-calls']);
      assert.deepEqual(said.toolCalls.map((c) => [c.toolName, c.input]), [['get_weather', { city: 'Oslo' }]]);
    }
    const asked = [];
    count();
    const done = await call(() => generateText({ ...options, tools: tools(asked), stopWhen: isStepCount(5) }));
    assert.deepEqual([asked, done.text, done.steps.length], [['Oslo'], SAID, 2]);
    count();
    const stream = call(() => streamText({ ...options, tools: tools(asked), stopWhen: isStepCount(5) }));
    assert.equal((await collect(stream.textStream)).join(''), SAID);
    assert.deepEqual(asked, ['Oslo', 'Oslo']);
  },
  async errors() {
    for (const [status, more] of [[400, { prompt: LONG }], [404, { model: connect()('other') }],
      [401, { model: connect({ apiKey: 'other' })(MODEL) }], [400, { temperature: 1000 }]]) {
      const error = await fails(APICallError, () => generateText({ ...options, ...more }));
      assert.equal(error.statusCode, status);
      assert.equal(error.isRetryable, false);
    }
    const error = await fails(APICallError, () => embed({ model: connect().embeddingModel(MODEL), value: 'x',
      maxRetries: 0 }));
    assert.equal(error.statusCode, 501);
    const long = await fails(APICallError, () => generateText({ ...options, prompt: LONG }));
    assert.equal(long.data.error.code, 'context_length_exceeded');
  },
});
