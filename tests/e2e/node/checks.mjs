// What the scripts of Node share: named checks, each of which says how it ended, and a count of the calls.
import assert from 'node:assert/strict';

export const { BASE, HOST, KEY, MODEL, SAID } = process.env;
export const MESSAGES = JSON.parse(process.env.MESSAGES);
export const SCHEMA = JSON.parse(process.env.SCHEMA);
export const TOOL = JSON.parse(process.env.TOOL);
export const LONG = 'word '.repeat(3000);
let calls = 0;

export function count(n = 1) {
  calls += n;
}

// Counts a call, and gives what it gives.
export function call(what) {
  count();
  return what();
}

// The error of that class that the call ends with.
export async function fails(kind, what) {
  count();
  try {
    await what();
  } catch (error) {
    assert(error instanceof kind, `${error?.constructor?.name} is no ${kind.name}: ${error}`);
    return error;
  }
  assert.fail(`no ${kind.name}`);
}

export async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(JSON.stringify({ name }));
    } catch (error) {
      console.log(JSON.stringify({ name, error: String(error?.stack ?? error) }));
    }
  }
  console.log(JSON.stringify({ calls }));
}
